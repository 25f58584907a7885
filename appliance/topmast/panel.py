"""The panels of dashboards in Grafana's classic model: what every panel has in common is said here, once.

A module of dashboards/ calls these functions. Pure.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

PROMETHEUS = {"type": "prometheus", "uid": "prometheus"}
LOGS = {"type": "elasticsearch", "uid": "logs"}

# What a panel says in place of its picture, where it does not know better.
EMPTY = "nothing in this range"

Model = dict[str, Any]


@dataclass(frozen=True)
class Panel:
    """One panel; the dashboard finds its place: left to right, a new line where it no longer fits."""

    model: Model
    width: int
    height: int


def query(expr: str, legend: str, *, now: bool = False, exemplar: bool = False) -> Model:
    """Return a query of Prometheus: over the range, or (`now`) its value at the range's end."""
    asked = {"refId": "", "datasource": PROMETHEUS, "editorMode": "code", "expr": expr, "legendFormat": legend}
    return asked | {"range": not now, "instant": now} | ({"exemplar": True} if exemplar else {})


def exemplars(selector: str) -> Model:
    """Return a query that draws no line: it brings the exemplars of a histogram, which recorded series do not have.

    `@ end()` reads one moment only, and no bucket is below 0; Prometheus takes the exemplars of the selector.
    """
    return query(f"{selector} @ end() < 0", "exemplars", exemplar=True)


def or_none(expr: str, label: str, words: str) -> str:
    """Return the expression's series above 0, and where there is none a line at 0 that says so."""
    return f'({expr}) > 0 or on () label_replace(vector(0), "{label}", "{words}", "", "")'


def override(matcher: str, **properties: Any) -> Model:
    """Return what is different for the series of a name, or of a /pattern/; `a__b` sets the property a.b."""
    kind = "byRegexp" if matcher.startswith("/") else "byName"
    listed = [{"id": name.replace("__", "."), "value": value} for name, value in properties.items()]
    return {"matcher": {"id": kind, "options": matcher}, "properties": listed}


def fixed(matcher: str, color: str) -> Model:
    """Return the override that gives the series a colour of its own."""
    return override(matcher, color={"fixedColor": color, "mode": "fixed"})


def thresholds(steps: Mapping[float, str], base: str = "green") -> Model:
    """Return the steps, each with the colour that begins there."""
    listed = [{"color": base, "value": None}, *({"color": color, "value": at} for at, color in steps.items())]
    return {"mode": "absolute", "steps": listed}


def link(title: str, url: str) -> Model:
    return {"title": title, "url": url, "targetBlank": False}


def timeseries(
    number: int,
    title: str,
    description: str,
    unit: str,
    queries: Model | Sequence[Model],
    *,
    alerts: Sequence[str] = (),
    steps: Mapping[float, str] | None = None,
    base: str = "green",
    width: int = 12,
    height: int = 8,
    stacked: bool = False,
    bars: bool = False,
    log: bool = False,
    fill: int = 0,
    calcs: Sequence[str] = ("lastNotNull", "max"),
    links: Sequence[Model] = (),
    overrides: Sequence[Model] = (),
    **defaults: Any,
) -> Panel:
    """Return lines over time (or `bars`, or `stacked` areas), with the thresholds drawn as lines."""
    custom = {
        "drawStyle": "bars" if bars else "line",
        "lineInterpolation": "linear",
        "lineWidth": 1 if bars else 2,
        "fillOpacity": 80 if bars else (fill or (35 if stacked else 0)),
        "gradientMode": "none",
        "showPoints": "never",
        "spanNulls": False,
        "axisPlacement": "auto",
        "axisLabel": "",
        "scaleDistribution": {"type": "log", "log": 10} if log else {"type": "linear"},
        "stacking": {"mode": "normal" if stacked else "none", "group": "A"},
        "thresholdsStyle": {"mode": "line" if steps else "off"},
    }
    legend = {"displayMode": "table", "placement": "bottom", "showLegend": True, "calcs": list(calcs)}
    if not log:
        defaults = {"min": 0} | defaults
    return _panel(
        "timeseries",
        number,
        (title, description),
        (width, height),
        alerts,
        links,
        {"unit": unit, "color": {"mode": "palette-classic"}, "custom": custom, "mappings": []}
        | {"thresholds": thresholds(steps or {}, base)}
        | defaults,
        overrides,
        {"legend": legend, "tooltip": {"mode": "multi", "sort": "desc"}},
        queries,
    )


def stat(
    number: int,
    title: str,
    description: str,
    unit: str,
    queries: Model | Sequence[Model],
    *,
    alerts: Sequence[str] = (),
    steps: Mapping[float, str] | None = None,
    base: str = "green",
    width: int = 6,
    height: int = 4,
    filled: bool = False,
    course: bool = True,
    orientation: str = "auto",
    links: Sequence[Model] = (),
    overrides: Sequence[Model] = (),
    **defaults: Any,
) -> Panel:
    """Return one large number a series: its last value, with its `course` behind it."""
    return _panel(
        "stat",
        number,
        (title, description),
        (width, height),
        alerts,
        links,
        {"unit": unit, "color": {"mode": "thresholds"}, "mappings": [], "thresholds": thresholds(steps or {}, base)}
        | defaults,
        overrides,
        {
            "colorMode": "background" if filled else "value",
            "graphMode": "area" if course else "none",
            "justifyMode": "auto",
            "orientation": orientation,
            "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
            "textMode": "value_and_name",
            "wideLayout": True,
        },
        queries,
    )


def up_or_down(
    number: int,
    title: str,
    description: str,
    queries: Model | Sequence[Model],
    *,
    alerts: Sequence[str],
    width: int,
    height: int = 4,
    empty: str,
) -> Panel:
    """Return a stat of what is 1 when it is up and 0 when it is down."""
    said = {
        "0": {"text": "DOWN", "color": "red", "index": 0},
        "1": {"text": "UP", "color": "green", "index": 1},
    }
    return stat(
        number,
        title,
        description,
        "none",
        queries,
        alerts=alerts,
        steps={1: "green"},
        base="red",
        width=width,
        height=height,
        filled=True,
        course=False,
        mappings=[{"type": "value", "options": said}],
        noValue=empty,
    )


def bar_gauge(
    number: int,
    title: str,
    description: str,
    unit: str,
    queries: Model | Sequence[Model],
    *,
    alerts: Sequence[str] = (),
    steps: Mapping[float, str] | None = None,
    width: int = 12,
    height: int = 8,
    overrides: Sequence[Model] = (),
    **defaults: Any,
) -> Panel:
    """Return one bar a series, of its value at the range's end."""
    return _panel(
        "bargauge",
        number,
        (title, description),
        (width, height),
        alerts,
        (),
        {"unit": unit, "color": {"mode": "thresholds"}, "mappings": [], "thresholds": thresholds(steps or {})}
        | {"min": 0}
        | defaults,
        overrides,
        {
            "displayMode": "basic",
            "orientation": "horizontal",
            "valueMode": "color",
            "showUnfilled": True,
            "minVizHeight": 16,
            "minVizWidth": 0,
            "namePlacement": "auto",
            "sizing": "auto",
            "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
        },
        queries,
    )


def table(
    number: int,
    title: str,
    description: str,
    unit: str,
    queries: Model | Sequence[Model],
    columns: Mapping[str, str],
    *,
    alerts: Sequence[str] = (),
    steps: Mapping[float, str] | None = None,
    base: str = "green",
    sort: str = "",
    width: int = 12,
    height: int = 8,
    overrides: Sequence[Model] = (),
    **defaults: Any,
) -> Panel:
    """Return a row a series. `columns` is label → heading, in order; `Value` is the number; others are left out."""
    order = {name: place for place, name in enumerate(columns)}
    hidden = {name: True for name in ("Time", "__name__", "environment", "instance", "job") if name not in columns}
    shaped = {"excludeByName": hidden, "indexByName": order, "renameByName": dict(columns)}
    cell = {"align": "auto", "cellOptions": {"type": "color-text" if steps else "auto"}, "inspect": False}
    found = _panel(
        "table",
        number,
        (title, description),
        (width, height),
        alerts,
        (),
        {"unit": unit, "color": {"mode": "thresholds"}, "custom": cell, "mappings": []}
        | {"thresholds": thresholds(steps or {}, base)}
        | defaults,
        overrides,
        {"showHeader": True, "cellHeight": "sm", "sortBy": []},
        [each | {"format": "table"} for each in _listed(queries)],
    )
    shape: list[Model] = [{"id": "organize", "options": shaped}]
    if sort:
        shape.append({"id": "sortBy", "options": {"fields": {}, "sort": [{"field": sort, "desc": True}]}})
    found.model["transformations"] = shape
    return found


def log_lines(number: int, title: str, description: str, search: str, *, width: int = 24, height: int = 12) -> Panel:
    """Return the newest lines that a search finds: in Elasticsearch, or (on the page) in the embedded store."""
    asked = {"refId": "A", "datasource": LOGS, "query": search, "alias": "", "timeField": "@timestamp"}
    shown = {
        "showTime": True,
        "showLabels": False,
        "showCommonLabels": False,
        "wrapLogMessage": True,
        "prettifyLogMessage": False,
        "enableLogDetails": True,
        "dedupStrategy": "none",
        "sortOrder": "Descending",
    }
    found = _panel(
        "logs",
        number,
        (title, description),
        (width, height),
        (),
        [link("Search these lines", f"/logs?q={search}&from=${{__from}}&to=${{__to}}")],
        {"noValue": "no such line in this range"},
        (),
        shown,
        [asked | {"metrics": [{"id": "1", "type": "logs", "settings": {"limit": "200"}}], "bucketAggs": []}],
    )
    return Panel(found.model | {"datasource": LOGS}, width, height)


def _listed(queries: Model | Sequence[Model]) -> Sequence[Model]:
    return [queries] if isinstance(queries, Mapping) else queries


def _panel(
    kind: str,
    number: int,
    words: tuple[str, str],
    size: tuple[int, int],
    alerts: Sequence[str],
    links: Sequence[Model],
    defaults: Model,
    overrides: Sequence[Model],
    options: Model,
    queries: Model | Sequence[Model],
) -> Panel:
    title, description = words
    # A panel's links stand in its menu, and where a value is clicked.
    clicked = {"links": list(links)} if links else {}
    model = {
        "id": number,
        "type": kind,
        "title": title,
        "description": description,
        "gridPos": {},
        "datasource": PROMETHEUS,
        "links": [*(link(f"Runbook: {name}", f"/runbooks/{name}") for name in alerts), *links],
        "fieldConfig": {"defaults": {"noValue": EMPTY} | defaults | clicked, "overrides": list(overrides)},
        "options": options,
        "targets": [asked | {"refId": chr(ord("A") + place)} for place, asked in enumerate(_listed(queries))],
    }
    return Panel(model, *size)
