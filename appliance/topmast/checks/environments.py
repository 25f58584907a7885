"""Every aggregation keeps `environment`: else staging's errors count as production's, and page."""

from collections.abc import Iterator

import promql_parser as tree_types

from topmast import promlabels, promql
from topmast.check import Check, Spot, Tree

LABEL = "environment"


def run(tree: Tree) -> Iterator[Spot]:
    for rule, node in tree.expressions():
        for part, _ in promql.walk(node):
            if isinstance(part, tree_types.AggregateExpr):
                kind, labels = promlabels.by(part)
                if (LABEL in labels) is (kind == "without"):
                    yield Spot(
                        rule.file,
                        rule.at("expr"),
                        f"{rule.name}: {promql.operator(part)} drops {LABEL}: add it to `by`",
                    )
            elif isinstance(part, tree_types.BinaryExpr):
                match = promlabels.matching(part)
                if match is not None and (LABEL in match[1]) is (match[0] == "ignoring") and not _is_absence(part):
                    yield Spot(rule.file, rule.at("expr"), f"{rule.name}: {match[0]} leaves {LABEL} out: add it")


def _is_absence(node: promql.Node) -> bool:
    """What is absent has no environment: whether it was declared is asked of every one."""
    left = promql.bare(node.lhs)
    return isinstance(left, tree_types.Call) and left.func.name == "absent" and promql.operator(node) == "and"


CHECK = Check(name="environments", summary="staging never counts as production", run=run, ours=True)
