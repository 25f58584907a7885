"""An alert's `threshold` is exactly one number of its expression, or says `state`, `slo` or `budget`.

Rendering replaces that number when a user changes the threshold (topmast.rules): it must be the only one of its kind.
"""

from collections.abc import Iterator

from topmast import promql, rules
from topmast.check import Check, Spot, Tree
from topmast.checks.annotations import WORDS


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
        count = sum(float(number) == value for number in found)
        if count != 1:
            yield Spot(
                *where,
                f"{rule.name}: {threshold} stands {count} times in the expression: make the other numbers differ"
                if count
                else f"{rule.name}: {threshold} is not in the expression: repeat the number that it compares with",
            )


CHECK = Check(name="threshold", summary="a threshold is one number of the expression", run=run, ours=True)
