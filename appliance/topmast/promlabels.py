"""Which labels the result of a PromQL expression has (prometheus/promql/engine.go: resultMetric, aggregation).

A result's labels are a set of names, or None when they cannot be known (a metric that is not in the contract).
"""

from collections.abc import Callable, Mapping

import promql_parser as tree

from topmast import promql
from topmast.metrics import Metrics

Labels = frozenset[str] | None
Lookup = Callable[[str], Labels]

_NO_LABELS: frozenset[str] = frozenset()
_SET_OPERATORS = ("and", "or", "unless")
# These return a scalar, or a vector without labels.
_EMPTY = {"time", "vector", "scalar", "pi", "minute", "hour", "month", "year", "day_of_week", "day_of_month"}


def lookup(metrics: Metrics, recorded: Mapping[str, str]) -> Lookup:
    """Return a function from a metric's name to its labels; recording rules are worked out from their expressions."""
    known: dict[str, Labels] = {}

    def find(name: str) -> Labels:
        if name in known:
            return known[name]
        if name in recorded:
            known[name] = None  # a rule that reads itself: nothing is known
            known[name] = labels_of(promql.parse(recorded[name]), find)
            return known[name]
        metric = metrics.get(name)
        return None if metric is None else metric.labels

    return find


def labels_of(node: promql.Node, find: Lookup) -> Labels:
    """Return the labels that a sample of the result may have, without the metric's name."""
    node = promql.bare(node)
    if isinstance(node, tree.NumberLiteral | tree.StringLiteral):
        return _NO_LABELS
    if isinstance(node, tree.VectorSelector):
        found = find(promql.metric_name(node))
        return None if found is None else found | {matcher.name for matcher in node.matchers.matchers} - {"__name__"}
    if isinstance(node, tree.MatrixSelector):
        return labels_of(node.vector_selector, find)
    if isinstance(node, tree.UnaryExpr | tree.SubqueryExpr):
        return labels_of(node.expr, find)
    if isinstance(node, tree.AggregateExpr):
        return _aggregated(node, find)
    if isinstance(node, tree.Call):
        return _called(node, find)
    if isinstance(node, tree.BinaryExpr):
        return _combined(node, find)
    return None


def by(node: promql.Node) -> tuple[str, frozenset[str]]:
    """Return how an aggregation groups: ("by", labels) or ("without", labels)."""
    if node.modifier is None:
        return "by", _NO_LABELS
    kind = "by" if "By" in str(node.modifier.type) or "Include" in str(node.modifier.type) else "without"
    return kind, frozenset(node.modifier.labels)


def matching(node: promql.Node) -> tuple[str, frozenset[str]] | None:
    """Return how a binary operation matches: ("on", labels), ("ignoring", labels), or None: by all labels."""
    modifier = node.modifier
    if modifier is None or modifier.matching is None:
        return None
    kind = "on" if "Include" in str(modifier.matching.type) else "ignoring"
    return kind, frozenset(modifier.matching.labels)


def _aggregated(node: promql.Node, find: Lookup) -> Labels:
    inner = labels_of(node.expr, find)
    if promql.operator(node) in ("topk", "bottomk", "limitk", "limit_ratio"):
        return inner
    kind, labels = by(node)
    if kind == "by":
        grouped: Labels = labels if inner is None else labels & inner
    else:
        grouped = None if inner is None else inner - labels
    if promql.operator(node) == "count_values" and grouped is not None:
        return grouped | {promql.bare(node.param).val}
    return grouped


def _called(node: promql.Node, find: Lookup) -> Labels:
    name, arguments = node.func.name, node.args
    if name in _EMPTY or not arguments:
        return _NO_LABELS
    if name in ("absent", "absent_over_time"):
        # Only what an equality says of the series that is not there.
        selector = next(iter(promql.selectors(arguments[0])), None)
        if not isinstance(promql.bare(arguments[0]), tree.VectorSelector | tree.MatrixSelector) or selector is None:
            return _NO_LABELS
        return frozenset(
            matcher.name
            for matcher in selector.matchers.matchers
            if matcher.op == tree.MatchOp.Equal and matcher.name != "__name__"
        )
    vector = next(
        (each for each in arguments if not isinstance(promql.bare(each), tree.NumberLiteral | tree.StringLiteral)),
        None,
    )
    found = _NO_LABELS if vector is None else labels_of(vector, find)
    if found is None:
        return None
    if name == "histogram_quantile":
        return found - {"le"}
    if name in ("label_replace", "label_join"):
        return found | {promql.bare(arguments[1]).val}
    return found


def _combined(node: promql.Node, find: Lookup) -> Labels:
    left, right = labels_of(node.lhs, find), labels_of(node.rhs, find)
    operator = promql.operator(node)
    if operator == "or":
        return None if left is None or right is None else left | right
    if operator in _SET_OPERATORS:
        return left
    if isinstance(promql.bare(node.lhs), tree.NumberLiteral) or _is_scalar(node.lhs):
        return right
    if isinstance(promql.bare(node.rhs), tree.NumberLiteral) or _is_scalar(node.rhs):
        return left
    match = matching(node)
    cardinality = str(node.modifier.card) if node.modifier is not None else ""
    if "ManyToOne" in cardinality or "OneToMany" in cardinality:
        many = left if "ManyToOne" in cardinality else right
        return None if many is None else many | frozenset(node.modifier.group_labels or ())
    if match is None:
        return left
    kind, labels = match
    if kind == "on":
        return labels if left is None else labels & left
    return None if left is None else left - labels


def _is_scalar(node: promql.Node) -> bool:
    node = promql.bare(node)
    if isinstance(node, tree.BinaryExpr):
        return _is_scalar(node.lhs) and _is_scalar(node.rhs)
    if isinstance(node, tree.UnaryExpr):
        return _is_scalar(node.expr)
    return isinstance(node, tree.NumberLiteral) or (
        isinstance(node, tree.Call) and node.func.name in ("time", "scalar", "pi")
    )
