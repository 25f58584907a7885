"""`topmast cost prices override`: a price of one's own, or a discount, for good or for a time, in topmast.yml."""

import json
import re
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import click
from topmast_exporter.pricing import overrides

from topmast import applying, ownfile, yamledit, yamltext
from topmast.applying import Applied
from topmast.cli import Call
from topmast.layout import Layout

_UNITS = ("input", "output", "cache_read", "cache_write")
_SECTION = ("exporter", "prices", "overrides")


def day(value: str) -> str:
    """Return an ISO date or time as it was said."""
    try:
        overrides.moment(value)
    except ValueError as error:
        raise click.BadParameter(f"{value[:40]!r}: say 2026-11-01 or 2026-11-01T12:00 (UTC)") from error
    return value


@click.command("override")
@click.argument("name", metavar="PROVIDER/MODEL")
@click.option("--input", "input_", type=click.FloatRange(0, 1e6), help="USD for a million input tokens.")
@click.option("--output", type=click.FloatRange(0, 1e6), help="USD for a million output tokens.")
@click.option("--cache-read", type=click.FloatRange(0, 1e6), help="USD for a million tokens read from the cache.")
@click.option("--cache-write", type=click.FloatRange(0, 1e6), help="USD for a million tokens written to it.")
@click.option("--discount", type=click.FloatRange(0, 100, min_open=True), metavar="PERCENT",
              help="Off the list price, whatever that is.")  # fmt: skip
@click.option("--since", type=day, metavar="DATE", help="From then on: 2026-11-01 or 2026-11-01T12:00, UTC.")
@click.option("--until", type=day, metavar="DATE", help="Until then, not including it.")
@click.option("--free", is_flag=True, help="It costs nothing: a model on a machine of your own.")
@click.option("--remove", is_flag=True, help="The table's price again; with --since, of that period.")
@click.option("--json", "as_json", is_flag=True, help='{"file", "name", "override": {…} | […] | "free" | null, …}')
@click.pass_obj
def override(
    call: Call,
    name: str,
    input_: float | None,
    output: float | None,
    cache_read: float | None,
    cache_write: float | None,
    discount: float | None,
    since: str | None,
    until: str | None,
    free: bool,
    remove: bool,
    as_json: bool,
) -> None:
    """Set a model's price in topmast.yml: a contract of yours, or a model that you run yourself.

    \b
    topmast cost prices override openai/our-finetune --input 3 --output 12
    topmast cost prices override openai/gpt-4.1 --discount 20 --since 2026-11-01 --until 2027-05-01

    With --since or --until it is a period more of this model, or stands in place of the one that begins then;
    outside of every period the list price counts. Without them it is the model's one price.
    """
    given = dict(zip(_UNITS, (input_, output, cache_read, cache_write), strict=True))
    amounts = {f"{unit}_usd_per_million": _number(usd) for unit, usd in given.items() if usd is not None}
    if (bool(amounts), discount is not None, free, remove).count(True) != 1:
        raise click.UsageError("say the prices (--input, --output, …), or --discount, or --free, or --remove")
    if amounts and input_ is None:
        raise click.UsageError("--input is missing: a price of input tokens is the least that is needed")
    provider, _, model = name.partition("/")
    if not provider or not model:
        raise click.UsageError(f"{name[:80]!r}: the provider belongs to the name, as in openai/gpt-4o-mini")
    if re.search(r"\s", name):
        raise click.UsageError(f"{name[:80]!r}: no name of a model has a space in it")
    span = {key: said for key, said in (("since", since), ("until", until)) if said is not None}
    if span and free:
        raise click.UsageError("--free is for good; of a time in which it costs nothing, say --input 0")
    if len(span) == 2 and overrides.moment(span["until"]) <= overrides.moment(span["since"]):
        raise click.UsageError("--until is not after --since")
    price = {overrides.DISCOUNT: _number(discount)} if discount is not None else amounts
    layout, path = Layout(call.home, call.state), ownfile.place(call.config)

    def change(text: str) -> str:
        return written(text, name, overrides.FREE if free else None if remove else {**price, **span}, span)

    text, values = ownfile.draft(path, change, layout)
    before = path.read_bytes().decode() if path.exists() else ""
    if remove and text == before:
        applied = Applied("unchanged", f"it has no price of {name}, nothing was changed")
    else:
        ownfile.write(path, text)
        applied = applying.prices(layout, values)
    if as_json:
        own = values["exporter"]["prices"]["overrides"]
        told = {"file": str(path), "name": name, "override": own.get(_spelled(own, name)), "applied": applied.state}
        click.echo(json.dumps(told, indent=2))
        return
    if applied.state == "unchanged":
        click.echo(f"{path}: {applied.message}")
        return
    when = since or "WHEN"
    click.echo(f"{path}: written; {applied.message}. Calls of before: `topmast cost reprice --since {when}`.")


def written(text: str, name: str, new: Any, span: Mapping[str, str]) -> str:
    """Return topmast.yml with `new` (None: nothing) as the model's price, or, with a span, as a period of it."""
    section: Any = yamltext.load(text)
    for key in _SECTION:
        section = (section or {}).get(key)
    name = _spelled(section or {}, name)
    there = (section or {}).get(name)
    where = (*_SECTION, name)
    if span:
        kept = _without(there, span, name)
        if new is None and len(kept) == len(_periods(there)):
            raise click.UsageError(f"{name[:80]}: no period that begins then: `topmast cost prices show` lists them")
        if isinstance(there, list) and new is not None and len(kept) == len(there):
            return yamledit.append(text, where, new)
        listed = kept if new is None else [*kept, new]
        new = None if not listed else listed[0] if len(listed) == 1 else listed
    with suppress(KeyError, TypeError):  # there was none
        text = yamledit.remove(text, where)
    if isinstance(new, dict):
        for key, value in new.items():
            text = yamledit.put(text, (*where, key), value)
        return text
    return text if new is None else yamledit.put(text, where, new)


def _without(there: Any, span: Mapping[str, str], name: str) -> list[Any]:
    """Return the periods but for the one that begins where the span does."""
    if there == overrides.FREE:
        raise click.UsageError(f"{name[:80]}: is free at all times in topmast.yml: --remove that first")
    return [one for one in _periods(there) if _begins(one) != _begins(span)]


def _periods(there: Any) -> list[Any]:
    return [] if there is None else there if isinstance(there, list) else [there]


def _begins(one: Mapping[str, Any]) -> float | None:
    return overrides.moment(one["since"]) if "since" in one else None


def _spelled(section: Mapping[str, Any], name: str) -> str:
    """Return the name as the file has it: upper and lower case are one."""
    return next((one for one in section if one.lower() == name.lower()), name)


def _number(usd: float) -> Any:
    return int(usd) if usd.is_integer() else usd
