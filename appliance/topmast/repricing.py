"""`topmast cost reprice`: what was counted at a wrong price is put right, and a record is kept of it."""

import json
import time
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import click
from topmast_exporter.errors import ExporterError
from topmast_exporter.ledger_corrections import Change, Correction, ask, carry_out, listed, preview
from topmast_exporter.ledger_schema import DONE
from topmast_exporter.ledger_store import FILE, Store
from topmast_exporter.pricing.price import PICO, UNPRICED, Pricer

from topmast import costs
from topmast.cli import Call
from topmast.costwindow import Window, moment
from topmast.errors import TopmastError
from topmast.prices import table_of

# A running exporter looks for what it is asked a few times a minute, and corrects some 20,000 events a second.
_WAIT_SECONDS = 300.0
_LOOK_SECONDS = 0.2


@dataclass
class Difference:
    """What changes of one model. Amounts are pico-USD."""

    name: str
    calls: int = 0
    before: int = 0
    after: int = 0
    priced: int = 0
    """Of the calls: had no price, and has one now."""


@click.command("reprice")
@click.option("--since", type=moment, metavar="WHEN", help="24h, 7d, 2026-11-01. Single calls are kept for 45 days.")
@click.option("--until", type=moment, metavar="WHEN", help="Until then, not including it; now by default.")
@click.option("--model", default="", metavar="PROVIDER/MODEL", help="Of this model only.")
@click.option("--dry-run", is_flag=True, help="Say what would change.")
@click.option("--list", "as_list", is_flag=True, help="The corrections of before.")
@click.option("--json", "as_json", is_flag=True, help='{"models": […], "correction": {…} | null}')
@click.pass_obj
def reprice(
    call: Call,
    since: timedelta | datetime | None,
    until: timedelta | datetime | None,
    model: str,
    dry_run: bool,
    as_list: bool,
    as_json: bool,
) -> None:
    """Price the calls since WHEN again, by today's table and overrides.

    \b
    topmast cost reprice --since 7d --dry-run
    topmast cost reprice --since 2026-11-01 --model openai/our-finetune

    The ledger, its reports and the budgets are corrected, and the correction is kept as a record. Counters stay as
    they are: they would seem to jump, or to fall. A running exporter does it, with the prices that it has.
    """
    if as_list:
        _list(Window(call, timedelta(days=1), None), as_json)
        return
    if since is None:
        raise click.UsageError("say from when on: --since 7d")
    window = Window(call, since, until)
    called = {"/".join(row.group) for row in window.report(("provider", "model"))}
    if model and model not in called:
        near = sorted(name for name in called if model.lower() in (name.lower(), name.lower().partition("/")[2]))
        hint = f"; did you mean {' or '.join(near)}?" if near else "; `topmast cost --by provider,model` lists them"
        raise click.UsageError(f"--model {model[:80]}: no call of it {window.words}{hint}")
    pricer = Pricer(table_of(window.folder), window.settings["exporter"]["prices"].get("overrides", {}))
    try:
        found = differences(preview(window.folder, pricer, window.since, window.until, model))
        done = None if dry_run or not found else _correct(window, pricer, model)
    except ExporterError as error:
        raise TopmastError(str(error)) from error
    if as_json:
        models = [
            {
                "model": one.name,
                "calls": one.calls,
                "newly_priced": one.priced,
                "before_usd": one.before / PICO,
                "after_usd": one.after / PICO,
            }
            for one in found
        ]
        told = {"models": models, "correction": None if done is None else _told(done)}
        click.echo(json.dumps(told, indent=2, ensure_ascii=False))
        return
    for one in found:
        newly = f", {one.priced:,} of them had no price" if one.priced else ""
        amounts = f"{costs.money(one.before)}, now {costs.money(one.after)}"
        click.echo(f"{one.name}: {one.calls:,} calls{newly}: {amounts}")
    if not called:
        click.echo(f"No model call {window.words}.")
    elif not found:
        click.echo(f"Every call {window.words} has the price that it would get today.")
    elif done is None:
        click.echo("Nothing was changed (--dry-run).")
    else:
        click.echo(_line(done, window))
        if done.changed < sum(one.calls for one in found):
            click.echo("The running exporter has other prices than topmast.yml: restart it, or reload it (SIGHUP).")


def differences(changes: Iterable[Change]) -> list[Difference]:
    """Return the changes by model, the largest difference first."""
    found: dict[str, Difference] = {}
    for change in changes:
        name = f"{change.event.provider}/{change.event.model}"
        one = found.setdefault(name, Difference(name))
        one.calls += 1
        one.before += change.was.total
        one.after += change.now.total
        one.priced += change.was.status == UNPRICED != change.now.status
    return sorted(found.values(), key=lambda one: (-abs(one.after - one.before), one.name))


def _correct(window: Window, pricer: Pricer, model: str) -> Correction:
    """Have the correction carried out by the exporter that runs, or do it here. Raises LedgerError."""
    asked = ask(window.folder, window.since, window.until, model)
    store = _store(window.folder)
    if store is not None:
        try:
            while carry_out(store, pricer):
                pass
        finally:
            store.close()
    deadline = time.monotonic() + _WAIT_SECONDS
    while True:
        one = next(each for each in listed(window.folder) if each.id == asked)
        if one.state == DONE:
            return one
        if time.monotonic() > deadline:
            raise TopmastError(
                f"{window.folder / FILE}: asked for, not done yet: `topmast cost reprice --list` tells when it is"
            )
        time.sleep(_LOOK_SECONDS)


def _store(folder: Path) -> Store | None:
    """Return the ledger to write to; None when an exporter does."""
    try:
        return Store(folder)
    except ExporterError:
        return None


def _list(window: Window, as_json: bool) -> None:
    try:
        found = listed(window.folder)
    except ExporterError as error:
        raise TopmastError(str(error)) from error
    if as_json:
        click.echo(json.dumps({"corrections": [_told(one) for one in found]}, indent=2, ensure_ascii=False))
        return
    for one in found:
        click.echo(_line(one, window))
    if not found:
        click.echo("No price was corrected.")


def _line(one: Correction, window: Window) -> str:
    at, since = (
        datetime.fromtimestamp(when, window.zone).strftime("%Y-%m-%d %H:%M") for when in (one.asked, one.since)
    )
    of = f" of {one.model}" if one.model else ""
    amounts = f"{costs.money(one.before)} became {costs.money(one.after)}"
    by = f" by {one.source}" if one.source else ""
    return f"{at}: {one.changed:,} of {one.events:,} calls{of} since {since} corrected{by}: {amounts} ({one.state})"


def _told(one: Correction) -> dict[str, Any]:
    times = {
        name: datetime.fromtimestamp(at, UTC).isoformat(timespec="seconds")
        for name, at in (("asked", one.asked), ("since", one.since), ("until", one.until))
    }
    return {
        "id": one.id,
        **times,
        "model": one.model,
        "state": one.state,
        "source": one.source,
        "calls": one.events,
        "changed": one.changed,
        "before_usd": one.before / PICO,
        "after_usd": one.after / PICO,
    }
