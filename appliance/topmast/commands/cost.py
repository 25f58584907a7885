"""`topmast cost`: what the model calls cost, by whom and when, from the ledger."""

import csv
import json
import shutil
import sys
from datetime import UTC, date, datetime, timedelta
from typing import Any

import click
from topmast_exporter import budgets
from topmast_exporter.errors import ExporterError
from topmast_exporter.ledger_events import Call as SingleCall
from topmast_exporter.ledger_events import dearest
from topmast_exporter.ledger_report import DIMENSIONS, Row, report
from topmast_exporter.pricing.price import COMPONENTS, PICO
from topmast_exporter.pricing.tokens import FIELDS

from topmast import costplace, costs, savings
from topmast.cli import Call
from topmast.costwindow import Window, moment
from topmast.errors import NoLedgerError
from topmast.outlook import PAST_DAYS, Outlook, outlook
from topmast.prices import prices
from topmast.reconcile import reconcile
from topmast.repricing import reprice
from topmast.terminal import plain

_COLUMNS = ("usd", "requests", "unpriced")
# What an application says of a call -> how.
_TOLD_BY = {
    "feature": 'with feature("…")',
    "key": 'with labels(key_alias="…")',
    "group": 'with labels(user_group="…")',
}


def dimensions(value: str) -> tuple[str, ...]:
    """Return `feature,model` as a tuple of the report's dimensions."""
    asked = tuple(dict.fromkeys(part.strip() for part in value.split(",") if part.strip()))
    for one in asked:
        if one not in DIMENSIONS:
            raise click.BadParameter(f"{one[:40]!r}: one or more of {', '.join(DIMENSIONS)}")
    return asked


@click.group("cost", invoke_without_command=True)
@click.option("--by", type=dimensions, default="model", show_default=True, metavar="DIMENSIONS",
              help=f"{', '.join(DIMENSIONS)}; several with commas.")  # fmt: skip
@click.option("--since", type=moment, default="30d", show_default=True, metavar="WHEN", help="24h, 7d, 2026-11-01.")
@click.option("--until", type=moment, metavar="WHEN", help="Until then, not including it; now by default.")
@click.option("--top", "limit", type=click.IntRange(1, 1000), default=20, show_default=True, help="Rows at most.")
@click.option("--json", "as_json", is_flag=True, help='{"since", "until", "total_usd", "saved_usd", "rows": […], …}')
@click.option("--csv", "as_csv", is_flag=True, help="Every row, for a spreadsheet; amounts in USD.")
@click.pass_context
def cost(
    ctx: click.Context,
    by: tuple[str, ...],
    since: timedelta | datetime,
    until: timedelta | datetime | None,
    limit: int,
    as_json: bool,
    as_csv: bool,
) -> None:
    """What the model calls cost: by model, feature, provider, day, API key, user group or environment.

    \b
    topmast cost                                the last 30 days, by model
    topmast cost --by feature --since 7d
    topmast cost --by day,model --since 2026-11-01 --csv > november.csv
    topmast cost calls --since 24h              the most expensive single calls

    Amounts come from the ledger, which counts each call once and survives a restart; a call whose price nobody
    knows is counted as unpriced and is in no sum. Days are those of `budgets.timezone`.
    """
    call: Call = ctx.obj
    # `prices` decides for itself: an override is written into the topmast.yml of here.
    if ctx.invoked_subcommand != "prices":
        costplace.go(ctx)
    if ctx.invoked_subcommand is not None:
        return
    if as_json and as_csv:
        raise click.UsageError("--json or --csv, not both")
    window = Window(call, since, until)
    rows = window.report(by)
    if as_csv:
        _csv(rows, by)
        return
    saved = savings.ask(window, window.prometheus)
    if as_json:
        click.echo(json.dumps(_told(window, by, rows, saved), indent=2, ensure_ascii=False))
        return
    if not rows:
        click.echo(f"No model call {window.words}. How calls are recorded: docs/connect-your-app.md")
        return
    sums = costs.Sums.of(rows)
    click.echo(f"{costs.money(sums.cost)} in {sums.requests:,} calls {window.words}\n")
    for line in costs.table(rows, by, shutil.get_terminal_size().columns, limit):
        click.echo(line)
    if "day" not in by and window.until - window.since > 86_400:
        plot = costs.course(costs.days(window.report(("day",)), *window.dates()))
        click.echo("\n" + "\n".join(plot))
    for line in _notes(window, by, rows, sums, saved):
        click.echo(line)


@cost.command("calls")
@click.option("--since", type=moment, default="7d", show_default=True, metavar="WHEN", help="24h, 7d, 2026-11-01.")
@click.option("--until", type=moment, metavar="WHEN", help="Until then; now by default.")
@click.option("--top", "limit", type=click.IntRange(1, 1000), default=10, show_default=True, help="Calls at most.")
@click.option("--json", "as_json", is_flag=True, help='{"calls": [{"at", "model", "feature", "usd", …}]}')
@click.pass_obj
def calls(
    call: Call, since: timedelta | datetime, until: timedelta | datetime | None, limit: int, as_json: bool
) -> None:
    """List the most expensive single calls; the ledger remembers each for 45 days."""
    window = Window(call, since, until)
    found = _dearest(window, limit)
    if as_json:
        told = [
            {
                "at": datetime.fromtimestamp(one.at, UTC).isoformat(timespec="milliseconds"),
                "provider": one.provider,
                "model": one.model,
                "feature": one.feature,
                "outcome": one.outcome,
                "input_tokens": one.input_tokens,
                "output_tokens": one.output_tokens,
                "usd": one.cost / PICO,
            }
            for one in found
        ]
        click.echo(json.dumps({"calls": told}, indent=2, ensure_ascii=False))
        return
    if not found:
        click.echo(f"No priced model call {window.words}.")
    for one in found:
        at = datetime.fromtimestamp(one.at, window.zone).strftime("%Y-%m-%d %H:%M:%S")
        tokens = f"{one.input_tokens or 0:,} in, {one.output_tokens or 0:,} out"
        named = f"{one.provider}/{one.model}" + (f" for {one.feature}" if one.feature else "")
        click.echo(f"{at}  {costs.money(one.cost):>10}  {plain(named, 60)}  {tokens}")


def _dearest(window: Window, limit: int) -> list[SingleCall]:
    try:
        return dearest(window.folder, window.since, window.until, limit)
    except ExporterError as error:
        raise NoLedgerError(str(error)) from error


def _told(window: Window, by: tuple[str, ...], rows: list[Row], saved: savings.Savings | None) -> dict[str, Any]:
    sums = costs.Sums.of(rows)
    times = {
        name: datetime.fromtimestamp(at, window.zone).isoformat(timespec="seconds")
        for name, at in (("since", window.since), ("until", window.until))
    }
    return {
        **times,
        "total_usd": sums.cost / PICO,
        "requests": sums.requests,
        "unpriced": sums.unpriced,
        "saved_usd": None if saved is None else saved.usd,
        "saved_share": None if saved is None else saved.share,
        "rows": [
            {
                **dict(zip(by, row.group, strict=True)),
                "usd": row.total / PICO,
                "requests": row.requests,
                "unpriced": row.unpriced,
                "usd_per_request": row.total / PICO / priced if (priced := row.requests - row.unpriced) else None,
                "components_usd": {name: part / PICO for name, part in row.cost.items()},
                "tokens": row.tokens,
            }
            for row in rows
        ],
        "budgets": _budgets(_outlooks(window)),
    }


def _outlooks(window: Window) -> list[tuple[Outlook, float]]:
    """Return each budget of topmast.yml, and this month without one too, with its limit in USD (0: none)."""
    parsed = budgets.parse(window.settings["budgets"])
    now, zone = window.now, window.zone
    daily: dict[str, dict[date, int]] = {}
    for row in report(window.folder, ("feature", "day"), now - 2 * PAST_DAYS * 86_400, now + 900, zone.key):
        feature, day = row.group
        for name in {feature, budgets.ALL}:
            of = daily.setdefault(name, {})
            of[date.fromisoformat(day)] = of.get(date.fromisoformat(day), 0) + row.total

    def costs_of(since: float, until: float) -> dict[str, int]:
        return {row.group[0]: row.total for row in report(window.folder, ("feature",), since, min(until, now + 900))}

    return [
        (outlook(name, feature, costs_of, daily.get(feature, {}), now, zone), budget.limit(name))
        for name in (budgets.DAY, budgets.MONTH)
        for feature, budget in {budgets.ALL: parsed.total, **parsed.features}.items()
        if budget.limit(name) or (name == budgets.MONTH and feature == budgets.ALL)
    ]


def _budgets(found: list[tuple[Outlook, float]]) -> list[dict[str, Any]]:
    return [
        {
            "window": each.window,
            "feature": each.feature,
            "limit_usd": limit or None,
            "spent_usd": each.spent / PICO,
            "forecast_usd": each.forecast / PICO,
            "forecast_low_usd": None if each.low is None else each.low / PICO,
            "forecast_high_usd": None if each.high is None else each.high / PICO,
        }
        for each, limit in found
    ]


def _notes(
    window: Window, by: tuple[str, ...], rows: list[Row], sums: costs.Sums, saved: savings.Savings | None
) -> list[str]:
    """Return what the table does not say: unpriced calls, the dearest, the cache's savings, the budgets."""
    lines = [""]
    if len(by) == 1 and by[0] in _TOLD_BY and all(row.group == ("",) for row in rows):
        lines.append(f"No call says its {by[0]}: {_TOLD_BY[by[0]]} does (docs/connect-your-app.md)")
    if sums.unpriced:
        lines.append(
            f"{sums.unpriced:,} of {sums.requests:,} calls are unpriced and in no sum: "
            "`topmast cost prices unpriced` names their models"
        )
    for call in _dearest(window, 1):
        of = f" for {plain(call.feature, 40)}" if call.feature else ""
        named = plain(f"{call.provider}/{call.model}", 60)
        lines.append(f"The dearest call: {costs.money(call.cost)}, {named}{of}; `topmast cost calls` lists them")
    if saved is not None and saved.usd:
        during = "" if saved.days is None else f" in the last {saved.days} d"
        usd = costs.money(round(saved.usd * PICO))
        lines.append(f"The cache saved {usd}{during}: {saved.share:.1%} of what it would have been")
    for each, limit in _outlooks(window):
        of = f" of {each.feature}" if each.feature else ""
        between = "" if each.low is None or each.high is None else f" ({_between(each.low, each.high)})"
        going = f"at this pace {costs.money(each.forecast)}{between} at its end"
        if limit:
            share = each.spent / PICO / limit
            spent = f"{costs.money(each.spent)} of {costs.money(round(limit * PICO))} ({share:.1%})"
            lines.append(f"The {each.window}'s budget{of}: {spent}; {going}")
        elif each.spent:
            lines.append(f"This {each.window}: {costs.money(each.spent)}; {going}")
    return lines if len(lines) > 1 else []


def _between(low: int, high: int) -> str:
    return f"{costs.money(low)} to {costs.money(high)}"


def _csv(rows: list[Row], by: tuple[str, ...]) -> None:
    """Print every row; amounts as exact decimals, no rounding to be explained to an accountant."""
    out = csv.writer(sys.stdout, lineterminator="\n")
    # of no rows, too: who reads it finds every column
    out.writerow([*by, *_COLUMNS, *(f"usd_{name}" for name in COMPONENTS), *(f"tokens_{name}" for name in FIELDS)])
    for row in rows:
        amounts = [_exact(row.total), row.requests, row.unpriced, *(_exact(row.cost[name]) for name in COMPONENTS)]
        out.writerow([*map(_harmless, row.group), *amounts, *(row.tokens[name] for name in FIELDS)])


def _exact(pico: int) -> str:
    whole, rest = divmod(pico, PICO)
    return f"{whole}.{rest:012d}".rstrip("0").rstrip(".")


def _harmless(text: str) -> str:
    # a spreadsheet runs a cell that begins so (OWASP: CSV injection), and names come from outside
    return f"'{text}" if text.startswith(("=", "+", "-", "@", "\t", "\r")) else text


cost.add_command(prices)
cost.add_command(reprice)
cost.add_command(reconcile)

COMMAND = cost
