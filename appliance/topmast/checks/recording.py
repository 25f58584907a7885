"""S10: recording rules are named level:metric:operation, defined before they are read, and read by somebody."""

import json
import re
from collections.abc import Iterator
from typing import Any

from topmast import promql
from topmast.check import Check, Spot, Tree

_NAME = re.compile(r"^[a-z][a-z0-9_]*:[a-z][a-z0-9_]*:[a-z0-9_]+$")
_RECORDED = re.compile(r"[a-z][a-z0-9_]*:[a-z][a-z0-9_]*:[a-z0-9_]+")


def run(tree: Tree) -> Iterator[Spot]:
    read = _in_dashboards(tree)
    for rule, node in tree.expressions():
        names = [name for name in promql.metric_names(node) if ":" in name]
        read.update(names)
        for name in names:
            record = tree.records.get(name)
            if record is None:
                if tree.ours:
                    yield Spot(rule.file, rule.at("expr"), f"{rule.name}: nobody records {name}: correct the name")
            elif (record.file, record.group) == (rule.file, rule.group) and record.line >= rule.line:
                yield Spot(rule.file, rule.at("expr"), f"{rule.name}: {name} is recorded below it: move that one up")
    for name, rule in tree.records.items():
        if not _NAME.match(name):
            yield Spot(rule.file, rule.line, f"{name}: a recording rule is named level:metric:operation")
        if tree.ours and name not in read:
            yield Spot(rule.file, rule.line, f"{name}: no rule and no panel reads it: remove it")


def _in_dashboards(tree: Tree) -> set[str]:
    found: set[str] = set()
    for path, text in tree.documents.items():
        if path.suffix == ".json":
            try:
                found.update(_expressions(json.loads(text)))
            except ValueError:
                continue
    return found


def _expressions(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for key, inner in value.items():
            if key == "expr" and isinstance(inner, str):
                yield from _RECORDED.findall(inner)
            else:
                yield from _expressions(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _expressions(inner)


CHECK = Check(name="recording", summary="recording rules: names, order, and who reads them", run=run)
