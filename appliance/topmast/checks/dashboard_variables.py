"""The choices at the head of a dashboard: they exist, they are used, and they follow the time range.

The rules template-… are those of Grafana's dashboard-linter, under its names.
"""

import json
import re
from collections.abc import Iterator

from topmast import dashboardfile, promql
from topmast.check import Check, Spot, Tree
from topmast.dashboardfile import BUILT_IN, File, Problem

_LABEL_VALUES = re.compile(r"^\s*label_values\(\s*(?:(.+)\s*,\s*)?([a-zA-Z_]\w*)\s*\)\s*$", re.DOTALL)
_ON_TIME_CHANGE = 2


def datasource(file: File) -> Iterator[Problem]:
    if file.model and not any(each.get("type") == "datasource" for each in file.variables):
        yield Problem(file.name, "no variable of the type datasource", '"templating"')


def job(file: File) -> Iterator[Problem]:
    yield from _missing(file, "job")


def instance(file: File) -> Iterator[Problem]:
    yield from _missing(file, "instance")


def label_promql(file: File) -> Iterator[Problem]:
    for each in file.variables:
        if each.get("type") != "query":
            continue
        asked = each.get("query")
        text = str(asked.get("query", "")) if isinstance(asked, dict) else str(asked)
        found = _LABEL_VALUES.match(text)
        if found is None:
            yield _about(each, f"{text[:80]!r} is not label_values(metric, label)")
            continue
        try:
            promql.parse(dashboardfile.substituted(found[1] or "up", {}))
        except ValueError:
            yield _about(each, f"{found[1]!r} is not PromQL")


def reload(file: File) -> Iterator[Problem]:
    for each in file.variables:
        if each.get("type") == "query" and each.get("refresh") != _ON_TIME_CHANGE:
            yield _about(each, "its values are not asked again when the time range changes: set refresh to 2")


def used(file: File) -> Iterator[Problem]:
    text = json.dumps([*file.boxes, *file.annotations])
    others = {str(each.get("name")): json.dumps(each.get("query")) for each in file.variables}
    for each in file.variables:
        name = str(each.get("name"))
        read = dashboardfile.references(text) | {
            found for other, query in others.items() if other != name for found in dashboardfile.references(query)
        }
        if each.get("type") != "datasource" and name not in read:
            yield _about(each, "nothing reads it: remove the choice, or use it")


def defined(file: File) -> Iterator[Problem]:
    known = {str(each.get("name")) for each in file.variables} | BUILT_IN.keys()
    for query in file.queries:
        for name in sorted(dashboardfile.references(query.expr) - known):
            yield Problem(query.where, f"${name} is no variable of this dashboard", json.dumps(query.expr)[1:-1])


def _missing(file: File, name: str) -> Iterator[Problem]:
    if file.model and not any(each.get("name") == name for each in file.variables):
        yield Problem(file.name, f"no variable {name}", '"templating"')


def _about(variable: object, message: str) -> Problem:
    name = variable.get("name") if isinstance(variable, dict) else ""
    return Problem(f"variable {name}", message, f'"name": {json.dumps(name)}')


RULES = {
    "template-datasource-rule": datasource,
    "template-job-rule": job,
    "template-instance-rule": instance,
    "template-label-promql-rule": label_promql,
    "template-on-time-change-reload-rule": reload,
    "used-variables": used,
    "defined-variables": defined,
}


def run(tree: Tree) -> Iterator[Spot]:
    yield from dashboardfile.findings(tree, RULES)


CHECK = Check(name="dashboard_variables", summary="a dashboard's choices exist, are used and stay fresh", run=run)
