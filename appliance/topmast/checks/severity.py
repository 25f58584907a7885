"""S2: severity is critical or warning; a critical waits 2 to 5 minutes, a warning 5 to 10."""

from collections.abc import Iterator

from topmast import promql
from topmast.check import Check, Spot, Tree

MINUTE = 60_000
WAITS = {"critical": (2 * MINUTE, 5 * MINUTE), "warning": (5 * MINUTE, 10 * MINUTE)}
# The dead man's switch fires at once and wakes nobody.
HEARTBEAT = "none"


def run(tree: Tree) -> Iterator[Spot]:
    for rule in tree.alerts:
        severity = rule.labels.get("severity", "")
        if severity == HEARTBEAT or "severity" not in rule.labels:
            continue  # that it is missing is the check `labels`
        if severity not in WAITS:
            yield Spot(rule.file, rule.at("labels"), f"{rule.name}: severity {severity!r}: write critical or warning")
            continue
        least, most = WAITS[severity]
        try:
            wait = promql.milliseconds(rule.duration) if rule.duration else 0
        except ValueError:
            continue
        if not least <= wait <= most:
            yield Spot(
                rule.file,
                rule.at("for"),
                f"{rule.name}: a {severity} waits {promql.duration(least)} to {promql.duration(most)}, "
                f"not {rule.duration or '0s'}",
            )


CHECK = Check(name="severity", summary="severities, and how long each waits", run=run)
