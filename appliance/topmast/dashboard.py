"""The contract of the room dashboards/: one module a dashboard, written as Grafana's classic model reads it.

`python -m topmast.dashboard` writes them to monitoring/grafana/dashboards, which Grafana and the page load. The
panels come from topmast.panel, which says what they have in common. The same bytes every time.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import click

from topmast import plugins
from topmast.layout import find_home
from topmast.panel import PROMETHEUS, Model, Panel

SCHEMA_VERSION = 42
COLUMNS = 24
# Rows are numbered from here on; panels from 1, by hand: links and `viewPanel` name them.
FIRST_ROW_ID = 100


@dataclass(frozen=True)
class Variable:
    """A choice at the head of a dashboard: the values of a label of a metric."""

    name: str
    description: str
    metric: str


@dataclass(frozen=True)
class Dashboard:
    """One module of dashboards/: `name` is the file's, with hyphens."""

    name: str
    title: str
    description: str
    variables: Sequence[Variable]
    groups: Mapping[str, Sequence[Panel]]
    since: str = "now-1h"
    annotated: Sequence[str] = ("Firing alerts", "Restarts", "Deploys", "Marks")


ENVIRONMENT = Variable("environment", "Production, staging, …: the label that targets carry.", "up")
INSTANCE = Variable("instance", "The scraped address.", "up")
MODEL = Variable("model", "The language model that was called.", "llm_requests_total")
FEATURE = Variable("feature", "The product feature that called it.", "llm_requests_total")
NAMESPACE = Variable("namespace", "The part of the cache.", "cache_requests_total")

_FIRING = 'ALERTS{alertstate="firing", alertname!="Watchdog"}'
# Annotations: name → colour, query, title, text, tag.
_ANNOTATIONS = {
    "Firing alerts": (
        "red",
        f"max by (alertname, severity) ({_FIRING})",
        "{{alertname}}",
        "{{severity}}",
        "severity",
    ),
    "Restarts": ("blue", "changes(app_start_time_seconds[2m]) > 0", "restart of {{instance}}", "", "instance"),
    "Deploys": (
        "purple",
        "(count by (version) (app_build_info) unless on (version) count by (version) (app_build_info offset 5m))"
        " and on () count(app_build_info offset 5m)",
        "deploy of {{version}}",
        "",
        "version",
    ),
    # What a person or a CI told of (POST /v1/marks): the value is when it was.
    "Marks": (
        "purple",
        "max by (kind, text, service, env, moment) (exporter_mark_timestamp_seconds) * 1000",
        "{{kind}} {{service}} {{text}} {{moment}}",
        "",
        "kind,service,env",
    ),
}
# Whose value is the time at which they are drawn, in milliseconds.
_DATED = frozenset({"Marks"})


def series(*matchers: str, by: Sequence[Variable] = (ENVIRONMENT,)) -> str:
    """Return the matchers of a selector, those of the dashboard's variables behind."""
    return "{" + ", ".join([*matchers, *(f'{each.name}=~"${each.name}"' for each in by)]) + "}"


def build(dashboard: Dashboard) -> Model:
    """Return the dashboard as Grafana reads it."""
    return {
        "uid": dashboard.name,
        "title": dashboard.title,
        "description": dashboard.description,
        "tags": ["topmast"],
        "schemaVersion": SCHEMA_VERSION,
        "version": 1,
        "editable": False,
        "graphTooltip": 1,
        "fiscalYearStartMonth": 0,
        "liveNow": False,
        "timezone": "browser",
        "weekStart": "",
        "refresh": "10s",
        "time": {"from": dashboard.since, "to": "now"},
        "timepicker": {"refresh_intervals": ["5s", "10s", "30s", "1m", "5m"]},
        "links": [
            _top_link("Logs", "doc", "/logs", "Search the log lines of this time range", keep_time=True),
            _top_link("Alerts", "bolt", "/alerts", "What fires now, with its runbook", keep_time=False),
        ],
        "annotations": {"list": [_annotation(name) for name in dashboard.annotated]},
        "templating": {"list": [_choice(each) for each in dashboard.variables]},
        "panels": _placed(dashboard.groups),
    }


def text(dashboard: Dashboard) -> str:
    """Return the file's content."""
    return json.dumps(build(dashboard), indent=2, ensure_ascii=False) + "\n"


def files() -> dict[str, str]:
    """Return the content of every dashboard's file by its name."""
    from topmast import dashboards  # its modules import this one

    return {f"{each.name}.json": text(each) for each in plugins.load_all(dashboards, "DASHBOARD")}


def write(folder: Path) -> list[Path]:
    """Write the files that differ from their modules; return them."""
    changed = []
    for name, content in files().items():
        path = folder / name
        if not path.is_file() or path.read_text(encoding="utf-8") != content:
            path.write_text(content, encoding="utf-8")
            changed.append(path)
    return changed


def _placed(groups: Mapping[str, Sequence[Panel]]) -> list[Model]:
    placed: list[Model] = []
    top = 0
    for number, (title, panels) in enumerate(groups.items(), FIRST_ROW_ID):
        place = {"x": 0, "y": top, "w": COLUMNS, "h": 1}
        placed.append(
            {"id": number, "type": "row", "title": title, "gridPos": place, "collapsed": False, "panels": []}
        )
        left, top, tallest = 0, top + 1, 0
        for panel in panels:
            if left + panel.width > COLUMNS:
                left, top, tallest = 0, top + tallest, 0
            place = {"x": left, "y": top, "w": panel.width, "h": panel.height}
            placed.append(panel.model | {"gridPos": place})
            left, tallest = left + panel.width, max(tallest, panel.height)
        top += tallest
    return placed


def _top_link(title: str, icon: str, url: str, tooltip: str, *, keep_time: bool) -> Model:
    return {
        "title": title,
        "type": "link",
        "icon": icon,
        "url": url,
        "targetBlank": False,
        "includeVars": False,
        "keepTime": keep_time,
        "asDropdown": False,
        "tags": [],
        "tooltip": tooltip,
    }


def _annotation(name: str) -> Model:
    color, expr, title, words, tag = _ANNOTATIONS[name]
    return {
        "name": name,
        "datasource": PROMETHEUS,
        "enable": True,
        "hide": False,
        "iconColor": color,
        "expr": expr,
        "titleFormat": title,
        "textFormat": words,
        "tagKeys": tag,
        "step": "60s",
        "target": {"expr": expr, "refId": "Anno"},
        **({"useValueForTime": True} if name in _DATED else {}),
    }


def _choice(variable: Variable) -> Model:
    asked = f"label_values({variable.metric}, {variable.name})"
    return {
        "name": variable.name,
        "label": variable.name.capitalize(),
        "description": variable.description,
        "type": "query",
        "datasource": PROMETHEUS,
        "query": {"query": asked, "refId": "StandardVariableQuery", "qryType": 1},
        "definition": asked,
        "refresh": 2,
        "regex": "",
        "sort": 1,
        "multi": True,
        "includeAll": True,
        "allValue": ".*",
        "hide": 0,
        "skipUrlSync": False,
        "options": [],
        "current": {"selected": True, "text": ["All"], "value": ["$__all"]},
    }


if __name__ == "__main__":
    for path in write(find_home() / "monitoring" / "grafana" / "dashboards"):
        click.echo(f"written: {path}")
