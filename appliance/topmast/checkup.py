"""What `topmast verify` and `topmast doctor` found: one line each for people, `{"checks": […]}` for machines."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass

import click


@dataclass(frozen=True)
class Checkup:
    """One thing that was looked at."""

    name: str
    ok: bool
    message: str
    remedy: str | None = None
    """What to do about it; None when nothing is to be done."""


def to_json(found: Sequence[Checkup]) -> str:
    return json.dumps({"checks": [asdict(each) for each in found]}, indent=2)


def to_lines(found: Sequence[Checkup]) -> list[str]:
    """Return `ok` or `FAILS`, the name and the message; the remedy below what fails or could be better."""
    width = max((len(each.name) for each in found), default=0)
    lines = []
    for each in found:
        verdict = click.style("ok   ", fg="green") if each.ok else click.style("FAILS", fg="red")
        lines.append(f"  {verdict}  {each.name:<{width}}  {each.message}")
        if each.remedy:
            lines.append(f"         {'':<{width}}  → {each.remedy}")
    return lines


def report(found: Sequence[Checkup], *, as_json: bool) -> int:
    """Print what was found; return the exit code: 0 when all is well, else 1."""
    click.echo(to_json(found) if as_json else "\n".join(to_lines(found)))
    return 0 if all(each.ok for each in found) else 1
