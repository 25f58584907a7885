"""The key numbers for a terminal: read through the overview's own panels, so that no number is defined twice.

A panel of application-overview.json gives the query, the unit and the thresholds; KEYS says which of its series are
the ones to look at, and how several become one.
"""

import json
import math
import re
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests

from topmast.errors import TopmastError

OVERVIEW = "application-overview.json"
SERVICES_PANEL = 1
TIMEOUT_SECONDS = 5.0
AT_ONCE = 4
# How long Prometheus itself takes a sample for the present.
LOOKBACK_SECONDS = 300.0
# Four scrapes of 15 s: what Grafana makes of $__rate_interval at this range.
BUILT_INS = {"__rate_interval": "1m", "__interval": "15s", "__range": "15m"}
_VARIABLE = re.compile(r"\$\{?(\w+)(?::\w+)?\}?")
_LEGEND = re.compile(r"\{\{\s*([\w.]+)\s*\}\}")

Values = list[float | None]


@dataclass(frozen=True)
class Key:
    """One line: the series of a panel whose names match, joined point by point."""

    name: str
    panel: int
    series: str = ""
    join: Callable[[Sequence[float]], float] = max


KEYS = (
    Key("requests", 6, join=sum),
    Key("error ratio", 12, "^requests"),
    Key("latency P95", 5, "^api P95"),
    Key("CPU", 7, "^host"),
    Key("memory", 8, "^host"),
    Key("cache hit ratio, worst", 3, join=min),
    Key("query P95, worst", 10),
    Key("connections, fullest", 11),
    Key("errors in the logs", 13, join=sum),
    Key("spend an hour", 14, join=sum),
    Key("day's budget", 15, "^day$"),
    Key("month's budget", 15, "^month$"),
    Key("saved in 24 h", 16, "^saved"),
    Key("available over 30 days", 17, "^available"),
    Key("error budget left", 17, "^error budget"),
)


@dataclass(frozen=True)
class Number:
    """A key number with its course, oldest first; None where there is no value."""

    name: str
    unit: str
    color: str
    """The threshold's that the last value is in: green, orange, red, … or `text`."""
    value: float | None
    history: tuple[float | None, ...]


@dataclass(frozen=True)
class Alert:
    name: str
    severity: str
    summary: str
    since: str
    """ISO 8601, as Prometheus says it."""


@dataclass(frozen=True)
class Reading:
    """What was read at one moment; `error` says why there is nothing."""

    services: Mapping[str, bool]
    numbers: tuple[Number, ...]
    alerts: tuple[Alert, ...]
    error: str = ""


def read(prometheus: str, monitoring: Path, now: float, seconds: float, points: int) -> Reading:
    """Return the numbers over the last `seconds`; a Prometheus that is gone is `error`, never an exception.

    Raises TopmastError when the dashboard's file cannot be read.
    """
    panels = _panels(monitoring / "grafana" / "dashboards" / OVERVIEW)
    step = max(15.0, math.ceil(seconds / max(points, 1)))
    try:
        with requests.Session() as session, ThreadPoolExecutor(AT_ONCE) as pool:
            firing = pool.submit(_alerts, session, prometheus)
            wanted = sorted({key.panel for key in KEYS} | {SERVICES_PANEL})
            asked = {
                number: pool.submit(_series, session, prometheus, panels[number], now, seconds, step)
                for number in wanted
                if number in panels
            }
            found = {number: answer.result() for number, answer in asked.items()}
            alerts = firing.result()
    except requests.Timeout:
        return Reading({}, (), (), f"Prometheus did not answer within {TIMEOUT_SECONDS:g} s at {prometheus}")
    except requests.RequestException:
        return Reading({}, (), (), f"Prometheus does not answer at {prometheus}; `topmast status` tells more")
    recent = max(2, math.ceil(LOOKBACK_SECONDS / step))
    services = {name: _last(values[-recent:]) == 1 for name, values in found.get(SERVICES_PANEL, {}).items()}
    numbers = tuple(number(key, panels[key.panel], found[key.panel], recent) for key in KEYS if key.panel in found)
    return Reading(dict(sorted(services.items())), numbers, alerts)


def number(key: Key, panel: Mapping[str, Any], series: Mapping[str, Values], recent: int) -> Number:
    """Return the key's series joined to one, with the panel's unit and the colour of its last value.

    What has none within the `recent` last points has no value: an application that is gone is not as fast as ever.
    """
    chosen = [values for name, values in series.items() if re.search(key.series, name)]
    joined = tuple(_join(key.join, column) for column in zip(*chosen, strict=True)) if chosen else ()
    defaults = panel.get("fieldConfig", {}).get("defaults", {})
    value = _last(joined[-recent:])
    return Number(key.name, _unit(panel, key, defaults), color_of(defaults, value), value, joined)


def color_of(defaults: Mapping[str, Any], value: float | None) -> str:
    """Return the colour of the threshold that the value has reached; `text` without value or thresholds."""
    reached = "text"
    for index, step in enumerate(defaults.get("thresholds", {}).get("steps", [])):
        if value is not None and (index == 0 or value >= (step.get("value") or 0)):
            reached = str(step.get("color", "text"))
    return reached


def interpolated(expression: str) -> str:
    """Return a query of a panel with its built-ins put in, and everything chosen of every variable."""
    return _VARIABLE.sub(
        lambda found: BUILT_INS.get(found[1], found[0] if found[1].isdecimal() else ".*"), expression
    )


def _unit(panel: Mapping[str, Any], key: Key, defaults: Mapping[str, Any]) -> str:
    """Return the panel's unit, or that of the override which names the key's series by its target."""
    for override in panel.get("fieldConfig", {}).get("overrides", []):
        matcher = override.get("matcher", {})
        of_target = [target for target in panel["targets"] if target.get("refId") == matcher.get("options")]
        names = {
            "byName": [str(matcher.get("options"))],
            "byFrameRefID": [str(target.get("legendFormat", "")) for target in of_target],
        }.get(matcher.get("id"), [])
        if key.series and any(re.search(key.series, name) for name in names):
            for change in override.get("properties", []):
                if change.get("id") == "unit":
                    return str(change["value"])
    return str(defaults.get("unit", "none"))


def _panels(path: Path) -> dict[int, dict[str, Any]]:
    try:
        model = json.loads(path.read_bytes())
        return {panel["id"]: panel for panel in model["panels"] if panel["type"] != "row"}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise TopmastError(f"{path}: not the overview's dashboard: {error}") from error


def _series(
    session: requests.Session, prometheus: str, panel: Mapping[str, Any], now: float, seconds: float, step: float
) -> dict[str, Values]:
    """Return the values of each series of a panel by its name, on one grid of times that ends now."""
    start = now - math.floor(seconds / step) * step
    length = round((now - start) / step) + 1
    found: dict[str, Values] = {}
    for target in panel["targets"]:
        if target.get("exemplar"):
            continue
        form = {"query": interpolated(target["expr"]), "start": start, "end": now, "step": step}
        answer = session.post(f"{prometheus}/api/v1/query_range", data=form, timeout=TIMEOUT_SECONDS).json()
        for each in answer.get("data", {}).get("result", []):
            labels: dict[str, str] = each["metric"]
            name = _name(target.get("legendFormat", ""), labels)
            values: Values = [None] * length
            for at, text in each["values"]:
                value = float(text)
                values[round((at - start) / step)] = value if math.isfinite(value) else None
            found[name] = values
    return found


def _name(legend: str, labels: Mapping[str, str]) -> str:
    return " ".join(_LEGEND.sub(lambda told: labels.get(told[1], ""), legend).split())


def _alerts(session: requests.Session, prometheus: str) -> tuple[Alert, ...]:
    answer = session.get(f"{prometheus}/api/v1/alerts", timeout=TIMEOUT_SECONDS).json()
    firing = [
        Alert(
            name=each["labels"].get("alertname", ""),
            severity=each["labels"].get("severity", "none"),
            summary=each.get("annotations", {}).get("summary", ""),
            since=each.get("activeAt", ""),
        )
        for each in answer.get("data", {}).get("alerts", [])
        if each.get("state") == "firing" and each["labels"].get("alertname") != "Watchdog"
    ]
    return tuple(sorted(firing, key=lambda alert: (alert.severity != "critical", alert.name, alert.since)))


def _join(join: Callable[[Sequence[float]], float], column: Sequence[float | None]) -> float | None:
    known = [value for value in column if value is not None]
    return join(known) if known else None


def _last(values: Sequence[float | None]) -> float | None:
    return next((value for value in reversed(values) if value is not None), None)
