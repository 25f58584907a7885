"""What fires on real engines at real clocks where nothing is wrong: an idle machine, and the demo in good health."""

import os
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass

from topmast import stage
from topmast.errors import TopmastError
from topmast.layout import Layout
from topmast.measure import Measure, measure
from topmast.stage import Stage

# Ten minutes, and what the longest `for` needs beyond its first evaluation.
SECONDS = 720
MEASURES = ("rules.quiet.idle", "rules.quiet.demo")
ALWAYS = frozenset({"Watchdog"})
BUSY_SHARE = 0.5
"""Beyond this share of the CPUs used by others, the machine is not idle, and what fires may be the truth."""
_FIRED = "count by (alertname, alertstate) (count_over_time(ALERTS[{seconds}s]))"
_BUSY = "avg(avg_over_time(instance:node_cpu_busy:ratio_rate5m[{seconds}s]))"
# A rule that was never evaluated never fires either.
_ROUNDS = "min(sum by (rule_group) (increase(prometheus_rule_evaluations_total[{seconds}s])))"


@dataclass(frozen=True)
class Seen:
    """What one appliance's own Prometheus saw over the whole time."""

    firing: frozenset[str]
    pending: frozenset[str]
    busy: float
    """The share of the machine's CPUs in use, by whoever."""


def watch(layout: Layout, say: Callable[[str], None], seconds: int = SECONDS) -> list[Measure]:
    """Return `rules.quiet.idle` and `rules.quiet.demo`: both run at once, with production's clocks."""
    with ExitStack() as stack:
        say("an idle appliance, and the demo with production's clocks")
        idle = stack.enter_context(stage.started(layout))
        demo = stack.enter_context(stage.started(layout, "--demo", "--real-clocks", beside=[idle]))
        stages = [idle, demo]
        before, began = sum(each.cpu_seconds() for each in stages), time.monotonic()
        while (left := began + seconds - time.monotonic()) > 0:
            say(f"quiet so far; another {left:.0f} s" if not _loud(stages) else f"fires: {_loud(stages)}")
            time.sleep(min(left, 60))
        spent = time.monotonic() - began
        used = sum(each.cpu_seconds() for each in stages) - before
        ours = used / spent / (os.cpu_count() or 1)
        told = ("no app, no demo", "the demo in good health")
        return [
            verdict(name, what, seen(each, seconds), ours, seconds)
            for name, what, each in zip(MEASURES, told, stages, strict=True)
        ]


def seen(one: Stage, seconds: int) -> Seen:
    """Return what its Prometheus saw. Raises TopmastError when the rules were not evaluated."""
    names: dict[str, set[str]] = {"firing": set(), "pending": set()}
    for row in one.query(_FIRED.format(seconds=seconds)):
        names[row["metric"]["alertstate"]].add(row["metric"]["alertname"])
    if not names["firing"] >= ALWAYS or not one.query(_ROUNDS.format(seconds=seconds) + " > 0"):
        raise TopmastError(f"{one.layout.url('prometheus')}: its rules were not evaluated: {names['firing']} fired")
    busy = one.query(_BUSY.format(seconds=seconds))
    return Seen(
        frozenset(names["firing"]),
        frozenset(names["pending"] - names["firing"]),
        float(busy[0]["value"][1]) if busy else 0.0,
    )


def verdict(name: str, what: str, found: Seen, ours: float, seconds: int) -> Measure:
    """Return the measure. Where others used the machine meanwhile, an alert may be the truth: that is not taken."""
    beyond = sorted(found.firing - ALWAYS)
    others = max(0.0, found.busy - ours)
    note = (
        f"{what}, {seconds} s, real engines, production's clocks; CPU {found.busy:.0%} busy, {ours:.0%} by the two "
        f"appliances here; fired: {', '.join(beyond) or 'nothing'}; pending for a while: "
        f"{', '.join(sorted(found.pending)) or 'nothing'}"
    )
    if beyond and others > BUSY_SHARE:
        return measure(name, None, "alerts", "== 0", note=f"the machine was not idle: {note}")
    return measure(name, len(beyond), "alerts", "== 0", note=note)


def _loud(stages: Sequence[Stage]) -> str:
    names = {
        row["metric"]["alertname"]
        for each in stages
        for row in each.query('count by (alertname) (ALERTS{alertstate="firing"})')
    }
    return ", ".join(sorted(names - ALWAYS))
