"""S9: a ratio of rates says when it holds (`> 0` below the line, `or 0 *` above it); absence waits."""

from collections.abc import Iterator

import promql_parser as tree_types

from topmast import promql
from topmast.check import Check, Spot, Tree

TWO_SCRAPES = 30_000
_RATES = ("rate", "irate", "increase")


def run(tree: Tree) -> Iterator[Spot]:
    for rule, node in tree.expressions():
        where = (rule.file, rule.at("expr"))
        for part, _ in promql.walk(node):
            if isinstance(part, tree_types.BinaryExpr) and promql.operator(part) == "/":
                for message in _ratio(tree, part):
                    yield Spot(*where, f"{rule.name}: {message}")
            if isinstance(part, tree_types.Call) and part.func.name == "absent" and rule.kind == "alert":
                try:
                    wait = promql.milliseconds(rule.duration) if rule.duration else 0
                except ValueError:
                    continue
                if wait < TWO_SCRAPES:
                    yield Spot(*where, f"{rule.name}: absent() without a `for` of two scrapes fires at every restart")


def _ratio(tree: Tree, node: promql.Node) -> Iterator[str]:
    below = promql.bare(node.rhs)
    if not _is_rate(below):
        return
    if not _is_filtered(below):
        yield "a ratio of rates is 0/0 without traffic: put `> 0` (or a floor) behind what it is divided by"
    above = promql.bare(node.lhs)
    if _narrower(tree, above, below) and not (
        isinstance(above, tree_types.BinaryExpr) and promql.operator(above) == "or"
    ):
        yield "what is counted may be missing altogether, and the ratio with it: add `or 0 * …` above the line"


def _is_rate(node: promql.Node) -> bool:
    for part, _ in promql.walk(node):
        if isinstance(part, tree_types.Call) and part.func.name in _RATES:
            return True
        if isinstance(part, tree_types.VectorSelector):
            operation = promql.metric_name(part).rpartition(":")[2]
            if ":" in promql.metric_name(part) and operation.startswith(("rate", "increase")):
                return True
    return False


def _is_filtered(node: promql.Node) -> bool:
    return any(promql.is_comparison(part) for part, _ in promql.walk(node))


def _narrower(tree: Tree, above: promql.Node, below: promql.Node) -> bool:
    """Return whether the numerator picks some of the denominator's series by a label that may not be there yet."""
    whole = {promql.metric_name(each): str(each.matchers) for each in _flat(tree, below)}
    return any(
        str(each.matchers) != whole.get(promql.metric_name(each), str(each.matchers))
        for each in promql.selectors(above)
    )


def _flat(tree: Tree, node: promql.Node) -> Iterator[promql.Node]:
    """Yield the selectors of an expression, those of the recording rules in it included."""
    for each in promql.selectors(node):
        record = tree.records.get(promql.metric_name(each))
        if record is not None and id(record) in tree.parsed:
            yield from _flat(tree, tree.parsed[id(record)])
        else:
            yield each


CHECK = Check(name="guards", summary="ratios say when they hold, absence waits", run=run)
