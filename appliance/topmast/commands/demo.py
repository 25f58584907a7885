"""`topmast demo`: break something in the running demo, and watch an alert come and go."""

import json
import re
import time
from datetime import UTC, datetime
from typing import Any

import click

from topmast import compose, lock
from topmast import demo as faults
from topmast.cli import Call
from topmast.errors import NotRunningError
from topmast.layout import Layout

_DURATION = re.compile(r"(?:(\d{1,4})h)?(?:(\d{1,5})m)?(?:(\d{1,6})s)?")
# From the rule's verdict to the notification: a scrape, an evaluation and Alertmanager's group_wait.
_DELIVERY_SECONDS = 10


def seconds_of(_: click.Context, option: click.Parameter, value: str | None) -> float | None:
    """Return the seconds of `90s`, `2m` or `1h30m`."""
    if value is None:
        return None
    found = _DURATION.fullmatch(value)
    parts = found.groups() if found else ()
    seconds = sum(int(part or 0) * unit for part, unit in zip(parts, (3600, 60, 1), strict=False))
    if not seconds:
        raise click.BadParameter(f"{value!r} is no duration; say 90s, 2m or 1h", param=option)
    return float(seconds)


@click.group()
def demo() -> None:
    """Break something in the running demo (`topmast up --demo`), and watch an alert come and go."""


@demo.command()
@click.argument("fault", type=click.Choice(list(faults.FAULTS)), metavar="FAULT")
@click.option("--for", "seconds", callback=seconds_of, metavar="2m", help="How long. [long enough to fire]")
@click.option("--json", "as_json", is_flag=True, help="Print {fault, does, seconds, until, alerts, …} as JSON.")
@click.pass_obj
def inject(call: Call, fault: str, seconds: float | None, as_json: bool) -> None:
    """Break one thing: latency, errors, cache-flush, slow-query, llm-outage, rate-limit, log-errors, cpu, memory
    or cost-spike. It ends by itself, or with `topmast demo clear`.
    """
    layout = Layout(call.home, call.state)
    speed = _speed(_running(layout))
    chosen = faults.FAULTS[fault]
    lasts = seconds or chosen.lasts_seconds * (1 if speed > 1 else 10)
    faults.start_fault(layout, fault, lasts)
    told = _told(fault, lasts, speed)
    if as_json:
        click.echo(json.dumps(told, indent=2))
        return
    click.echo(f"{fault}: {chosen.does}, for {_spoken(lasts)}.")
    click.echo(f"Watch the panel “{chosen.watch}”.")
    if chosen.alerts:
        first, *others = chosen.alerts
        after = told["fires_in_seconds"]
        also = f" (and {', '.join(others)})" if others else ""
        click.echo(f"Expect {first} in about {_spoken(after)}{also}: topmast inbox --follow")
        if lasts < after:
            click.echo(f"That is too short for the alert to fire: --for {after}s or more is long enough.")
    if chosen.note:
        click.echo(f"Note: {chosen.note}.")


@demo.command()
@click.option("--json", "as_json", is_flag=True, help="Print {real_clocks, faults, components} as JSON.")
@click.pass_obj
def status(call: Call, as_json: bool) -> None:
    """Show what is broken now, and how the demo's processes are."""
    layout = Layout(call.home, call.state)
    running = _running(layout)
    active = [_told(name, left, _speed(running)) for name, left in faults.active(layout).items()]
    components = [one for one in running["components"] if one["name"].startswith("demo-")]
    if as_json:
        told = {"real_clocks": running["real_clocks"], "faults": active, "components": components}
        click.echo(json.dumps(told, indent=2))
        return
    for one in active:
        click.echo(f"{one['fault']}: {one['does']}, for another {_spoken(one['seconds'])}")
    if not active:
        click.echo(f"nothing is broken; topmast demo inject {'|'.join(faults.FAULTS)}")
    for one in components:
        click.echo(f"  {one['name']:<15} {one['state']:<10} {one['address']}")


@demo.command()
@click.option("--json", "as_json", is_flag=True, help="Print {cleared: [name, …]} as JSON.")
@click.pass_obj
def clear(call: Call, as_json: bool) -> None:
    """End every fault now."""
    layout = Layout(call.home, call.state)
    _running(layout)
    ended = list(faults.active(layout))
    faults.clear_faults(layout)
    if as_json:
        click.echo(json.dumps({"cleared": ended}))
    else:
        click.echo(f"ended: {', '.join(ended)}" if ended else "nothing was broken")


def _running(layout: Layout) -> dict[str, Any]:
    """Return the status of the running demo. Raises NotRunningError with the remedy."""
    if compose.mode(layout, None) == "compose":
        raise NotRunningError(
            "the demo in containers is not broken on purpose; `topmast up --mode embedded --demo` starts one that is"
        )
    try:
        running = lock.status(layout)
    except NotRunningError as error:
        raise NotRunningError(f"{layout.state}: no demo is running here; `topmast up --demo` starts it") from error
    if not running.get("demo"):
        raise NotRunningError(
            f"{layout.state}: Topmast runs without its demo; `topmast down`, then `topmast up --demo`"
        )
    return running


def _speed(running: dict[str, Any]) -> int:
    from topmast.rendering import DEMO_SPEED

    return 1 if running["real_clocks"] else DEMO_SPEED


def fires_in(fault: faults.Fault, speed: int) -> int:
    """Return the seconds from the injection to the first notification, with clocks `speed` times as fast."""
    return fault.spends_seconds + round(fault.fires_seconds / speed) + _DELIVERY_SECONDS


def _told(fault: str, seconds: float, speed: int) -> dict[str, Any]:
    chosen = faults.FAULTS[fault]
    return {
        "fault": fault,
        "does": chosen.does,
        "seconds": seconds,
        "until": datetime.fromtimestamp(time.time() + seconds, UTC).isoformat(timespec="seconds"),
        "watch": chosen.watch,
        "alerts": list(chosen.alerts),
        "fires_in_seconds": fires_in(chosen, speed) if chosen.alerts else None,
        "note": chosen.note,
    }


def _spoken(seconds: float) -> str:
    """Return `45 s`, `2 min` or `2.5 min`."""
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.2g} min"


COMMAND = demo
