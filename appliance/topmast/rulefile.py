"""Rule files as values: every rule with the place where it stands. Source: prometheus/model/rulefmt/rulefmt.go.

One mistake in one file, and Prometheus refuses to start: what it refuses is a problem here. A PrometheusRule of the
operator is read too: its `spec` is a rule file.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from topmast import promql, yamltext


@dataclass(frozen=True)
class Rule:
    """One alert or recording rule."""

    name: str
    kind: str
    """`alert` or `record`."""
    expr: str
    file: Path
    line: int
    """The line of its `- alert:` or `- record:`."""
    group: str
    duration: str = ""
    """The `for`; "" when there is none."""
    keep_firing_for: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)
    lines: Mapping[str, int] = field(default_factory=dict)
    """The line of each of its fields (`expr`, `for`, `labels`, `annotations.summary`, …)."""

    def at(self, part: str) -> int:
        """Return the line of a part of the rule, else of the rule itself."""
        return self.lines.get(part, self.line)


@dataclass(frozen=True)
class Problem:
    """Why a file, or a part of it, is no rule file."""

    line: int
    message: str


RULE_FIELDS = {"alert", "record", "expr", "for", "keep_firing_for", "labels", "annotations"}
GROUP_FIELDS = {"name", "interval", "limit", "rules"}
# rulefmt.Rule.Validate: what only an alert has.
_ALERT_FIELDS = ("for", "keep_firing_for", "annotations")
# model.LabelNameRE and model.MetricNameLabel.
_LABEL_NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
_METRIC_NAME = "__name__"


def read(path: Path, text: str) -> tuple[list[Rule], list[Problem]]:
    """Return the rules of a file and what is wrong with it. Never raises: a broken file is a list of problems."""
    try:
        root = yamltext.compose(text)
    except yamltext.NotYamlError as error:
        return [], [Problem(error.line, str(error))]
    if root is None:
        return [], [Problem(1, "an empty rule file: remove it, or write `groups: []`")]
    repeated = list(yamltext.repeated(root))
    root = _specification(root)
    if not isinstance(root, yaml.MappingNode):
        return [], [Problem(_line(root), "a rule file is a mapping with the key `groups`: write `groups:` above it")]
    problems = [
        Problem(line, f"{_cut(key)} stands twice (line {first}): Prometheus refuses the file; remove one")
        for line, key, first in repeated
    ]
    rules: list[Rule] = []
    seen: dict[str, int] = {}
    for key, value in _pairs(root):
        if key.value != "groups":
            problems.append(Problem(_line(key), f"unknown key {_cut(key.value)}: a rule file has `groups` only"))
            continue
        for group in _items(value, "groups", problems):
            rules += _group(path, group, seen, problems)
    return rules, problems


def _specification(root: yaml.Node) -> yaml.Node:
    """Return the `spec` of a PrometheusRule of Kubernetes; any other document as it is."""
    fields = {key.value: value for key, value in _pairs(root)} if isinstance(root, yaml.MappingNode) else {}
    is_wrapped = _text(fields.get("kind")) == "PrometheusRule" and "spec" in fields
    return fields["spec"] if is_wrapped else root


def _group(path: Path, node: yaml.Node, seen: dict[str, int], problems: list[Problem]) -> list[Rule]:
    if not isinstance(node, yaml.MappingNode):
        problems.append(Problem(_line(node), "a group is a mapping with `name` and `rules`"))
        return []
    fields = {key.value: value for key, value in _pairs(node)}
    for key, _ in _pairs(node):
        if key.value not in GROUP_FIELDS:
            problems.append(
                Problem(
                    _line(key), f"unknown key {_cut(key.value)} in a group (Prometheus 2.42 refuses it): remove it"
                )
            )
    name = _text(fields.get("name"))
    if not name:
        problems.append(Problem(_line(node), "a group needs a `name`"))
    elif name in seen:
        problems.append(Problem(_line(node), f"group {_cut(name)} stands twice (line {seen[name]}): rename one"))
    else:
        seen[name] = _line(node)
    _duration(fields.get("interval"), f"group {_cut(name)}: interval", problems)
    limit = fields.get("limit")
    if limit is not None and not _text(limit).lstrip("-").isdecimal():
        problems.append(Problem(_line(limit), f"group {_cut(name)}: limit: not a whole number: {_cut(_text(limit))}"))
    rules = []
    for item in _items(fields.get("rules"), "rules", problems):
        rule = _rule(path, name, item, problems)
        if rule is not None:
            rules.append(rule)
    return rules


def _rule(path: Path, group: str, node: yaml.Node, problems: list[Problem]) -> Rule | None:
    if not isinstance(node, yaml.MappingNode):
        problems.append(Problem(_line(node), "a rule is a mapping with `alert` or `record`, and `expr`"))
        return None
    fields: dict[str, yaml.Node] = {}
    lines: dict[str, int] = {}
    for key, value in _pairs(node):
        if key.value not in RULE_FIELDS:
            problems.append(
                Problem(
                    _line(key), f"unknown key {_cut(key.value)} in a rule (Prometheus 2.42 refuses it): remove it"
                )
            )
        fields[key.value] = value
        lines[key.value] = _line(key)
    kinds = [kind for kind in ("alert", "record") if kind in fields]
    name = _text(fields.get(kinds[0])) if len(kinds) == 1 else ""
    if not name:
        problems.append(Problem(_line(node), "a rule has exactly one of `alert` and `record`, with a name"))
        return None
    expr = fields.get("expr")
    if expr is None or not _text(expr).strip():
        problems.append(Problem(_line(node), f"{_cut(name)} has no `expr`"))
        return None
    _duration(fields.get("keep_firing_for"), f"{_cut(name)}: keep_firing_for", problems)
    for part in _ALERT_FIELDS if kinds == ["record"] else ():
        if part in fields:
            problems.append(
                Problem(
                    lines[part], f"{_cut(name)}: a recording rule has no `{part}` (Prometheus refuses it): remove it"
                )
            )
    # A block scalar's text starts on the line after its key.
    lines["expr"] = _line(expr) + (1 if isinstance(expr, yaml.ScalarNode) and expr.style in ("|", ">") else 0)
    texts: dict[str, dict[str, str]] = {"labels": {}, "annotations": {}}
    for part, found in texts.items():
        given = fields.get(part)
        if given is None or (isinstance(given, yaml.ScalarNode) and given.value in ("", "null", "~")):
            continue
        if not isinstance(given, yaml.MappingNode):
            problems.append(Problem(_line(given), f"{_cut(name)}: `{part}` is a mapping of names to texts"))
            continue
        for key, text in _pairs(given):
            found[key.value] = _text(text)
            lines[f"{part}.{key.value}"] = _line(key)
            if not isinstance(text, yaml.ScalarNode):
                problems.append(
                    Problem(_line(key), f"{_cut(name)}: {part}.{key.value}: not a text: put it in quotes")
                )
            if not _LABEL_NAME.fullmatch(key.value) or (part == "labels" and key.value == _METRIC_NAME):
                problems.append(
                    Problem(
                        _line(key),
                        f"{_cut(name)}: {part}: {_cut(key.value)} is no name Prometheus takes: letters, digits "
                        "and _, no digit first",
                    )
                )
    return Rule(
        name=name,
        kind=kinds[0],
        expr=_text(expr),
        file=path,
        line=_line(node),
        group=group,
        duration=_text(fields.get("for")),
        keep_firing_for=_text(fields.get("keep_firing_for")),
        labels=texts["labels"],
        annotations=texts["annotations"],
        lines=lines,
    )


def load(folder: Path, patterns: Sequence[str] = ("alerts/*.yml", "self/*.yml", "recording/*.yml")) -> list[Rule]:
    """Return the rules of the files below a folder, in order of pattern and file. Broken parts are left out."""
    found: list[Rule] = []
    for pattern in patterns:
        for path in sorted(folder.glob(pattern)):
            found += read(path, path.read_text(encoding="utf-8"))[0]
    return found


def _pairs(node: yaml.MappingNode) -> list[tuple[Any, yaml.Node]]:
    return [(key, value) for key, value in node.value if isinstance(key, yaml.ScalarNode)]


def _duration(node: yaml.Node | None, where: str, problems: list[Problem]) -> None:
    if node is None:
        return
    try:
        promql.milliseconds(_text(node))
    except ValueError as error:
        problems.append(Problem(_line(node), f"{where}: {error}; write it as 5m or 1h30m"))


def _items(node: yaml.Node | None, what: str, problems: list[Problem]) -> list[yaml.Node]:
    if node is None or (isinstance(node, yaml.ScalarNode) and node.value in ("", "null", "~")):
        return []
    if not isinstance(node, yaml.SequenceNode):
        problems.append(Problem(_line(node), f"`{what}` is a list"))
        return []
    return list(node.value)


def _text(node: yaml.Node | None) -> str:
    return str(node.value) if isinstance(node, yaml.ScalarNode) else ""


def _line(node: yaml.Node) -> int:
    mark = node.start_mark
    return 1 if mark is None else int(mark.line) + 1


def _cut(text: str) -> str:
    return repr(text if len(text) <= 80 else text[:79] + "…")
