"""Every metric that a panel reads is in the contract (metrics.yml) or recorded, and its labels and legends exist."""

import json
import re
from collections.abc import Iterator

import promql_parser as tree_types

from topmast import dashboardfile, metrics, promlabels, promql
from topmast.check import Check, Spot, Tree
from topmast.dashboardfile import File, Problem, Query

_LEGEND = re.compile(r"\{\{\s*([\w.]+)\s*\}\}")


def names(file: File) -> Iterator[Problem]:
    for query in file.queries:
        for selector in promql.selectors(query.parsed) if query.parsed is not None else []:
            for name in _meant(selector):
                if name not in file.tree.records and metrics.load().get(name) is None:
                    what = "no recording rule" if ":" in name else "no metric"
                    yield _at(query, f"{name}: {what} of this name: correct it, or add it to the contract")


def labels(file: File) -> Iterator[Problem]:
    for query in file.queries:
        for node, _ in promql.walk(query.parsed) if query.parsed is not None else []:
            if isinstance(node, tree_types.VectorSelector):
                known = file.tree.labels(promql.metric_name(node))
                for matcher in node.matchers.matchers:
                    if known is not None and matcher.name not in known | {"__name__"}:
                        yield _at(query, f"{promql.metric_name(node)} has no label {matcher.name}")
            elif isinstance(node, tree_types.AggregateExpr):
                kind, grouped = promlabels.by(node)
                inner = promlabels.labels_of(node.expr, file.tree.labels)
                for label in sorted(grouped - inner) if kind == "by" and inner is not None else []:
                    yield _at(query, f"grouped by {label}, which nothing in it has")


def legends(file: File) -> Iterator[Problem]:
    for query in file.queries:
        known = None if query.parsed is None else promlabels.labels_of(query.parsed, file.tree.labels)
        for label in _LEGEND.findall(str(query.target.get("legendFormat", ""))):
            if known is not None and label not in known:
                yield _at(query, f"its legend says {{{{{label}}}}}, which no series of it has")


def _meant(selector: promql.Node) -> list[str]:
    """Return the metrics that a selector names; those of `__name__=~"a|b"` each."""
    for matcher in selector.matchers.matchers:
        if matcher.name == "__name__" and str(matcher.op) == "MatchOp.Re":
            return str(matcher.value).split("|")
    return [promql.metric_name(selector)]


def _at(query: Query, message: str) -> Problem:
    return Problem(query.where, message, f'"expr": {json.dumps(query.expr, ensure_ascii=False)}')


RULES = {"metric-names": names, "label-names": labels, "legend-names": legends}


def run(tree: Tree) -> Iterator[Spot]:
    yield from dashboardfile.findings(tree, RULES)


CHECK = Check(name="dashboard_names", summary="panels read metrics and labels that exist", run=run, ours=True)
