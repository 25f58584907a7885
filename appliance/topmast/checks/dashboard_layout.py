"""The dashboard as a whole: nobody edits it in place, no two panels overlap, ids and refIds are unique."""

import itertools
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from topmast import dashboardfile
from topmast.check import Check, Spot, Tree
from topmast.dashboardfile import File, Problem

COLUMNS = 24
SCHEMA_VERSION = 42


def readable(file: File) -> Iterator[Problem]:
    if not file.model:
        yield Problem(file.name, "not JSON: Grafana and the page cannot load it", file.text[:1])


def uneditable(file: File) -> Iterator[Problem]:
    if file.model and file.model.get("editable") is not False:
        yield Problem(file.name, "editable: what is changed in Grafana is lost: set it to false", '"editable"')


def version(file: File) -> Iterator[Problem]:
    found = file.model.get("schemaVersion")
    if file.model and (not isinstance(found, int) or found > SCHEMA_VERSION):
        yield Problem(
            file.name, f"schemaVersion {found!r}: the classic model's last is {SCHEMA_VERSION}", '"schemaVersion"'
        )


def named(file: File) -> Iterator[Problem]:
    if file.model and not file.model.get("uid"):
        yield Problem(file.name, "no uid: links to it break when it is imported again", '"title"')


def ids(file: File) -> Iterator[Problem]:
    for number, count in Counter(each.get("id") for each in file.boxes).items():
        if number is None:
            yield Problem(file.name, "a panel without an id: links and alerts need one")
        elif count > 1:
            yield Problem(file.name, f"the id {number} stands {count} times: renumber one", f'"id": {number},')


def ref_ids(file: File) -> Iterator[Problem]:
    for panel in file.panels:
        refs = Counter(target.get("refId") for target in dashboardfile.targets(panel))
        for ref, count in refs.items():
            if ref is None or count > 1:
                yield Problem(dashboardfile.title(panel), f"the refId {ref!r} stands {count} times: A, B, C, …")


def places(file: File) -> Iterator[Problem]:
    for panel in file.panels:
        place = panel.get("gridPos")
        if not isinstance(place, dict) or not all(isinstance(place.get(key), int) for key in "xywh"):
            yield Problem(dashboardfile.title(panel), "no place: gridPos wants x, y, w and h")
        elif place["x"] < 0 or place["x"] + place["w"] > COLUMNS or place["w"] < 1:
            yield Problem(dashboardfile.title(panel), f"beyond the {COLUMNS} columns")
    # Panels inside collapsed rows have places of their own.
    outer = [each for each in file.model.get("panels", []) if isinstance(each, dict)]
    for one, other in itertools.combinations(outer, 2):
        if _overlap(one.get("gridPos"), other.get("gridPos")):
            yield Problem(dashboardfile.title(other), f"overlaps {dashboardfile.title(one)}: move it")


def _overlap(one: Any, other: Any) -> bool:
    if not all(
        isinstance(each, Mapping) and all(isinstance(each.get(k), int) for k in "xywh") for each in (one, other)
    ):
        return False
    beside = one["x"] + one["w"] <= other["x"] or other["x"] + other["w"] <= one["x"]
    return not beside and one["y"] < other["y"] + other["h"] and other["y"] < one["y"] + one["h"]


RULES = {
    "readable": readable,
    "uneditable-dashboard": uneditable,
    "schema-version": version,
    "uid": named,
    "ids": ids,
    "ref-ids": ref_ids,
    "places": places,
}


def run(tree: Tree) -> Iterator[Spot]:
    yield from dashboardfile.findings(tree, RULES)


CHECK = Check(name="dashboard_layout", summary="a dashboard's panels have ids and places of their own", run=run)
