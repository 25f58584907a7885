"""Every metric that a rule reads is in the contract (metrics.yml), with the labels that are used of it."""

from collections.abc import Iterator

import promql_parser as tree_types

from topmast import metrics, promlabels, promql
from topmast.check import Check, Spot, Tree
from topmast.targets import JOBS


def run(tree: Tree) -> Iterator[Spot]:
    for rule, node in tree.expressions():
        where = (rule.file, rule.at("expr"))
        for selector in promql.selectors(node):
            for matcher in selector.matchers.matchers:
                if matcher.name == "job" and matcher.op == tree_types.MatchOp.Equal and matcher.value not in JOBS:
                    yield Spot(*where, f'{rule.name}: job="{matcher.value}": no such job: {", ".join(JOBS)}')
            # `{__name__=~"a|b"}` reads the two
            for name in promql.metric_name(selector).split("|"):
                yield from (Spot(*where, f"{rule.name}: {said}") for said in _said(tree, selector, name))
        for part, _ in promql.walk(node):
            if not isinstance(part, tree_types.AggregateExpr):
                continue
            kind, grouped = promlabels.by(part)
            inner = promlabels.labels_of(part.expr, tree.labels)
            if kind == "by" and inner is not None:
                for label in sorted(grouped - inner):
                    yield Spot(*where, f"{rule.name}: grouped by {label}, which nothing in it has")


def _said(tree: Tree, selector: promql.Node, name: str) -> Iterator[str]:
    if name not in tree.records and metrics.load().get(name) is None:
        if ":" not in name:
            yield f"{name}: no metric of this name: correct it, or add it to the contract"
        return
    known = tree.labels(name)
    for matcher in selector.matchers.matchers:
        if known is not None and matcher.name not in known and matcher.name != "__name__":
            yield f"{name} has no label {matcher.name}: it has {', '.join(sorted(known))}"


CHECK = Check(name="metric_names", summary="rules read metrics and labels that exist", run=run, ours=True)
