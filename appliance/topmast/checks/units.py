"""S7: a value is formatted as what it is: seconds as a duration, bytes in 1024s, a ratio in per cent."""

import re
from collections.abc import Iterator

import promql_parser as tree_types

from topmast import promql
from topmast.check import Check, Spot, Tree

_FORMATS = {"humanizePercentage": "ratio", "humanizeDuration": "seconds", "humanize1024": "bytes"}
_BY_UNIT = {unit: name for name, unit in _FORMATS.items()}
_USED = re.compile(r"\$value\s*\|\s*(\w+)|(\w+)\s+\$value")
_ADDITIVE = ("+", "-")


def run(tree: Tree) -> Iterator[Spot]:
    for rule, node in tree.expressions():
        if rule.kind != "alert":
            continue
        unit = unit_of(node)
        if unit is None:
            continue
        for name, text in rule.annotations.items():
            for match in _USED.finditer(text):
                used = match[1] or match[2]
                meant = _FORMATS.get(used)
                wanted = _BY_UNIT.get(unit)
                if meant != unit and (meant is not None or wanted is not None):
                    use = wanted or "humanize or printf"
                    message = f"{rule.name}: {name}: the value is {_said(unit)}: use {use}, not {used}"
                    yield Spot(rule.file, rule.at(f"annotations.{name}"), message)


def unit_of(node: promql.Node) -> str | None:
    """Return `ratio`, `seconds`, `bytes`, `count`, or None where it cannot be told. The value is the left side's."""
    node = promql.bare(node)
    if isinstance(node, tree_types.BinaryExpr):
        operator = promql.operator(node)
        if operator in (*promql.COMPARISONS, "and", "or", "unless"):
            return unit_of(node.rhs if isinstance(promql.bare(node.lhs), tree_types.NumberLiteral) else node.lhs)
        left, right = unit_of(node.lhs), unit_of(node.rhs)
        if operator == "/":
            return "ratio" if left is not None and left == right else None
        return left if operator in _ADDITIVE and left == right else None
    if isinstance(node, tree_types.AggregateExpr):
        return "count" if promql.operator(node) == "count" else unit_of(node.expr)
    if isinstance(node, tree_types.Call):
        return _called(node)
    if isinstance(node, tree_types.VectorSelector):
        return _named(promql.metric_name(node))
    return None


def _called(node: promql.Node) -> str | None:
    name = node.func.name
    if name == "histogram_quantile":
        names = promql.metric_names(node)
        return _named(names[0].removesuffix("_bucket")) if names else None
    if name in ("increase", "delta", "max_over_time", "min_over_time", "avg_over_time", "abs", "predict_linear"):
        inner = promql.bare(node.args[0])
        selector = inner.vector_selector if isinstance(inner, tree_types.MatrixSelector) else inner
        return unit_of(selector)
    if name in ("rate", "irate"):
        # Seconds a second are a share of the time.
        return "ratio" if _named(promql.metric_names(node)[0]) == "seconds" else None
    return None


def _named(name: str) -> str | None:
    if ":" in name:
        level_metric, _, operation = name.rpartition(":")
        if operation.startswith("ratio"):
            return "ratio"
        return _named(level_metric.rpartition(":")[2]) if re.match(r"p\d\d|max|min|avg|sum", operation) else None
    stem = name.removesuffix("_total").removesuffix("_sum")
    for ending, unit in (("_seconds", "seconds"), ("_bytes", "bytes"), ("_ratio", "ratio"), ("_percent", None)):
        if stem.endswith(ending):
            return unit
    return None


def _said(unit: str) -> str:
    return {"ratio": "a ratio", "seconds": "in seconds", "bytes": "in bytes", "count": "a number"}[unit]


CHECK = Check(name="units", summary="values are formatted as what they are", run=run)
