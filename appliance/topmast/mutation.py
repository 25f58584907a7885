"""Small wrong changes of a rule, one at a time: what a test suite is worth is how many of them it notices.

M1 a threshold 25 % higher or 20 % lower · M2 a comparison turned around · M3 `and` for `or`, `unless` for `and` ·
M4 a range three times as long · M5 no `for`, or twice as long · M6 a label matcher dropped · M7 the other severity.
A threshold of 0 has no 25 %; `offset` is left alone.
"""

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial

import promql_parser as tree

from topmast import promql
from topmast.rulefile import Rule

_TURNED = {">": "<", "<": ">", ">=": "<=", "<=": ">=", "==": "!=", "!=": "=="}
_OTHER_SEVERITY = {"critical": "warning", "warning": "critical"}
_FACTORS = (("+25%", 1.25), ("-20%", 0.8))


@dataclass(frozen=True)
class Mutant:
    """A rule with one thing changed."""

    id: str
    """`M1 3 +25%`: the operator, which of its places (from the left, from 1), and the change."""
    change: str
    """What was changed, for people: `0.85 -> 1.0625`."""
    rule: Rule


def mutants(rule: Rule) -> Iterator[Mutant]:
    """Yield every mutant of a rule. Each parses, and differs from the rule and from the others."""
    seen = {promql.parse(rule.expr).prettify()}
    for kind, change in _EXPRESSION_KINDS:
        for variant in range(len(_FACTORS) if kind == "M1" else 1):
            for place in itertools.count(1):
                text, said, found = _changed(rule.expr, place, partial(change, variant=variant))
                if not found:
                    break
                if text not in seen:
                    seen.add(text)
                    yield Mutant(f"{kind} {place} {said}", said, replace(rule, expr=text))
    if rule.kind == "alert":
        yield from _of_the_rule(rule)


def _of_the_rule(rule: Rule) -> Iterator[Mutant]:
    if rule.duration:
        double = promql.duration(2 * promql.milliseconds(rule.duration))
        yield Mutant("M5 0", f"for {rule.duration} -> 0", replace(rule, duration=""))
        yield Mutant("M5 x2", f"for {rule.duration} -> {double}", replace(rule, duration=double))
    severity = rule.labels.get("severity", "")
    if severity in _OTHER_SEVERITY:
        other = _OTHER_SEVERITY[severity]
        yield Mutant("M7", f"{severity} -> {other}", replace(rule, labels={**rule.labels, "severity": other}))


Change = Callable[..., list[tuple[str, str]]]
"""For a node and a variant: what it may become, as (expression in parentheses, what is said of it)."""


def _changed(
    expression: str, place: int, change: Callable[[promql.Node], list[tuple[str, str]]]
) -> tuple[str, str, bool]:
    """Return the expression changed at its place, what is said of the change, and whether there is that place."""
    count, said = 0, ""

    def visit(node: promql.Node) -> promql.Node | None:
        nonlocal count, said
        for text, words in change(node):
            count += 1
            if count == place:
                said = words
                return promql.parse(text)
        return None

    changed = tree.transform(promql.parse(expression), None, visit)
    return changed.prettify(), said, count >= place


def _threshold(node: promql.Node, variant: int) -> list[tuple[str, str]]:
    if not (isinstance(node, tree.BinaryExpr) and promql.operator(node) in promql.COMPARISONS):
        return []
    limit = promql.bare(node.rhs)
    if isinstance(limit, tree.NumberLiteral) and limit.val == 0:
        return []
    name, factor = _FACTORS[variant]
    text = f"({node.lhs.prettify()} {_operator(node)} ({node.rhs.prettify()}) * {factor})"
    return [(text, f"{name} of {_short(node.rhs)}")]


def _turned(node: promql.Node, **_: int) -> list[tuple[str, str]]:
    if not (isinstance(node, tree.BinaryExpr) and promql.operator(node) in promql.COMPARISONS):
        return []
    operator = promql.operator(node)
    text = f"({node.lhs.prettify()} {_operator(node, _TURNED[operator])} {node.rhs.prettify()})"
    return [(text, f"{operator} -> {_TURNED[operator]} {_short(node.rhs)}")]


def _joined(node: promql.Node, **_: int) -> list[tuple[str, str]]:
    other = {"and": "or", "unless": "and"}.get(promql.operator(node)) if isinstance(node, tree.BinaryExpr) else None
    if other is None:
        return []
    text = f"({node.lhs.prettify()} {_operator(node, other)} {node.rhs.prettify()})"
    return [(text, f"{promql.operator(node)} -> {other}")]


def _longer(node: promql.Node, **_: int) -> list[tuple[str, str]]:
    if not isinstance(node, tree.MatrixSelector):
        return []
    span = int(node.range.total_seconds() * 1000)
    old, new = promql.duration(span), promql.duration(3 * span)
    selector = node.vector_selector
    offset = f" offset {promql.duration(int(selector.offset.total_seconds() * 1000))}" if selector.offset else ""
    name = promql.metric_name(selector)
    return [(f"{name}{selector.matchers}[{new}]{offset}", f"[{old}] -> [{new}] of {name}")]


def _dropped(node: promql.Node, **_: int) -> list[tuple[str, str]]:
    if not isinstance(node, tree.VectorSelector):
        return []
    texts = [str(matcher) for matcher in node.matchers.matchers]
    offset = f" offset {promql.duration(int(node.offset.total_seconds() * 1000))}" if node.offset else ""
    name = promql.metric_name(node)
    return [
        (f"{name}{{{', '.join(texts[:index] + texts[index + 1 :])}}}{offset}", f"{name} without {dropped}")
        for index, dropped in enumerate(texts)
    ]


_EXPRESSION_KINDS: tuple[tuple[str, Change], ...] = (
    ("M1", _threshold),
    ("M2", _turned),
    ("M3", _joined),
    ("M4", _longer),
    ("M6", _dropped),
)


def _operator(node: promql.Node, operator: str = "") -> str:
    """Return a binary operator with its `bool` and its matching, as they are written."""
    words = [operator or promql.operator(node)]
    modifier = node.modifier
    if modifier is not None:
        if modifier.return_bool:
            words.append("bool")
        if modifier.matching is not None:
            kind = "on" if "Include" in str(modifier.matching.type) else "ignoring"
            words.append(f"{kind} ({', '.join(modifier.matching.labels)})")
        card = str(modifier.card)
        if "ManyToOne" in card or "OneToMany" in card:
            side = "group_left" if "ManyToOne" in card else "group_right"
            words.append(f"{side} ({', '.join(modifier.group_labels or ())})")
    return " ".join(words)


def _short(node: promql.Node) -> str:
    text = " ".join(str(node.prettify()).split())
    return text if len(text) <= 40 else text[:39] + "…"
