"""Ask Prometheus what an expression returned at each evaluation of the past.

Evaluations of a rule group are at fixed phases of its interval (rules/manager.go: a hash of the group's name), so the
past is asked at the phase of the last one: the answer is what the rule saw, not something near it.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import requests

from topmast.backtest.states import Labels
from topmast.errors import NotRunningError, TopmastError

# Prometheus refuses more than 11,000 points a series in one answer; a day at 15 s has 5,760.
STEPS = 5_760
MAX_POINTS = 20_000_000
"""What one backtest may hold in memory: 14 days at 15 s of 240 series."""
_SECONDS = 60.0
# prometheus.yml: evaluation_interval.
_INTERVAL = 15.0


@dataclass(frozen=True)
class Grid:
    """The evaluations that are looked at: unix seconds, `interval` apart."""

    start: float
    end: float
    interval: float

    def moments(self) -> list[float]:
        return [round(self.start + index * self.interval, 3) for index in range(self.count)]

    @property
    def count(self) -> int:
        return int((self.end - self.start) / self.interval + 1e-6) + 1


@dataclass(frozen=True)
class Past:
    """The values that an expression returned: per series, by evaluation."""

    grid: Grid
    values: Mapping[Labels, Mapping[float, float]]


@dataclass(frozen=True)
class Loaded:
    """An alert as it is in force."""

    expr: str
    wait: float
    keep: float
    annotations: Mapping[str, str]
    interval: float
    """Seconds between two evaluations."""
    last: float
    """Unix seconds of the last one."""


class Prometheus:
    """The Prometheus at hand. Raises NotRunningError when nobody answers, TopmastError with what it says."""

    def __init__(self, url: str, get: Callable[..., requests.Response] = requests.post) -> None:
        self.url = url.rstrip("/")
        self._get = get

    def ask(self, path: str, **data: Any) -> Any:
        try:
            answer = self._get(f"{self.url}/api/v1/{path}", data=data, timeout=_SECONDS)
        except requests.ConnectionError as error:
            raise NotRunningError(
                f"{self.url}: no Prometheus answers; `topmast up`, or name one with --url"
            ) from error
        except requests.RequestException as error:
            raise TopmastError(f"{self.url}: no answer within {_SECONDS:.0f} s: a shorter --since") from error
        try:
            document = answer.json()
        except ValueError as error:
            raise TopmastError(f"{self.url}: this is no Prometheus (status {answer.status_code})") from error
        if document.get("status") != "success":
            raise TopmastError(f"{self.url}: {str(document.get('error'))[:200]}")
        return document["data"]

    def grid(self, alert: str, seconds: float, now: float | None = None) -> Grid:
        """Return the evaluations of the last `seconds`, at the phase of the alert's group where it is loaded."""
        now = time.time() if now is None else now
        loaded = self.loaded(alert)
        step, phase = (loaded.interval, loaded.last) if loaded else (_INTERVAL, 0.0)
        end = phase + int((now - phase) / step) * step
        return Grid(round(end - int(seconds / step) * step, 3), round(end, 3), step)

    def since(self, grid: Grid) -> Grid:
        """Return the part of the grid for which there are samples at all."""
        coarse = max(grid.interval, round((grid.end - grid.start) / 1000, 3))
        data = self.ask("query_range", query="count(up)", start=grid.start, end=grid.end, step=coarse)
        first = min((float(series["values"][0][0]) for series in data["result"]), default=grid.start)
        missing = max(0, int((first - coarse - grid.start) / grid.interval))
        return Grid(round(grid.start + missing * grid.interval, 3), grid.end, grid.interval)

    def loaded(self, alert: str) -> Loaded | None:
        """Return the alert as Prometheus has it loaded; None where it has not."""
        try:
            answer = requests.get(f"{self.url}/api/v1/rules?type=alert", timeout=_SECONDS)
            groups = answer.json()["data"]["groups"]
        except (requests.RequestException, ValueError, KeyError, TypeError):
            return None
        for group in groups:
            for rule in group.get("rules") or ():
                if rule.get("name") == alert:
                    return Loaded(
                        expr=str(rule["query"]),
                        wait=float(rule.get("duration", 0)),
                        keep=float(rule.get("keepFiringFor", 0)),
                        annotations=dict(rule.get("annotations") or {}),
                        interval=float(group["interval"]),
                        last=_unix(group.get("lastEvaluation", "")),
                    )
        return None

    def past(self, expression: str, grid: Grid) -> Past:
        """Return the expression's values at every evaluation of the grid."""
        values: dict[Labels, dict[float, float]] = {}
        points = 0
        for start, end in _spans(grid):
            data = self.ask("query_range", query=expression, start=start, end=end, step=grid.interval)
            for series in data["result"]:
                # An alert carries every label of its series but the metric's name.
                labels = tuple(sorted(pair for pair in series["metric"].items() if pair[0] != "__name__"))
                kept = values.setdefault(labels, {})
                points += len(series["values"])
                if points > MAX_POINTS:
                    raise TopmastError(f"more than {MAX_POINTS} values: a shorter --since, or a narrower expression")
                for at, value in series["values"]:
                    kept[_moment(grid, float(at))] = float(value)
        return Past(grid, values)


def _spans(grid: Grid) -> Iterator[tuple[float, float]]:
    """Yield the grid in pieces that Prometheus answers, oldest first."""
    for first in range(0, grid.count, STEPS):
        last = min(first + STEPS, grid.count) - 1
        yield round(grid.start + first * grid.interval, 3), round(grid.start + last * grid.interval, 3)


def _moment(grid: Grid, at: float) -> float:
    """Return the evaluation that an answer's time stands for: it is rounded to milliseconds on its way."""
    return round(grid.start + round((at - grid.start) / grid.interval) * grid.interval, 3)


def _unix(text: str) -> float:
    """Return Prometheus' RFC 3339 time (nanoseconds) as unix seconds; 0 for none."""
    head, _, tail = text.partition(".")
    digits = "".join(each for each in tail if each.isdigit())[:6] if tail else "0"
    try:
        base = datetime.fromisoformat(head.rstrip("Z") + "+00:00" if len(head) <= 20 else head)
    except ValueError:
        return 0.0
    return base.timestamp() + float(f"0.{digits or 0}")


def held(past: Past, keep: Callable[[float], bool] | None = None) -> dict[Labels, Sequence[float]]:
    """Return the evaluations at which each series was returned, with `keep` only where its value passes."""
    return {
        labels: [at for at, value in values.items() if keep is None or keep(value)]
        for labels, values in past.values.items()
    }
