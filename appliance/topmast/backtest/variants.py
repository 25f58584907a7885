"""The same rule with another threshold: values are asked once, thresholds are tried on them."""

import bisect
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import promql_parser as tree_types

from topmast import promql
from topmast.backtest.figures import Figures
from topmast.backtest.history import Past, held
from topmast.backtest.states import Episode, episodes
from topmast.errors import TopmastError
from topmast.rulefile import Rule

# So many different values are tried at the most when a threshold is looked for.
_TRIES = 64
_BEYOND = "1000000000000000"
_COMPARE: dict[str, Callable[[float, float], bool]] = {
    ">": lambda value, limit: value > limit,
    ">=": lambda value, limit: value >= limit,
    "<": lambda value, limit: value < limit,
    "<=": lambda value, limit: value <= limit,
}


@dataclass(frozen=True)
class Shape:
    """`VALUE > THRESHOLD`, alone or before `and`/`unless`: what the expression returns is what it compares."""

    operator: str
    threshold: float


def shape(rule: Rule) -> Shape | None:
    """Return the rule's shape; None for one whose threshold is a word, or stands elsewhere."""
    try:
        threshold = float(rule.annotations.get("threshold", ""))
        node = promql.bare(promql.parse(rule.expr))
    except ValueError:
        return None
    while isinstance(node, tree_types.BinaryExpr) and promql.operator(node) in ("and", "unless"):
        node = promql.bare(node.lhs)
    if not isinstance(node, tree_types.BinaryExpr) or promql.operator(node) not in _COMPARE:
        return None
    limit = promql.bare(node.rhs)
    if not isinstance(limit, tree_types.NumberLiteral) or float(limit.val) != threshold:
        return None
    return Shape(promql.operator(node), threshold)


def unlimited(rule: Rule, found: Shape) -> str:
    """Return the expression with a threshold that everything crosses: it returns the value wherever guards hold."""
    beyond = f"-{_BEYOND}" if found.operator.startswith(">") else _BEYOND
    return _edited(rule, beyond)


def with_threshold(rule: Rule, threshold: float) -> Rule:
    """Return the rule with another threshold. Raises TopmastError for one that has none."""
    try:
        float(rule.annotations.get("threshold", ""))
    except ValueError as error:
        raise TopmastError(
            f"{rule.name}: it has no threshold to change (it says {rule.annotations.get('threshold')})"
        ) from error
    text = f"{threshold:.12f}".rstrip("0").rstrip(".")
    return replace(rule, expr=_edited(rule, text), annotations={**rule.annotations, "threshold": text})


def _edited(rule: Rule, number: str) -> str:
    old = float(rule.annotations["threshold"])
    return promql.edited(rule.expr, number=lambda text: number if float(text) == old else text)


def at(past: Past, found: Shape, threshold: float, wait: float) -> list[Episode]:
    """Return the episodes with a threshold, out of values that were asked without one."""
    compare = _COMPARE[found.operator]
    times = held(past, lambda value: compare(value, threshold))
    return episodes({labels: each for labels, each in times.items() if each}, past.grid.moments(), wait)


def suggested(
    past: Past, found: Shape, wait: float, count: Callable[[Sequence[Episode]], Figures], wanted: float
) -> tuple[float, Figures] | None:
    """Return the threshold nearest to the present one that fires at most `wanted` times a week, and its figures.

    None when no value that was ever seen makes it so quiet: the alert was right, or the `for` is too short.
    """
    values = sorted({round(value, 6) for each in past.values.values() for value in each.values()})
    if found.operator.startswith("<"):
        values = [-value for value in reversed(values)]
    sign = -1.0 if found.operator.startswith("<") else 1.0
    beyond = values[bisect.bisect_left(values, sign * found.threshold) :]
    step = max(1, len(beyond) // _TRIES)
    tries = [_rounded(sign * value, sign) for value in [*beyond[::step], *beyond[-1:]]]
    for threshold in [found.threshold, *tries]:
        result = count(at(past, found, threshold, wait))
        if result.per_week <= wanted:
            return threshold, result
    return None


def _rounded(value: float, sign: float) -> float:
    """Return the value with three digits, rounded to the quiet side: as a person would write it."""
    if value == 0:
        return 0.0
    scale = 10.0 ** (math.floor(math.log10(abs(value))) - 2)
    rounded = math.ceil(value / scale) if sign > 0 else math.floor(value / scale)
    return float(f"{rounded * scale:.6g}")
