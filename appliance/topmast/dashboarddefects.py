"""Thirty defects that a dashboard can have, to be seeded into ours: `topmast lint` must see each by its own rule.

Most are what people complain about after importing a dashboard: the metric that was renamed, the panel of a type that
is gone, the filesystem of the author's machine, the rate over a window that the scrape interval does not fit into.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from topmast import checks, plugins
from topmast.check import Tree

OVERVIEW = "application-overview"
Model = dict[str, Any]


@dataclass(frozen=True)
class Defect:
    """One change of one dashboard, and the rule that must see it."""

    name: str
    check: str
    rule: str
    change: Callable[[Model], object]
    dashboard: str = OVERVIEW


def seen(tree: Tree, defect: Defect) -> bool:
    """Return whether the rule sees the defect, seeded into the tree's own dashboard."""
    path = next(path for path in tree.documents if path.name == f"{defect.dashboard}.json")
    model = json.loads(tree.documents[path])
    defect.change(model)
    text = json.dumps(model, indent=2, ensure_ascii=False) + "\n"
    broken = replace(tree, documents={**tree.documents, path: text})
    found = plugins.load(checks, defect.check, "CHECK").run(broken)
    return any(spot.path == path and spot.message.endswith(f"({defect.rule})") for spot in found)


def _panel(model: Model, title: str) -> Model:
    return next(each for each in model["panels"] if each["title"] == title)


def _set(panel_title: str, /, **values: Any) -> Callable[[Model], object]:
    """Return the change that gives a panel other values; None takes the key away."""

    def change(model: Model) -> None:
        panel = _panel(model, panel_title)
        for key, value in values.items():
            if value is None:
                del panel[key]
            else:
                panel[key] = value

    return change


def _default(title: str, **values: Any) -> Callable[[Model], object]:
    def change(model: Model) -> None:
        defaults = _panel(model, title)["fieldConfig"]["defaults"]
        for key, value in values.items():
            defaults[key] = value

    return change


def _target(title: str, **values: Any) -> Callable[[Model], object]:
    return lambda model: _panel(model, title)["targets"][0].update(values)


def _expr(title: str, old: str, new: str) -> Callable[[Model], object]:
    def change(model: Model) -> None:
        target = _panel(model, title)["targets"][0]
        if old not in target["expr"]:
            raise LookupError(f"{title}: {old!r} is not in it: the defect no longer fits")
        target["expr"] = target["expr"].replace(old, new)

    return change


def _variable(number: int, **values: Any) -> Callable[[Model], object]:
    return lambda model: model["templating"]["list"][number].update(values)


def _query(text: str) -> Mapping[str, Any]:
    return {"query": text, "refId": "StandardVariableQuery", "qryType": 1}


def _steps(*values: float) -> Model:
    steps = [{"color": "green", "value": None}, *({"color": "red", "value": value} for value in values)]
    return {"mode": "absolute", "steps": steps}


REQUESTS = "Requests by status class"
QUERIES, PANELS, LAYOUT = "dashboard_queries", "dashboard_panels", "dashboard_layout"
VARIABLES, NAMES, HOUSE = "dashboard_variables", "dashboard_names", "dashboard_house"

DEFECTS = (
    Defect(
        "a bracket too few", QUERIES, "target-promql-rule", _expr(REQUESTS, "sum by (class) (", "sum by (class) ")
    ),
    Defect("a fixed window", QUERIES, "target-rate-interval-rule", _expr(REQUESTS, "[$__rate_interval]", "[1m]")),
    Defect("$__interval", QUERIES, "target-rate-interval-rule", _expr(REQUESTS, "$__rate_interval", "$__interval")),
    Defect(
        "a raw counter", QUERIES, "target-counter-agg-rule", _target(REQUESTS, expr="sum(app_http_requests_total)")
    ),
    Defect(
        "a raw bucket",
        QUERIES,
        "target-counter-agg-rule",
        _target(REQUESTS, expr="histogram_quantile(0.9, sum by (le) (app_http_request_duration_seconds_bucket))"),
    ),
    Defect(
        "one machine's disk", QUERIES, "one-machine", _expr("Disk", 'fstype!~"tmpfs', 'device="sda1", fstype!~"tmpfs')
    ),
    Defect(
        "one file system",
        QUERIES,
        "one-machine",
        _expr("Disk", 'fstype!~"tmpfs|ramfs|squashfs|devtmpfs"', 'fstype="ext4"'),
    ),
    Defect(
        "an open quote in a search",
        QUERIES,
        "target-logql-rule",
        _target("Newest lines", query='message:"payment'),
        "logs",
    ),
    Defect("no title", PANELS, "panel-title-description-rule", _set("CPU", title="")),
    Defect("no description", PANELS, "panel-title-description-rule", _set("CPU", description="")),
    Defect("no unit", PANELS, "panel-units-rule", _default("CPU", unit="")),
    Defect("a unit that is none", PANELS, "panel-units-rule", _default("CPU", unit="seconds")),
    Defect("nothing asked", PANELS, "panel-no-targets-rule", _set("CPU", targets=[])),
    Defect(
        "another Grafana's datasource",
        PANELS,
        "panel-datasource-rule",
        _target("CPU", datasource={"type": "prometheus", "uid": "P1809F7CD0C75ACF3"}),
    ),
    Defect("a panel of Angular's", PANELS, "panel-type", _set("CPU", type="graph")),
    Defect("editable", LAYOUT, "uneditable-dashboard", lambda model: model.update(editable=True)),
    Defect("an id twice", LAYOUT, "ids", _set("CPU", id=8)),
    Defect("a refId twice", LAYOUT, "ref-ids", lambda model: _panel(model, "CPU")["targets"][1].update(refId="A")),
    Defect("two panels in one place", LAYOUT, "places", _set("Memory", gridPos={"x": 4, "y": 27, "w": 8, "h": 8})),
    Defect("beyond the columns", LAYOUT, "places", _set("Disk", gridPos={"x": 18, "y": 27, "w": 8, "h": 8})),
    Defect("stale choices", VARIABLES, "template-on-time-change-reload-rule", _variable(0, refresh=1)),
    Defect(
        "choices of nothing", VARIABLES, "template-label-promql-rule", _variable(0, query=_query("label_values(up{)"))
    ),
    Defect("a choice that nothing reads", VARIABLES, "used-variables", _variable(2, name="region")),
    Defect("a variable that is not there", VARIABLES, "defined-variables", _expr("CPU", "$instance", "$server")),
    Defect(
        "a metric that is not there",
        NAMES,
        "metric-names",
        _expr(REQUESTS, "app_http_requests_total", "http_requests_total"),
    ),
    Defect("a rule that is not there", NAMES, "metric-names", _expr("CPU", "ratio_rate5m", "ratio_rate1m")),
    Defect("a label that is not there", NAMES, "label-names", _expr(REQUESTS, "environment=~", "cluster=~")),
    Defect("a legend that stays empty", NAMES, "legend-names", _target("CPU", legendFormat="{{node}}")),
    Defect(
        "a threshold of its own", "dashboard_thresholds", "alert-thresholds", _default("CPU", thresholds=_steps(0.9))
    ),
    Defect(
        "a runbook that is not there",
        HOUSE,
        "runbook-links",
        _set("CPU", links=[{"title": "Runbook", "url": "/runbooks/HighCpu"}]),
    ),
)
