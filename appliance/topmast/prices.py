"""`topmast cost prices`: what a model costs, which models have no price, and prices of one's own."""

import json
import time
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

import click
from topmast_exporter.errors import ExporterError
from topmast_exporter.ledger_events import unpriced
from topmast_exporter.ledger_report import report
from topmast_exporter.ledger_store import FILE
from topmast_exporter.pricing import drift, overrides, refresh
from topmast_exporter.pricing.table import Model, PriceTable

from topmast import config, costplace, pricesheet
from topmast.cli import Call
from topmast.errors import InputError, NoLedgerError, StateError, TopmastError
from topmast.layout import Layout
from topmast.priceoverride import day, override

# How a name may begin that says its provider.
_SLASH = "/"
_UNPRICED_DAYS = 45
_STALE_DAYS = 45


@click.group("prices")
@click.pass_context
def prices(ctx: click.Context) -> None:
    """Prices of models: look one up, see what has none, set your own.

    \b
    topmast cost prices show openai/gpt-4o-mini
    topmast cost prices unpriced
    topmast cost prices drift
    topmast cost prices update
    topmast cost prices override openai/my-finetune --input 3 --output 12
    topmast cost prices override vllm/llama-3.3-70b --free
    topmast cost prices override openai/gpt-4.1 --discount 20 --since 2026-11-01
    """
    if ctx.invoked_subcommand != "override":
        costplace.go(ctx)


@prices.command("show")
@click.argument("name", metavar="[PROVIDER/]MODEL")
@click.option(
    "--at", type=day, metavar="DATE", help="Then, also in a time to come (2026-11-01, UTC); now by default."
)
@click.option("--json", "as_json", is_flag=True, help='{"provider", "model", "origin", "known", "lines": […], …}')
@click.pass_obj
def show(call: Call, name: str, at: str | None, as_json: bool) -> None:
    """Show what a model costs: USD for a million tokens. Exit 1 when nobody knows."""
    provider, slash, model = name.partition(_SLASH) if _SLASH in name else ("", "", name)
    if not model.strip() or (slash and not provider.strip()):
        raise click.UsageError(f"{name[:80]!r}: a model and its provider, as in openai/gpt-4o-mini")
    layout = Layout(call.home, call.state)
    settings = config.load(call.config, layout).values
    table = table_of(Path(settings["exporter"]["data"]))
    if not provider and isinstance(listed := table.find("", model), Model):
        provider = listed.provider  # whose price of one's own counts, too
    own = settings["exporter"]["prices"].get("overrides", {})
    when = time.time() if at is None else overrides.moment(at)
    found = pricesheet.find(table, own, provider, model, when)
    periods = pricesheet.periods(own, provider, model, when)
    if as_json:
        lines = [{"unit": one.unit, "usd_per_million": one.usd_per_million, "above_tokens": one.above_tokens}
                 for one in found.lines]  # fmt: skip
        told = {"provider": found.provider, "model": found.model, "origin": found.origin, "known": found.known}
        told |= {"lines": lines, "tiers": found.tiers, "discount_percent": found.discount_percent}
        told["periods"] = [
            {"since": one.since, "until": one.until, "override": one.override, "in_force": one.in_force}
            for one in periods
        ]
        click.echo(json.dumps(told, indent=2, ensure_ascii=False))
    elif found.known:
        less = "" if found.discount_percent is None else f", less {found.discount_percent:g}% (topmast.yml)"
        click.echo(f"{found.provider}/{found.model}, from {_origin(found.origin, table)}{less}")
        for one in found.lines:
            above = f"  (requests of more than {one.above_tokens:,} input tokens)" if one.above_tokens else ""
            usd = f"${one.usd_per_million:,.6g}"
            click.echo(f"  {one.unit.replace('_', ' '):<16} {usd:>10} per million{above}")
        if not found.lines:
            click.echo("  free")
        if found.tiers:
            click.echo(f"  other prices for: {', '.join(found.tiers)}")
    else:
        click.echo(f"{name}: {found.origin.replace('_', ' ')}; `topmast cost prices override {name} --input USD …`")
    if not as_json and any(one.since or one.until for one in periods):
        click.echo("Its prices in topmast.yml (UTC):")
        for period in periods:
            click.echo(f"  {period.words}{', in force' if period.in_force else ''}")
        if not any(one.in_force for one in periods):
            click.echo(f"  None is in force{': the list price counts' if found.known else ''}.")
    raise click.exceptions.Exit(0 if found.known else 1)


@prices.command("unpriced")
@click.option(
    "--json", "as_json", is_flag=True, help='{"unpriced": [{"provider", "model", "reason", "requests", …}]}'
)
@click.pass_obj
def unpriced_(call: Call, as_json: bool) -> None:
    """List the models that were called and have no price: they are in no sum.

    Exit 1 when there are any, 66 when there is no ledger.
    """
    settings = config.load(call.config, Layout(call.home, call.state)).values
    folder = Path(settings["exporter"]["data"])
    if not _has(folder):
        raise NoLedgerError(f"{folder / FILE}: no ledger yet: it is made at the first start (`topmast up`)")
    try:
        found = unpriced(folder, time.time() - _UNPRICED_DAYS * 86_400)
    except ExporterError as error:
        raise NoLedgerError(str(error)) from error
    if as_json:
        told = [
            {
                "provider": one.provider,
                "model": one.model,
                "reason": one.reason,
                "requests": one.requests,
                "input_tokens": one.input_tokens,
                "output_tokens": one.output_tokens,
            }
            for one in found
        ]
        click.echo(json.dumps({"unpriced": told}, indent=2, ensure_ascii=False))
    for one in found if not as_json else ():
        tokens = f"{one.input_tokens:,} tokens in, {one.output_tokens:,} out"
        click.echo(f"{one.provider}/{one.model}: {one.reason.replace('_', ' ')}: {one.requests:,} calls, {tokens}")
    if not found and not as_json:
        called = _called(folder, time.time() - _UNPRICED_DAYS * 86_400)
        every = "Every call of the last {} days has a price." if called else "No model call in the last {} days."
        click.echo(every.format(_UNPRICED_DAYS))
    raise click.exceptions.Exit(1 if found else 0)


@prices.command("check")
@click.option(
    "--json", "as_json", is_flag=True, help='{"source", "at", "age_days", "models", "stale", "overrides": …}'
)
@click.pass_obj
def check(call: Call, as_json: bool) -> None:
    """Say which price table is in use and how old it is, and what is wrong with prices of your own.

    Exit 1 when it is older than 45 days, or a discount is off no list price; 78 when topmast.yml is refused (periods
    that overlap, one that ends before it begins).
    """
    settings = config.load(call.config, Layout(call.home, call.state)).values
    table = table_of(Path(settings["exporter"]["data"]))
    own, now = settings["exporter"]["prices"].get("overrides", {}), time.time()
    idle = pricesheet.off_nothing(table, own, now)
    days = (now - table.timestamp) / 86_400
    stale = days > _STALE_DAYS
    if as_json:
        at = datetime.fromtimestamp(table.timestamp, UTC).isoformat()
        told = {"source": table.source, "at": at, "age_days": round(days, 1), "models": table.model_count}
        mine = {"models": len(own), "without_list_price": list(idle)}
        click.echo(json.dumps({**told, "stale": stale, "overrides": mine}, indent=2, ensure_ascii=False))
    else:
        remedy = "; `pip download --no-deps genai-prices` and `topmast cost prices update FILE.whl` bring a newer one"
        click.echo(f"{_origin(table.source, table)}: {table.model_count:,} models{remedy if stale else ''}")
        for name, why in idle.items():
            click.echo(
                f"{name}: a discount off no list price ({why.replace('_', ' ')}): its calls are unpriced; "
                f"set its prices: `topmast cost prices override {name} --input USD …`"
            )
    raise click.exceptions.Exit(1 if stale or idle else 0)


@prices.command("drift")
@click.argument(
    "second", required=False, type=click.Path(exists=True, dir_okay=False, path_type=Path), metavar="FILE"
)
@click.option("--above", type=click.FloatRange(0, 1000), default=0.01, show_default=True, help="0.1 is a tenth.")
@click.option("--json", "as_json", is_flag=True, help='{"first", "second", "compared", "models": [{"drift", …}]}')
@click.pass_obj
def drift_(call: Call, second: Path | None, above: float, as_json: bool) -> None:
    """Compare the prices of the models that were called with a second table's.

    Exit 1 when one differs, 65 when FILE is no price table.

    FILE is LiteLLM's model_prices_and_context_window.json or a compiled table; without it, the configuration's
    (`exporter.prices.second`), else the one that comes along.
    """
    settings = config.load(call.config, Layout(call.home, call.state)).values
    folder, section = Path(settings["exporter"]["data"]), settings["exporter"]["prices"]
    table = table_of(folder)
    own, now = overrides.Overrides(section.get("overrides", {})), time.time()
    try:
        other = drift.load(folder, str(second) if second else section.get("second", ""))
    except ExporterError as error:
        raise InputError(str(error)) from error
    since = now - _UNPRICED_DAYS * 86_400
    called = [
        (provider, model) for provider, model in _called(folder, since) if not own.replaces(provider, model, now)
    ]
    ratios = [(drift.ratio(table, other, provider, model, now), provider, model) for provider, model in called]
    known = [(apart, provider, model) for apart, provider, model in ratios if apart is not None]
    found = sorted((one for one in known if one[0] > above), key=lambda one: (-one[0], *one[1:]))
    if as_json:
        models = [{"provider": provider, "model": model, "drift": apart} for apart, provider, model in found]
        told = {"first": table.source, "second": other.source, "compared": len(known), "models": models}
        click.echo(json.dumps(told, indent=2, ensure_ascii=False))
    else:
        for apart, provider, model in found:
            click.echo(f"{provider}/{model}: a price differs by {apart:.1%}")
        both = f"{table.source} and {_origin(other.source, other)}"
        of = f"models of the last {_UNPRICED_DAYS} days"
        agree = f"{len(known) - len(found)} of {len(known)} {of} agree in {both}"
        click.echo(agree if known else f"Nothing to compare: none of the {of} is in {both}")
    raise click.exceptions.Exit(1 if found else 0)


@prices.command("update")
@click.argument(
    "source", required=False, type=click.Path(exists=True, dir_okay=False, path_type=Path), metavar="FILE"
)
@click.option("--force", is_flag=True, help="Also a table that knows less than half of the models.")
@click.option("--json", "as_json", is_flag=True, help='{"before", "after", "models", "changed": [{"model", …}]}')
@click.pass_obj
def update(call: Call, source: Path | None, force: bool, as_json: bool) -> None:
    """Put a new price table in force: the installed genai-prices', or FILE's.

    FILE is a wheel of genai-prices (`pip download --no-deps genai-prices`) or a compiled table (prices.ndjson of
    another exporter); it stays until the next update. Each of its prices is tried before it takes the old one's
    place, which is kept beside it as prices.previous.ndjson. A running exporter reads it within a quarter of a
    minute. Nothing is fetched. Exit 65 when FILE cannot be used.
    """
    folder = Path(config.load(call.config, Layout(call.home, call.state)).values["exporter"]["data"])
    before = table_of(folder)
    try:
        after = refresh.update(folder, source, force=force)
    except ExporterError as error:
        raise (InputError if source else TopmastError)(f"{error}; {before.source} stays in force") from error
    changed = [
        change
        for provider, model in _called(folder)
        for change in pricesheet.changes(before, after, provider, model, time.time())
    ]
    if as_json:
        told = {"before": before.source, "after": after.source, "models": after.model_count}
        click.echo(json.dumps({**told, "changed": [asdict(one) for one in changed]}, indent=2, ensure_ascii=False))
        return
    for one in changed:
        click.echo(
            f"{one.provider}/{one.model}: {one.unit.replace('_', ' ')} {_usd(one.before)}, now {_usd(one.after)}"
        )
    if changed:
        click.echo("What was counted before keeps its price; `topmast cost reprice --since WHEN` corrects it.")
    click.echo(f"{_origin(after.source, after)}: {after.model_count:,} models, in force")


def _usd(per_million: float | None) -> str:
    return "without a price" if per_million is None else f"${per_million:,.6g} per million"


def _called(folder: Path, since: float = 0.0) -> list[tuple[str, ...]]:
    """Return (provider, model) of what was called."""
    try:
        return [row.group for row in report(folder, ("provider", "model"), since)] if _has(folder) else []
    except ExporterError as error:
        raise NoLedgerError(str(error)) from error


def _has(folder: Path) -> bool:
    return (folder / FILE).is_file()


def table_of(folder: Path) -> PriceTable:
    """Return the table that the exporter uses, made when it is not there yet."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        return refresh.load(folder)
    except (ExporterError, OSError) as error:
        raise StateError(f"no price table: {error}") from error


def _origin(origin: str, table: PriceTable) -> str:
    if origin != table.source:
        return "topmast.yml"
    return f"{origin} of {datetime.fromtimestamp(table.timestamp, UTC):%Y-%m-%d}"


prices.add_command(override)
