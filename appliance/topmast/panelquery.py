"""Ask Prometheus what a panel asks, as the page and Grafana put the question: variables, step and windows put in.

A reading is what the panel would draw; `out_of_bounds` says which of its values cannot be right in their unit.
"""

import math
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import requests

from topmast import dashboardfile, promql
from topmast.dashboardfile import File, Query
from topmast.errors import TopmastError

POINTS = 240
TIMEOUT_SECONDS = 20.0
# What a value of a unit can be: a share of more than this, or a negative size, is a mistake in the query.
_BOUNDS = {
    # A budget can be overspent many times; an error budget overdrawn.
    "percentunit": (-1e6, 1e6),
    "bytes": (0.0, 1e15),
    "s": (0.0, 1e9),
    "reqps": (0.0, 1e7),
    "ops": (0.0, 1e8),
    "currencyUSD": (0.0, 1e9),
    "short": (0.0, 1e15),
    "none": (-1e15, 1e15),
}
_ANY = (-1e15, 1e15)


@dataclass(frozen=True)
class Window:
    """The range of a dashboard, and the scrape interval, in seconds."""

    start: float
    end: float
    scrape: float = 15.0

    @property
    def step(self) -> float:
        return max(self.scrape, math.ceil((self.end - self.start) / POINTS))

    @property
    def built_in(self) -> dict[str, str]:
        """Grafana's own variables. Its rule: at least four scrapes, and one more than the step."""
        length = round(self.end - self.start)
        return {
            "__interval": promql.duration(round(self.step * 1000)),
            "__interval_ms": str(round(self.step * 1000)),
            "__rate_interval": promql.duration(round(max(4 * self.scrape, self.step + self.scrape) * 1000)),
            "__range": f"{length}s",
            "__range_s": str(length),
            "__range_ms": str(length * 1000),
            "__from": str(round(self.start * 1000)),
            "__to": str(round(self.end * 1000)),
        }


@dataclass(frozen=True)
class Reading:
    """What one panel has in one window."""

    series: int = 0
    points: int = 0
    wrong: Sequence[str] = ()
    """Values that are not finite, or beyond what their unit can be."""
    errors: Sequence[str] = field(default=())

    @property
    def has_data(self) -> bool:
        return self.points > 0


@dataclass(frozen=True)
class Prometheus:
    """One Prometheus to ask. Raises TopmastError with its own words."""

    url: str
    timeout_seconds: float = TIMEOUT_SECONDS

    def get(self, path: str, **asked: Any) -> Any:
        try:
            answer = requests.post(f"{self.url}/api/v1/{path}", data=asked, timeout=self.timeout_seconds)
            body = answer.json()
        except (requests.RequestException, ValueError) as error:
            raise TopmastError(f"{self.url}: {error}") from error
        if body.get("status") != "success":
            raise TopmastError(f"{self.url}: {body.get('error', answer.status_code)}")
        return body["data"]

    def instant(self, expr: str, at: float) -> list[dict[str, Any]]:
        """Return the samples of an instant query as [{metric, values: [[time, text]]}]."""
        data = self.get("query", query=expr, time=f"{at:.3f}")
        if data["resultType"] == "scalar":
            return [{"metric": {}, "values": [data["result"]]}]
        return [{"metric": each["metric"], "values": [each["value"]]} for each in data["result"]]

    def over(self, expr: str, window: Window) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.get(
            "query_range",
            query=expr,
            start=f"{window.start:.3f}",
            end=f"{window.end:.3f}",
            step=f"{window.step:.3f}",
        )["result"]
        return found

    def values_of(self, metric: str, label: str, window: Window) -> list[str]:
        """Return the values of a label that a metric had in the window."""
        try:
            answer = requests.get(
                f"{self.url}/api/v1/label/{label}/values",
                params={"match[]": metric, "start": f"{window.start:.3f}", "end": f"{window.end:.3f}"},
                timeout=self.timeout_seconds,
            ).json()
        except (requests.RequestException, ValueError) as error:
            raise TopmastError(f"{self.url}: {error}") from error
        return list(answer.get("data", []))

    def scrape_seconds(self) -> float:
        """Return the scrape interval, as Prometheus itself measures it; 15 when it does not say."""
        asked = self.instant("count by (interval) (prometheus_target_interval_length_seconds)", time.time())
        found = [promql.milliseconds(_whole(each["metric"].get("interval", ""))) / 1000 for each in asked]
        return max(found, default=15.0)


def _whole(length: str) -> str:
    """Return Go's `1.5s` as Prometheus writes it."""
    return promql.duration(round(float(length[:-1]) * 1000)) if "." in length and length.endswith("s") else length


def put_in(window: Window, chosen: Mapping[str, str]) -> dict[str, str]:
    """Return what stands for each variable of a query: the window's own, and the values chosen."""
    return window.built_in | {name: _escaped(value) for name, value in chosen.items()}


def of_panel(file: File, title: str) -> list[Query]:
    """Return a panel's queries that draw something."""
    return [each for each in file.queries if each.panel == title and not each.target.get("exemplar")]


def read(prometheus: Prometheus, file: File, panel: Mapping[str, Any], window: Window, **chosen: str) -> Reading:
    """Return what the panel has in the window, with all of every variable but those that are `chosen`."""
    values = put_in(window, chosen)
    series, points, wrong, errors = 0, 0, [], []
    for query in of_panel(file, dashboardfile.title(panel)):
        expr = dashboardfile.substituted(query.expr, values)
        try:
            now = query.target.get("instant")
            found = prometheus.instant(expr, window.end) if now else prometheus.over(expr, window)
        except TopmastError as error:
            errors.append(f"{query.where}: {error}")
            continue
        for each in found:
            numbers = [float(text) for _, text in each["values"]]
            # A quantile of nothing is NaN: no line is drawn, and nothing is said.
            known = [number for number in numbers if not math.isnan(number)]
            series, points = series + bool(known), points + len(known)
            wrong += out_of_bounds(panel, query, known)
    return Reading(series, points, tuple(wrong), tuple(errors))


def out_of_bounds(panel: Mapping[str, Any], query: Query, numbers: Sequence[float]) -> list[str]:
    """Return one sentence for the first value that cannot be right: infinite, or beyond what its unit can be."""
    defaults = dashboardfile.defaults(panel)
    unit = str(defaults.get("unit", ""))
    low, high = _BOUNDS.get(unit, (0.0, 1e15) if unit.startswith("suffix:") else _ANY)
    if (
        unit == "percentunit"
        and defaults.get("max") == 1
        and "forecast" not in query.expr
        and "budget" not in query.expr
    ):
        # a rate divides by the time between scrapes, each of which may be late: a full machine is 1.0004 busy
        low, high = 0.0, 1.01
    for number in numbers:
        if not math.isfinite(number):
            return [f"{query.where}: {number}"]
        if not low <= number <= high:
            return [f"{query.where}: {number:g} is no {unit}"]
    return []


def _escaped(value: str) -> str:
    """Return a value for a regular expression inside a double-quoted string of PromQL: each backslash twice."""
    return re.sub(r"([\\^$.*+?()\[\]{}|])", r"\\\\\1", value).replace('"', '\\"')
