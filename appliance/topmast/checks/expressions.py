"""S8: what is wrong by its shape: no comparison, a raw counter, rate() of a gauge, too short a range."""

from collections.abc import Iterator
from datetime import timedelta

import promql_parser as tree_types

from topmast import metrics, promql
from topmast.check import Check, Spot, Tree
from topmast.rulefile import Rule

# Four scrapes of 15 seconds: with fewer, one missed scrape leaves a hole. `[1m]` has exactly four at best.
MIN_RANGE = timedelta(seconds=61)
OF_COUNTERS = ("rate", "irate", "increase", "resets")
OF_GAUGES = ("delta", "idelta", "deriv", "predict_linear", "holt_winters", "double_exponential_smoothing")
_UNSTABLE = ("topk", "bottomk", "limitk", "limit_ratio")
Path = tuple[promql.Node, ...]


def run(tree: Tree) -> Iterator[Spot]:
    for rule, node in tree.expressions():
        where = (rule.file, rule.at("expr"))
        if rule.kind == "alert" and not _is_heartbeat(rule) and not _filters(node):
            yield Spot(*where, f"{rule.name}: nothing is compared: it would fire for ever (in every arm of an `or`)")
        for part, above in promql.walk(node):
            for message in _problems(rule, part, above):
                yield Spot(*where, f"{rule.name}: {message}")


def _is_heartbeat(rule: Rule) -> bool:
    return rule.expr.replace(" ", "") == "vector(1)"


def _filters(node: promql.Node) -> bool:
    """Return whether an expression is empty when all is well."""
    node = promql.bare(node)
    if isinstance(node, tree_types.BinaryExpr):
        operator = promql.operator(node)
        if operator == "or":
            return _filters(node.lhs) and _filters(node.rhs)
        if operator in ("and", "unless"):
            return _filters(node.lhs) or _filters(node.rhs)
        return promql.is_comparison(node) or _filters(node.lhs) or _filters(node.rhs)
    if isinstance(node, tree_types.AggregateExpr):
        return _filters(node.expr)
    return isinstance(node, tree_types.Call) and node.func.name in ("absent", "absent_over_time")


def _problems(rule: Rule, node: promql.Node, above: Path) -> Iterator[str]:
    if isinstance(node, tree_types.SubqueryExpr):
        yield "a subquery: record the inner expression instead (2.42 and 3.x cut its steps differently)"
    elif isinstance(node, tree_types.AggregateExpr) and promql.operator(node) in _UNSTABLE:
        yield f"{promql.operator(node)} changes its series from one evaluation to the next: compare with a number"
    elif isinstance(node, tree_types.Call):
        yield from _called(rule, node)
    elif isinstance(node, tree_types.MatrixSelector) and node.range < MIN_RANGE:
        yield f"a range of {int(node.range.total_seconds())} s: use more than four scrapes, 2m at the least"
    elif isinstance(node, tree_types.VectorSelector):
        yield from _selected(node, above)
    elif promql.is_comparison(node) and promql.operator(node) == "==":
        names = promql.metric_names(node.lhs)
        zero = promql.bare(node.rhs)
        if isinstance(zero, tree_types.NumberLiteral) and zero.val == 0 and any(n.endswith("_info") for n in names):
            yield "an info metric is 1 or absent, never 0: use absent() or unless"


def _called(rule: Rule, node: promql.Node) -> Iterator[str]:
    name = node.func.name
    for metric in promql.metric_names(node):
        counter = metrics.load().is_counter(metric)
        if name in OF_COUNTERS and counter is False:
            yield f"{name}() of {metric}, which is no counter: compare the gauge itself, or use delta()"
        if name in OF_GAUGES and counter is True:
            yield f"{name}() of {metric}, which is a counter: use rate() or increase()"
    if rule.kind == "alert" and rule.duration and name.endswith("_over_time") and not name.startswith("absent"):
        yield f"{name} and `for` wait twice for the same thing: use one of them"


def _selected(node: promql.Node, above: Path) -> Iterator[str]:
    if node.at is not None:
        yield "an @ modifier: 2.42 and 3.x differ in it; use offset"
    name = promql.metric_name(node)
    for matcher in node.matchers.matchers:
        if matcher.name == "le" and matcher.op == tree_types.MatchOp.Equal and matcher.value != "+Inf":
            yield f'le="{matcher.value}" is written with or without .0 by client and version: use le=~'
        if matcher.op == tree_types.MatchOp.Re and matcher.value in (".*", ".+") and matcher.name == "__name__":
            yield "a selector of every metric: name them"
        if matcher.op == tree_types.MatchOp.Re and matcher.value == ".*":
            yield f'{matcher.name}=~".*" matches everything: leave it out'
    if metrics.load().is_counter(name) and not _counter_is_used_well(node, above):
        yield f"{name} is a counter and only ever grows: wrap it in rate() or increase()"


def _counter_is_used_well(node: promql.Node, above: Path) -> bool:
    for index in range(len(above) - 1, -1, -1):
        parent, child = above[index], above[index + 1] if index + 1 < len(above) else node
        if isinstance(parent, tree_types.Call) and (parent.func.name in OF_COUNTERS or "absent" in parent.func.name):
            return True
        if isinstance(parent, tree_types.AggregateExpr) and promql.operator(parent) in ("count", "group"):
            return True
        if isinstance(parent, tree_types.BinaryExpr) and promql.operator(parent) in ("and", "unless"):
            # As a condition only its presence counts; before `unless` it is compared with its own past.
            if child is parent.rhs:
                return True
            past = [each for each in promql.selectors(parent.rhs) if each.offset is not None]
            if promql.metric_name(node) in map(promql.metric_name, past):
                return True
    return False


CHECK = Check(name="expressions", summary="expressions that can never be right by their shape", run=run)
