"""An alert's `threshold` is exactly one number of its expression, or says `state`, `slo` or `budget`.

Rendering replaces that number when a user changes the threshold (topmast.rules): it must be the only one of its kind.
`limit` says the same for people, in the unit in which the description says the value.
"""

from collections.abc import Iterator

from topmast import humane, promql, rules
from topmast.check import Check, Spot, Tree
from topmast.checks.annotations import WORDS
from topmast.rulefile import Rule

_UNITS = {"humanizePercentage": "ratio", "humanizeDuration": "seconds"}


def run(tree: Tree) -> Iterator[Spot]:
    for rule in tree.alerts:
        threshold = rule.annotations.get("threshold", "")
        if not threshold or threshold in ("state", "budget"):
            continue
        found = promql.numbers(rule.expr)
        where = (rule.file, rule.at("annotations.threshold"))
        if threshold == "slo":
            if not {rules.SLO_ERROR_BUDGET, rules.SLO_LATENCY} & set(found):
                yield Spot(
                    *where,
                    f"{rule.name}: says slo, but has no {rules.SLO_ERROR_BUDGET} and no {rules.SLO_LATENCY}",
                )
            continue
        try:
            value = float(threshold)
        except ValueError:
            yield Spot(
                *where, f"{rule.name}: threshold {threshold!r} is neither a number nor one of {', '.join(WORDS)}"
            )
            continue
        if problem := _limit(rule, value):
            yield Spot(rule.file, rule.at("annotations.limit"), f"{rule.name}: {problem}")
        count = sum(float(number) == value for number in found)
        if count != 1:
            yield Spot(
                *where,
                f"{rule.name}: {threshold} stands {count} times in the expression: make the other numbers differ"
                if count
                else f"{rule.name}: {threshold} is not in the expression: repeat the number that it compares with",
            )


def _limit(rule: Rule, value: float) -> str:
    """Return what is wrong with how a message says the threshold; "" when nothing is."""
    said = rule.annotations.get("limit", "")
    found = humane.value_of(said)
    description = rule.annotations.get("description", "")
    unit = next((unit for name, unit in _UNITS.items() if f"$value | {name}" in description), "")
    right = {"ratio": humane.share, "seconds": humane.length}.get(unit, humane.number)(value)
    if not said:
        return f"the annotation limit is missing: say the threshold as the value is said, {right}"
    if found is None or abs(found - value) > abs(value) * 1e-9:
        return f"limit {said!r} says another number than threshold: write {right}"
    if unit and humane.unit_of(said) != unit:
        return f"limit {said!r} is in another unit than the value: write {right}"
    return ""


CHECK = Check(name="threshold", summary="a threshold is one number of the expression", run=run, ours=True)
