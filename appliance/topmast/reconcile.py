"""`topmast cost reconcile`: the ledger against the provider's own export."""

import json
from collections import Counter
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import click
from topmast_exporter.errors import ExporterError
from topmast_exporter.ledger_events import repeated
from topmast_exporter.ledger_report import Row, began, report
from topmast_exporter.ledger_store import FILE
from topmast_exporter.pricing.price import PICO

from topmast import config, costs, invoices, reconciliation
from topmast.cli import Call
from topmast.errors import NoLedgerError
from topmast.layout import Layout
from topmast.prices import table_of
from topmast.reconciliation import Pair
from topmast.terminal import plain

# Less than this of the model's amount, or of the whole bill, needs no explanation.
_LEAST_SHARE = 0.001


def share(value: str) -> float:
    """Return `1%` or `0.01` as 0.01."""
    try:
        found = float(value.removesuffix("%")) / (100 if value.endswith("%") else 1)
    except ValueError as error:
        raise click.BadParameter(f"{value[:20]!r}: say 1% or 0.01") from error
    if not 0 <= found <= 10:
        raise click.BadParameter(f"{value[:20]!r}: 0 to 1000%")
    return found


@click.command("reconcile")
@click.argument(
    "files", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path), metavar="FILE…"
)
@click.option("--provider", required=True, type=click.Choice(list(invoices.READERS)), help="Whose export it is.")
@click.option("--tolerance", type=share, default="1%", show_default=True, help="Exit 1 when it is further off.")
@click.option("--json", "as_json", is_flag=True, help='{"off", "within", "models": [{"model", …, "cause"}], …}')
@click.pass_obj
def reconcile(call: Call, files: tuple[Path, ...], provider: str, tolerance: float, as_json: bool) -> None:
    """Compare the ledger with a provider's usage or cost export; name each difference with its likely cause.

    \b
    topmast cost reconcile --provider openai costs.json usage.json
    topmast cost reconcile --provider anthropic claude_api_cost_2026_11.csv --tolerance 2%

    Exports are the answers of the providers' usage and cost APIs (JSON, every page), the CSV of OpenAI's dashboard
    and Anthropic's Console, and LiteLLM's /spend/logs. The days are whole days of UTC, as providers bill, or those
    of the export.

    Exit 1 when the differences of all models together are more than --tolerance of what was billed; 65 when a FILE
    cannot be compared (empty, another provider's, a page of several), 66 when there is no ledger.
    """
    settings = config.load(call.config, Layout(call.home, call.state)).values
    folder = Path(settings["exporter"]["data"])
    if not (folder / FILE).is_file():
        raise NoLedgerError(f"{folder / FILE}: no ledger yet: it is made at the first start (`topmast up`)")
    lines = invoices.read(provider, files)
    since, until = invoices.period(lines)
    table = table_of(folder)
    try:
        rows = [row for row in report(folder, ("provider", "model", "day"), since, until) if _is_of(provider, row)]
        again = repeated(folder, since, until)
        first = began(folder)
    except ExporterError as error:
        raise NoLedgerError(str(error)) from error
    found = reconciliation.pairs(lines, rows, table)
    retries: Counter[str] = Counter()
    for (owner, model), count in again.items():
        retries[reconciliation.name_of(table, owner, model)] += count
    off = reconciliation.off(found)
    day = date.min if first is None else datetime.fromtimestamp(first, UTC).date()
    least = _LEAST_SHARE * sum(pair.amounts[0] for pair in found)
    told = [
        (pair, reconciliation.cause(pair, retries[pair.model], day) if _matters(pair, least) else "")
        for pair in found
    ]
    if as_json:
        answer = _told(found, told, since, until, off, tolerance)
        answer["ledger_since"] = None if first is None else datetime.fromtimestamp(first, UTC).isoformat()
        click.echo(json.dumps(answer, indent=2, ensure_ascii=False))
    else:
        _table(told, found, since, until, off, tolerance)
        if first is not None and since < first:
            click.echo(f"The ledger begins on {_at(first)} (UTC); what was billed before is not in it.")
    raise click.exceptions.Exit(0 if off <= tolerance else 1)


def _is_of(provider: str, row: Row) -> bool:
    # LiteLLM stands before all of them
    return provider == "litellm" or row.group[0] == provider


def _matters(pair: Pair, least: float) -> bool:
    return abs(pair.apart) > max(_LEAST_SHARE * max(pair.amounts), least)


def _amount(pair: Pair, value: int) -> str:
    return costs.money(value) if pair.in_money else f"{value:,}"


def _at(when: float) -> str:
    return datetime.fromtimestamp(when, UTC).strftime("%Y-%m-%d %H:%M")


def _table(
    told: list[tuple[Pair, str]], found: list[Pair], since: float, until: float, off: float, tolerance: float
) -> None:
    whole = not (since % 86_400 or until % 86_400)
    first, last = (_at(since)[:10], _at(until - 1)[:10]) if whole else (_at(since), _at(until))
    unit = "USD" if found[0].in_money else "tokens"
    width = max(len("model"), *(len(plain(pair.model or "all", 40)) for pair in found))
    click.echo(f"{f'On {first}' if first == last else f'From {first} to {last}'} (UTC), in {unit}")
    click.echo(f"  {'model':<{width}}  {'billed':>12}  {'counted':>12}")
    for pair, why in told:
        billed, counted = (_amount(pair, value) for value in pair.amounts)
        name = plain(pair.model or "all", 40).ljust(width)
        click.echo(f"  {name}  {billed:>12}  {counted:>12}  {why or 'agrees'}")
    verdict = "within" if off <= tolerance else "more than"
    click.echo(f"Off by {off:.2%}: {verdict} the tolerance of {tolerance:.2%}.")


def _told(
    found: list[Pair], told: list[tuple[Pair, str]], since: float, until: float, off: float, tolerance: float
) -> dict[str, Any]:
    scale = PICO if found[0].in_money else 1
    return {
        "since": datetime.fromtimestamp(since, UTC).isoformat(),
        "until": datetime.fromtimestamp(until, UTC).isoformat(),
        "unit": "USD" if found[0].in_money else "tokens",
        "billed": sum(pair.amounts[0] for pair in found) / scale,
        "counted": sum(pair.amounts[1] for pair in found) / scale,
        "off": off,
        "within": off <= tolerance,
        "models": [
            {
                "model": pair.model,
                "billed": pair.amounts[0] / scale,
                "counted": pair.amounts[1] / scale,
                "requests_billed": pair.theirs.requests if pair.theirs.says_requests else None,
                "requests_counted": pair.ours.requests,
                "cause": why or None,
            }
            for pair, why in told
        ],
    }
