"""S11: a warning and its critical share a `pair`, compare the same metric, and the critical is the stricter one."""

from collections import defaultdict
from collections.abc import Iterator

import promql_parser as tree_types

from topmast import promql
from topmast.check import Check, Spot, Tree
from topmast.rulefile import Rule


def run(tree: Tree) -> Iterator[Spot]:
    groups: dict[str, list[Rule]] = defaultdict(list)
    for rule in tree.alerts:
        if "pair" in rule.labels:
            groups[rule.labels["pair"]].append(rule)
    for pair, rules in groups.items():
        if len(rules) == 1:
            if tree.ours and pair != rules[0].name:
                yield Spot(rules[0].file, rules[0].at("labels"), f"{pair}: a pair of one: name it after the alert")
            continue
        severities = sorted(rule.labels.get("severity", "") for rule in rules)
        if severities != ["critical", "warning"]:
            yield Spot(
                rules[0].file,
                rules[0].line,
                f"{pair}: a pair is one warning and one critical, not {', '.join(severities)}",
            )
            continue
        critical, warning = sorted(rules, key=lambda rule: rule.labels["severity"])
        yield from _compare(tree, pair, critical, warning)


def _compare(tree: Tree, pair: str, critical: Rule, warning: Rule) -> Iterator[Spot]:
    if critical.labels.get("category") != warning.labels.get("category"):
        yield Spot(critical.file, critical.at("labels"), f"{pair}: both are of one category, or nothing is muted")
    if not {id(critical), id(warning)} <= tree.parsed.keys():
        return
    strict, lax = (_limits(tree.parsed[id(rule)]) for rule in (critical, warning))
    shared = strict.keys() & lax.keys()
    if not shared:
        yield Spot(critical.file, critical.at("expr"), f"{pair}: warning and critical compare no metric in common")
    for metric, operator in shared:
        a, b = strict[metric, operator], lax[metric, operator]
        if (a <= b) if operator.startswith(">") else (a >= b):
            yield Spot(
                critical.file, critical.at("expr"), f"{pair}: {metric} {operator} {a:g} is not stricter than {b:g}"
            )


def _limits(node: promql.Node) -> dict[tuple[str, str], float]:
    """Return the number that each metric is compared with, by (metric, operator)."""
    found = {}
    for part, _ in promql.walk(node):
        if promql.is_comparison(part):
            left, value = promql.bare(part.lhs), _number(part.rhs)
            if isinstance(left, tree_types.VectorSelector) and value is not None:
                found[promql.metric_name(left), promql.operator(part)] = value
    return found


def _number(node: promql.Node) -> float | None:
    node = promql.bare(node)
    if isinstance(node, tree_types.NumberLiteral):
        return float(node.val)
    if isinstance(node, tree_types.BinaryExpr) and promql.operator(node) == "*":
        left, right = _number(node.lhs), _number(node.rhs)
        return None if left is None or right is None else left * right
    return None


CHECK = Check(name="pairs", summary="a critical is stricter than its warning", run=run)
