"""The one shape of proofs, drills and benchmarks: a list of measures, a table for people, JSON for machines."""

import json
import operator
import re
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import click

# Goals are a comparison as text: `<= 20`, `== 0`, `ratio >= 5`.
_GOAL = re.compile(r"^(ratio )?(<=|>=|==|<|>) ?(-?[0-9.]+)$")
_COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "<=": operator.le,
    ">=": operator.ge,
    "==": operator.eq,
    "<": operator.lt,
    ">": operator.gt,
}


@dataclass(frozen=True)
class Measure:
    """One row of an issue's table of numbers. `holds` is None when it could not be taken; `note` says why."""

    name: str
    value: float | None
    unit: str
    goal: str
    holds: bool | None
    peer: str | None = None
    peer_value: float | None = None
    ratio: float | None = None
    note: str = ""


def measure(
    name: str,
    value: float | None,
    unit: str,
    goal: str,
    *,
    peer: str | None = None,
    peer_value: float | None = None,
    ratio: float | None = None,
    note: str = "",
) -> Measure:
    """Return the measure with `holds` worked out from its goal.

    `ratio` is ours against the peer, above 1 when ours is better. A value (or, for a ratio goal, a ratio) of
    None could not be taken: `note` must say why. Raises ValueError for a goal that is no comparison.
    """
    matched = _GOAL.match(goal)
    if matched is None:
        raise ValueError(f"{name}: not a goal: {goal!r}")
    subject = ratio if matched[1] else value
    if subject is None and not note:
        raise ValueError(f"{name}: not taken, and no note says why")
    holds = None if subject is None else _COMPARE[matched[2]](subject, float(matched[3]))
    return Measure(name, value, unit, goal, holds, peer, peer_value, ratio, note)


def to_json(measures: Sequence[Measure]) -> str:
    return json.dumps({"measures": [asdict(each) for each in measures]}, indent=2)


def to_table(measures: Sequence[Measure]) -> str:
    """Return the measures as aligned text columns: verdict, name, value, goal, peer, note."""
    rows = [("", "measure", "value", "goal", "peer", "note")]
    for each in measures:
        verdict = {True: "ok", False: "FAILS", None: "not taken"}[each.holds]
        value = "–" if each.value is None else f"{each.value:g} {each.unit}"
        peer = ""
        if each.peer is not None:
            peer = each.peer if each.peer_value is None else f"{each.peer}: {each.peer_value:g}"
            peer += "" if each.ratio is None else f" (ratio {each.ratio:.3g})"
        rows.append((verdict, each.name, value, each.goal, peer, each.note))
    widths = [max(len(row[column]) for row in rows) for column in range(5)]
    return "\n".join(
        "  ".join([*(cell.ljust(width) for cell, width in zip(row, widths, strict=False)), row[5]]).rstrip()
        for row in rows
    )


def report(measures: Sequence[Measure], *, as_json: bool, check: bool) -> None:
    """Print the measures; with `check`, leave with exit code 1 when one does not hold."""
    click.echo(to_json(measures) if as_json else to_table(measures))
    if check and any(each.holds is False for each in measures):
        raise click.exceptions.Exit(1)
