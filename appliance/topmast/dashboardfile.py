"""Read dashboards as Grafana's classic JSON for the checks and proofs: panels, queries, variables, exclusions.

An exclusion stands in lint.yml beside the dashboards or one folder up: `RULE: [{dashboard, panel, reason}]`; without
`dashboard` or `panel` it is meant for all of them. Every one says its reason, and one that excludes nothing is a
finding.
"""

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from topmast import check, promql
from topmast.check import Spot, Tree

EXCLUSIONS = "lint.yml"
# $name, ${name}, ${name:format}, [[name]]; not the ${1} of label_replace.
REFERENCE = re.compile(r"\$([A-Za-z_]\w*)|\$\{([A-Za-z_]\w*)(?::\w+)?\}|\[\[(\w+)(?::\w+)?\]\]")
# What stands for Grafana's own variables where an expression only has to parse.
BUILT_IN = {
    "__interval": "1m",
    "__interval_ms": "60000",
    "__range": "1h",
    "__range_s": "3600",
    "__range_ms": "3600000",
    "__rate_interval": "1m",
    "__from": "0",
    "__to": "3600000",
    "__auto": "1m",
}


@dataclass(frozen=True)
class Query:
    """One query of a panel, or of an annotation."""

    panel: str
    """The panel's title."""
    ref: str
    expr: str
    target: Mapping[str, Any]
    kind: str
    """The panel's type; `annotation`."""

    @property
    def where(self) -> str:
        return f"{self.panel}, {self.ref}"

    @cached_property
    def parsed(self) -> promql.Node | None:
        """The tree, every variable standing for `.*`; None when it does not parse."""
        try:
            return promql.parse(substituted(self.expr, {}))
        except ValueError:
            return None


@dataclass(frozen=True)
class File:
    """One dashboard."""

    path: Path
    text: str
    model: Mapping[str, Any]
    tree: Tree
    """What stands beside it: the alerts and recording rules."""

    @property
    def name(self) -> str:
        return self.path.stem

    @cached_property
    def boxes(self) -> list[Mapping[str, Any]]:
        """Every panel and row, those inside collapsed rows too."""
        found: list[Mapping[str, Any]] = []
        for each in _mappings(self.model.get("panels")):
            found += [each, *_mappings(each.get("panels"))]
        return found

    @cached_property
    def panels(self) -> list[Mapping[str, Any]]:
        return [each for each in self.boxes if each.get("type") != "row"]

    @cached_property
    def variables(self) -> list[Mapping[str, Any]]:
        return _mappings(_inside(self.model, "templating", "list"))

    @cached_property
    def annotations(self) -> list[Mapping[str, Any]]:
        return _mappings(_inside(self.model, "annotations", "list"))

    @cached_property
    def queries(self) -> list[Query]:
        """Every PromQL query, annotations' last."""
        found = [
            Query(title(panel), str(target.get("refId", "?")), target["expr"], target, str(panel.get("type")))
            for panel in self.panels
            for target in targets(panel)
            if isinstance(target.get("expr"), str) and _speaks(panel, target, "prometheus")
        ]
        return found + [
            Query(str(each.get("name")), "annotation", each["expr"], each, "annotation")
            for each in self.annotations
            if isinstance(each.get("expr"), str)
        ]


@dataclass(frozen=True)
class Problem:
    """What a rule sees: in which panel (or other part), what is wrong, and a text that stands at its line."""

    place: str
    message: str
    needle: str = ""


Rule = Callable[[File], Iterator[Problem]]


def read(tree: Tree) -> list[File]:
    """Return the dashboards among the documents. A .json that is no JSON is one too when its folder says so."""
    found = []
    for path, text in tree.documents.items():
        if path.suffix != ".json":
            continue
        try:
            model = json.loads(text)
        except (ValueError, RecursionError):
            if path.parent.name == "dashboards":
                found.append(File(path, text, {}, tree))
            continue
        if isinstance(model, dict) and isinstance(model.get("panels"), list):
            found.append(File(path, text, model, tree))
    return found


def findings(tree: Tree, rules: Mapping[str, Rule]) -> Iterator[Spot]:
    """Yield what the rules see in every dashboard and no exclusion allows, then exclusions without use or reason."""
    excluded: dict[Path, list[dict[str, Any]]] = {}
    used: set[int] = set()
    for file in read(tree):
        allowed = next(
            (
                path
                for path in (file.path.parent / EXCLUSIONS, file.path.parent.parent / EXCLUSIONS)
                if path.is_file()
            ),
            None,
        )
        entries = [] if allowed is None else excluded.setdefault(allowed, _exclusions(allowed, rules))
        for name, rule in rules.items():
            for problem in rule(file):
                entry = next((each for each in entries if _covers(each, name, file, problem)), None)
                if entry is not None:
                    used.add(id(entry))
                    continue
                line = check.line_of(file.text, problem.needle or f'"title": {json.dumps(problem.place)}')
                yield Spot(file.path, line, f"{problem.place}: {problem.message} ({name})")
    for path, entries in excluded.items():
        text = path.read_text(encoding="utf-8")
        for entry in entries:
            line = check.line_of(text, f"{entry['rule']}:")
            if not entry.get("reason"):
                yield Spot(path, line, f"{entry['rule']}: an exclusion without a reason: say why")
            elif id(entry) not in used:
                told = ", ".join(str(entry[key]) for key in ("dashboard", "panel") if key in entry)
                yield Spot(path, line, f"{entry['rule']}: {told or 'it'} excludes nothing: remove it")


def title(panel: Mapping[str, Any]) -> str:
    return str(panel.get("title") or f"panel {panel.get('id')}")


def targets(panel: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return _mappings(panel.get("targets"))


def defaults(panel: Mapping[str, Any]) -> Mapping[str, Any]:
    found = _inside(panel, "fieldConfig", "defaults")
    return found if isinstance(found, dict) else {}


def steps(panel: Mapping[str, Any]) -> list[float]:
    """Return the thresholds of a panel where a colour begins, those of its overrides too."""
    configured = [defaults(panel).get("thresholds")]
    for override in _mappings(_inside(panel, "fieldConfig", "overrides")):
        configured += [
            each.get("value") for each in _mappings(override.get("properties")) if each.get("id") == "thresholds"
        ]
    return [
        step["value"]
        for each in configured
        if isinstance(each, dict)
        for step in _mappings(each.get("steps"))
        if isinstance(step.get("value"), int | float)
    ]


def datasource(panel: Mapping[str, Any], target: Mapping[str, Any]) -> tuple[str, str]:
    """Return type and uid of what a target asks; "" for what is not said."""
    found = target.get("datasource") or panel.get("datasource") or {}
    if isinstance(found, str):
        return "", found
    return str(found.get("type") or ""), str(found.get("uid") or "")


def references(text: str) -> set[str]:
    """Return the names of the variables that a text refers to."""
    return {next(filter(None, match.groups())) for match in REFERENCE.finditer(text)}


def substituted(expr: str, values: Mapping[str, str]) -> str:
    """Return an expression with its variables put in; `.*` for those without a value."""

    def put(match: re.Match[str]) -> str:
        name = next(filter(None, match.groups()))
        return values.get(name, BUILT_IN.get(name, ".*"))

    return REFERENCE.sub(put, expr)


def _speaks(panel: Mapping[str, Any], target: Mapping[str, Any], language: str) -> bool:
    kind, uid = datasource(panel, target)
    return kind in ("", language) and not (kind == "" and uid == "logs")


def _exclusions(path: Path, rules: Mapping[str, Rule]) -> list[dict[str, Any]]:
    value = check.load_yaml(path.read_text(encoding="utf-8"))
    if not isinstance(value, dict):
        return []
    return [{**each, "rule": rule} for rule in rules for each in _mappings(value.get(rule))]


def _covers(entry: Mapping[str, Any], rule: str, file: File, problem: Problem) -> bool:
    return (
        bool(entry.get("reason"))
        and entry["rule"] == rule
        and entry.get("dashboard", file.name) == file.name
        and problem.place.startswith(str(entry.get("panel", "")))
    )


def _mappings(value: Any) -> list[Mapping[str, Any]]:
    return [each for each in value if isinstance(each, dict)] if isinstance(value, Sequence) else []


def _inside(value: Any, *keys: str) -> Any:
    for key in keys:
        value = value.get(key) if isinstance(value, dict) else None
    return value
