"""`topmast logs QUERY`: search the embedded log store, and follow it."""

import json
import re
import time
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import click

from topmast.cli import Call
from topmast.layout import Layout

_AGO = re.compile(r"^(\d+(?:\.\d+)?)(s|m|h|d|w)$")
_UNIT_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
_COLOURS = {"debug": "bright_black", "warning": "yellow", "error": "red", "critical": "bright_red"}
# A line is searchable within 2 s of its writing; looking so often adds little to that.
_POLL_SECONDS = 0.25
# A line may be stored after younger ones of other files; following looks back so far for it.
_LATE_SECONDS = 30
_REMEMBERED = 20_000


@click.command()
@click.argument("query", nargs=-1)
@click.option(
    "--since", metavar="WHEN", help="From: 90s, 15m, 2h, 7d ago, or a date and time (UTC if it names no zone)."
)
@click.option("--until", metavar="WHEN", help="Up to: the same.")
@click.option(
    "--limit", default=100, show_default=True, type=click.IntRange(1, 1_000_000), help="The newest so many."
)
@click.option("--service", metavar="NAME", help="Only this service: the same as service:NAME in the query.")
@click.option("-f", "--follow", is_flag=True, help="Go on printing what is written, until Ctrl-C.")
@click.option("--count", is_flag=True, help="Only print how many match.")
@click.option("--json", "as_json", is_flag=True, help="Print one nested ECS document a line.")
@click.pass_context
def logs(
    ctx: click.Context,
    query: tuple[str, ...],
    since: str | None,
    until: str | None,
    limit: int,
    service: str | None,
    follow: bool,
    count: bool,
    as_json: bool,
) -> None:
    """Search the logs; the newest line is printed last.

    \b
    QUERY   checkout timeout          both words
            "payment failed" check*   a phrase, a beginning
            level:error service:shop  fields: level service logger trace status, or any ECS name
            status:>=500              ranges; level:>=warning; http.request.id:* for "is there"
            a OR b, NOT a, (a b)      AND is the default

    Exit code 2 for a query that does not parse; it is shown with the place.
    """
    from topmast_shipper import search
    from topmast_shipper.errors import QueryError

    call: Call = ctx.obj
    store = Layout(call.home, call.state).log_store
    asked = " ".join(query)
    if service:
        asked = f'service:"{service}"' + (f" ({asked})" if asked.strip() else "")
    begin, end = _moment(since), _moment(until)
    if not store.is_dir() and not follow:
        click.echo(f"no logs in {store}: `topmast up --demo` writes some", err=True)
    try:
        if count:
            number = search.count(store, asked, begin, end)
            click.echo(json.dumps({"count": number}) if as_json else number)
            return
        seen = recent(store, asked) if follow else OrderedDict()
        for line in reversed(search.lines(store, asked, begin, end, limit)):
            document = json.loads(line)
            seen[document["event"]["id"]] = None
            _print(document, as_json)
        if follow:
            for document in newer(store, asked, seen):
                _print(document, as_json)
    except QueryError as error:
        click.echo(f"topmast logs: {error.message}\n  {asked}\n  {' ' * error.position}^", err=True)
        ctx.exit(2)
    except KeyboardInterrupt:
        ctx.exit(130)


def recent(store: Path, query: str) -> "OrderedDict[str, None]":
    """Return the ids of the matches that following would look back to."""
    since = datetime.now(UTC) - timedelta(seconds=_LATE_SECONDS)
    return OrderedDict((each["event"]["id"], None) for each in _since(store, query, since))


def newer(store: Path, query: str, seen: "OrderedDict[str, None]") -> Iterator[dict[str, Any]]:
    """Yield matches as they are stored, each once, without end; those `seen` are known already."""
    latest = datetime.now(UTC)
    while True:
        for document in _since(store, query, latest - timedelta(seconds=_LATE_SECONDS)):
            key = document["event"]["id"]
            if key not in seen:
                seen[key] = None
                latest = max(latest, datetime.fromisoformat(document["@timestamp"]))
                yield document
        while len(seen) > 2 * _REMEMBERED:
            seen.popitem(last=False)
        time.sleep(_POLL_SECONDS)


def _since(store: Path, query: str, since: datetime) -> list[dict[str, Any]]:
    """Return the matches from then on, oldest first."""
    from topmast_shipper import search

    return [json.loads(line) for line in reversed(search.lines(store, query, since, None, _REMEMBERED))]


def _print(document: Mapping[str, Any], as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(document, ensure_ascii=False))
    else:
        click.echo(one_line(document))


def one_line(document: Mapping[str, Any]) -> str:
    """Return time, level, service and message, and the status and error where there are some."""
    level = str(_at(document, "log", "level") or "info")
    service = str(_at(document, "service", "name") or "-")
    told = [str(document.get("message", ""))]
    for name, path in (("status", ("http", "response", "status_code")), ("error", ("error", "type"))):
        value = _at(document, *path)
        if value is not None:
            told.append(f"{name}={value}")
    if stack := _at(document, "error", "stack_trace"):
        told.append(f"| {str(stack).strip().rsplit(chr(10), 1)[-1]}")
    moment = str(document.get("@timestamp", ""))
    text = f"{moment:<27} {level.upper():<8} {harmless(service):<12} {harmless(' '.join(told))}"
    return click.style(text, fg=_COLOURS[level]) if level in _COLOURS else text


def harmless(text: str) -> str:
    """Return the text on one line, with control characters written out: no log line drives a terminal."""
    return text if text.isprintable() else "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def _at(document: Mapping[str, Any], *path: str) -> Any:
    value: Any = document
    for key in path:
        value = value.get(key) if isinstance(value, Mapping) else None
    return value


def _moment(text: str | None) -> datetime | None:
    if text is None:
        return None
    if ago := _AGO.match(text):
        return datetime.now(UTC) - timedelta(seconds=float(ago[1]) * _UNIT_SECONDS[ago[2]])
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise click.BadParameter(f"{text!r}: 90s, 15m, 2h, 7d, or 2026-11-22T21:00") from error
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)


COMMAND = logs
