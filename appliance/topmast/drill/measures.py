"""The drill's numbers."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

from topmast import promql
from topmast.drill import judge
from topmast.drill.passes import Result
from topmast.measure import Measure, measure
from topmast.rulefile import Rule

INTERVAL = 15
"""Seconds between two scrapes, and between two evaluations, in production."""


def of(
    result: Result, alerts: Sequence[Rule], changed: Mapping[str, Mapping[str, Any]] = MappingProxyType({})
) -> list[Measure]:
    """Return `drill.planned` to `drill.seconds`. `changed` is `alerts:` of the configuration."""
    off = [name for name, wanted in changed.items() if wanted.get("enabled", True) is False]
    other = sorted({name for name, wanted in changed.items() if "threshold" in wanted} - set(off))
    note = "; ".join(
        [
            *([f"switched off: {', '.join(off)}"] if off else []),
            *([f"at the shipped threshold, not yours: {', '.join(other)}"] if other else []),
        ]
    )
    count = len(alerts)
    wrong = [f"{row.alert}: {problem}" for row in result.alone for problem in row.problems]
    missing = [row.alert for row in result.alone if not row.delivered]
    late = sorted(row.seconds for row in result.alone if row.seconds is not None)
    return [
        measure(
            "drill.planned",
            count,
            "alerts",
            f"== {count}",
            note=note or "every alert of the catalogue has a scene",
        ),
        measure(
            "drill.delivered",
            sum(row.arrived for row in result.alone),
            "alerts",
            f"== {count}",
            note=_told(missing, wrong) or f"each alone; after {late[0]:.1f} to {late[-1]:.1f} s",
        ),
        muted(result, alerts),
        measure(
            "drill.resolved",
            sum(row.ended for row in result.alone),
            "alerts",
            f"== {count}",
            note=_told([row.alert for row in result.alone if not row.ended], []) or "at every receiver that was told",
        ),
        measure(
            "drill.seconds",
            round(result.seconds, 1),
            "s",
            "<= 60",
            note=f"both passes, start and stop of the engines included; {len(result.messages)} messages",
        ),
    ]


def of_one(result: Result, alerts: Sequence[Rule]) -> list[Measure]:
    """Return the numbers of a drill without its second pass."""
    return [each for each in of(result, alerts) if each.name != "drill.muted_as_planned"]


def live_delay(rule: Rule, seconds: float | None, group_wait: float, *, taken: bool) -> Measure:
    """Return `drill.live_delay`: production's clocks, from the first true sample to the message."""
    wait = promql.milliseconds(rule.duration) / 1000
    goal = f"<= {wait + 3 * INTERVAL + group_wait + 5:g}"
    note = f"{rule.name}: for {rule.duration}, scraped and evaluated every {INTERVAL} s, group_wait {group_wait:g} s"
    if not taken:
        return measure("drill.live_delay", None, "s", goal, note=f"some three minutes at real clocks: --full; {note}")
    if seconds is None:
        return measure("drill.live_delay", None, "s", goal, note=f"no message came; {note}")
    return measure("drill.live_delay", round(seconds, 1), "s", goal, note=note)


def muted(result: Result, alerts: Sequence[Rule]) -> Measure:
    """Return `drill.muted_as_planned`: all at once, the planned ones are silent and nobody else is."""
    planned = judge.muted_as_planned(alerts)
    as_planned = [name for name in planned if name in result.muted and name not in result.loud]
    others = sorted(set(result.muted) - set(planned))
    silent = [row.alert for row in result.together if row.alert not in planned and not row.arrived]
    problems = [f"{row.alert}: {problem}" for row in result.together for problem in row.problems]
    # One too many is as wrong as one too few; and a message that is lost is not muted.
    good = max(0, len(as_planned) - len(others) - len(silent))
    note = f"{', '.join(as_planned)}; all others arrived, each alert name in a message of its own"
    if others or silent or problems or len(as_planned) < len(planned):
        lost = sorted(set(planned) - set(as_planned))
        told = (("not muted", lost), ("muted beside", others), ("did not arrive", silent), ("wrong", problems))
        note = "; ".join(f"{what}: {', '.join(names[:6])}" for what, names in told if names)
    return measure("drill.muted_as_planned", good, "alerts", f"== {len(planned)}", note=note)


def _told(missing: Sequence[str], wrong: Sequence[str]) -> str:
    parts = []
    if missing:
        parts.append(
            f"nothing of {', '.join(missing[:10])}" + (f" and {len(missing) - 10} more" if missing[10:] else "")
        )
    if wrong:
        parts.append("; ".join(wrong[:3]) + (f"; and {len(wrong) - 3} more" if wrong[3:] else ""))
    return "; ".join(parts)
