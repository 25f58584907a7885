"""What every panel says of itself: title, description, a unit, a datasource, something to ask.

The rules are those of Grafana's dashboard-linter, under its names, and the panel types that Grafana 13 still has.
"""

from collections.abc import Iterator
from functools import cache
from pathlib import Path

from topmast import dashboardfile
from topmast.check import Check, Spot, Tree
from topmast.dashboardfile import File, Problem

# Angular's panels are gone since Grafana 12.
_GONE = {"graph": "timeseries", "singlestat": "stat", "table-old": "table", "worldmap-panel": "geomap"}
_SILENT = ("text", "news", "dashlist", "alertlist", "row")
# Their values are text, or their unit is drawn elsewhere.
_WITHOUT_UNIT = (*_SILENT, "logs", "traces", "nodeGraph", "flamegraph", "xychart")


def words(file: File) -> Iterator[Problem]:
    for panel in file.panels:
        if not panel.get("title"):
            yield Problem(dashboardfile.title(panel), "no title: say what it shows", f'"id": {panel.get("id")}')
        if not panel.get("description"):
            yield Problem(dashboardfile.title(panel), "no description: say in one sentence what is counted")


def units(file: File) -> Iterator[Problem]:
    for panel in file.panels:
        if panel.get("type") in _WITHOUT_UNIT:
            continue
        unit = dashboardfile.defaults(panel).get("unit")
        if not unit:
            yield Problem(dashboardfile.title(panel), "no unit: `none` when it has none")
        elif unit not in known_units() and not str(unit).startswith(
            ("suffix:", "prefix:", "time:", "si:", "count:", "currency:")
        ):
            yield Problem(dashboardfile.title(panel), f"unit {unit!r} is none of Grafana's: write suffix:{unit}")


def asked(file: File) -> Iterator[Problem]:
    for panel in file.panels:
        if panel.get("type") not in _SILENT and not dashboardfile.targets(panel):
            yield Problem(dashboardfile.title(panel), "no query: it will always be empty")


def datasources(file: File) -> Iterator[Problem]:
    """A uid is a variable's, or one that is provisioned."""
    fixed = {"prometheus", "alertmanager", "logs", "grafana", "-- Grafana --", "-- Mixed --"}
    for panel in file.panels:
        for target in dashboardfile.targets(panel):
            _, uid = dashboardfile.datasource(panel, target)
            if uid not in fixed and not uid.startswith(("$", "[[")):
                said = f"the datasource {uid!r} is not provisioned" if uid else "no datasource's uid"
                yield Problem(dashboardfile.title(panel), f"{said}: prometheus, logs, or a variable")


def types(file: File) -> Iterator[Problem]:
    for panel in file.panels:
        kind = str(panel.get("type"))
        if kind in _GONE:
            yield Problem(dashboardfile.title(panel), f"{kind} is gone since Grafana 12: use {_GONE[kind]}")


@cache
def known_units() -> frozenset[str]:
    """Return the ids of Grafana's units: any other is shown as a suffix (grafana-foundation-sdk, models/units.py)."""
    text = (Path(dashboardfile.__file__).parent / "grafana_units.txt").read_text(encoding="utf-8")
    return frozenset(text.split())


RULES = {
    "panel-title-description-rule": words,
    "panel-units-rule": units,
    "panel-no-targets-rule": asked,
    "panel-datasource-rule": datasources,
    "panel-type": types,
}


def run(tree: Tree) -> Iterator[Spot]:
    yield from dashboardfile.findings(tree, RULES)


CHECK = Check(name="dashboard_panels", summary="a panel says what it shows, in what unit, from where", run=run)
