"""`topmast logs QUERY`: search the embedded log store, and follow it."""

import json
import re
import time
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from topmast import compose, logprint
from topmast.cli import ARGUMENTS, Call
from topmast.errors import StateError
from topmast.layout import Layout

if TYPE_CHECKING:  # imported when the command needs it: the others start sooner
    from topmast.logsearch import Search

_AGO = re.compile(r"^(\d+(?:\.\d+)?)(s|m|h|d|w)$")
_UNIT_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
# A line is searchable within 2 s of its writing; looking so often adds little to that.
_POLL_SECONDS = 0.25
# A line may be stored after younger ones of other files; following looks back so far for it.
_LATE_SECONDS = 30
_REMEMBERED = 20_000
_YEARS = (1971, 2999)
# What is printed instead of the matches, and the options that would say nothing to it.
_OF_LINES = ("follow", "context", "fields", "as_csv")
_INSTEAD = {
    "count": (*_OF_LINES, "limit"),
    "histogram": (*_OF_LINES, "limit"),
    "top": (*_OF_LINES, "limit"),
    "patterns": _OF_LINES,
}
_NAMES = {"service": "a service", "trace": "a trace", "fields": "fields, such as time,message", "top": "a field"}


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
@click.option("--trace", metavar="ID", help="Only this trace, the whole of it: the same as trace:ID in the query.")
@click.option("-C", "--context", default=0, type=click.IntRange(0, 1000), help="So many lines around each match.")
@click.option("--fields", metavar="A,B", help="These fields instead of the usual line, or as the columns of --csv.")
@click.option("--count", is_flag=True, help="Only print how many match.")
@click.option("--histogram", is_flag=True, help="Print how many match over time; errors in red.")
@click.option("--top", metavar="FIELD", help="Print the most frequent values of a field among the matches.")
@click.option("--patterns", is_flag=True, help="Group the messages of all matches into the shapes they have.")
@click.option("--csv", "as_csv", is_flag=True, help="Print a row a match, names in the first.")
@click.option("--json", "as_json", is_flag=True, help="Print one nested ECS document a line.")
@click.pass_context
def logs(
    ctx: click.Context,
    query: tuple[str, ...],
    since: str | None,
    until: str | None,
    limit: int,
    service: str | None,
    trace: str | None,
    follow: bool,
    context: int,
    fields: str | None,
    count: bool,
    histogram: bool,
    top: str | None,
    patterns: bool,
    as_csv: bool,
    as_json: bool,
) -> None:
    """Search the logs; the newest line is printed last.

    \b
    QUERY   checkout timeout          both words
            "payment failed" check*   a phrase, a beginning
            level:error service:shop  fields: level service logger trace status, or any ECS name
            status:>=500              ranges; level:>=warning; http.request.id:* for "is there"
            a OR b, NOT a, (a b)      AND is the default

    All of it: docs/search.md. `--json` and `--csv` with a high --limit export what is found.

    Exit code 2 for a query that does not parse; it is shown with the place. 73 when the store, or a file of it,
    cannot be read; the others are searched.
    """
    from topmast_shipper import errors
    from topmast_shipper import query as language

    from topmast.logsearch import Search

    _refuse_what_would_be_ignored(ctx)
    call: Call = ctx.obj
    layout = Layout(call.home, call.state)
    if compose.mode(layout, None) == "compose":
        ctx.exit(compose.inside(layout, "page", ctx.meta[ARGUMENTS]))
    asked = _asked(query, service, trace)
    search = Search(layout.log_store, asked, _left_out, _moment(since), _moment(until))
    if not follow and not search.is_there():
        click.echo(f"no logs in {search.store}: `topmast up --demo` writes some", err=True)
    chosen = [language.ALIASES.get(name, name) for name in _listed(fields)]
    out = Output(chosen, as_json, as_csv)
    try:
        if count:
            number = search.count()
            click.echo(json.dumps({"count": number}) if as_json else number)
        elif histogram:
            _histogram(search, as_json)
        elif top:
            _top(search, top, as_json)
        elif patterns:
            _patterns(search, limit, as_json)
        else:
            out.head()
            seen = recent(search) if follow else OrderedDict()
            _found(search, limit, context, out, seen)
            if follow:
                for document in newer(search, seen):
                    out(document)
    except errors.QueryError as error:
        click.echo(f"topmast logs: {error.message}\n  {asked}\n  {' ' * error.position}^", err=True)
        ctx.exit(2)
    except errors.StateError as error:
        raise StateError(str(error)) from error
    except KeyboardInterrupt:
        ctx.exit(130)
    # half an answer is none for a script
    ctx.exit(StateError.exit_code if search.left_out else 0)


def _refuse_what_would_be_ignored(ctx: click.Context) -> None:
    spelt = {each.name: max(each.opts, key=len) for each in ctx.command.params if each.name}
    given = [name for name in spelt if ctx.get_parameter_source(name) is ParameterSource.COMMANDLINE]
    for name, what in _NAMES.items():
        if name in given and not ctx.params[name].strip(" ,"):
            raise click.UsageError(f"{spelt[name]} is empty: name {what}, or leave it out")
    instead = [name for name in given if name in _INSTEAD]
    for pair in (instead, [name for name in ("as_csv", "as_json") if name in given]):
        if len(pair) > 1:
            raise click.UsageError(f"{' or '.join(spelt[name] for name in pair)}: one of them")
    for name in instead:
        if idle := [spelt[each] for each in _INSTEAD[name] if each in given]:
            raise click.UsageError(f"{spelt[name]} makes nothing of {' and '.join(idle)}: leave out one or the other")
    if "follow" in given and "until" in given:
        raise click.UsageError("--follow goes on without end: leave out --until")


def recent(search: "Search") -> "OrderedDict[str, None]":
    """Return the ids of the matches that following would look back to."""
    since = datetime.now(UTC) - timedelta(seconds=_LATE_SECONDS)
    return OrderedDict((each["event"]["id"], None) for each in search.from_then_on(since, _REMEMBERED))


def newer(search: "Search", seen: "OrderedDict[str, None]") -> Iterator[dict[str, Any]]:
    """Yield matches as they are stored, each once, without end; those `seen` are known already."""
    latest = datetime.now(UTC)
    while True:
        for document in search.from_then_on(latest - timedelta(seconds=_LATE_SECONDS), _REMEMBERED):
            key = document["event"]["id"]
            if key not in seen:
                seen[key] = None
                latest = max(latest, datetime.fromisoformat(document["@timestamp"]))
                yield document
        while len(seen) > 2 * _REMEMBERED:
            seen.popitem(last=False)
        time.sleep(_POLL_SECONDS)


@dataclass
class Output:
    """Prints documents in one form."""

    fields: Sequence[str]
    as_json: bool
    as_csv: bool

    def head(self) -> None:
        if self.as_csv:
            click.echo(",".join(self.fields or logprint.COLUMNS))

    def __call__(self, document: Mapping[str, Any]) -> None:
        if self.as_csv:
            names = self.fields or logprint.COLUMNS
            click.echo(logprint.csv_row(logprint.at(document, name) for name in names))
        elif self.as_json:
            told = logprint.picked(document, self.fields) if self.fields else document
            click.echo(json.dumps(told, ensure_ascii=False))
        else:
            click.echo(logprint.one_line(document, self.fields))


def _listed(names: str | None) -> list[str]:
    return [name.strip() for name in (names or "").split(",") if name.strip()]


def _left_out(reason: str) -> None:
    click.echo(f"topmast logs: left out: {reason}", err=True)


def _asked(query: Sequence[str], service: str | None, trace: str | None) -> str:
    asked = " ".join(query)
    for name, value in (("service", service), ("trace", trace)):
        if value:
            quoted = value.replace("\\", "\\\\").replace('"', '\\"')
            asked = f'{name}:"{quoted}"' + (f" ({asked})" if asked.strip() else "")
    return asked


def _found(search: "Search", limit: int, context: int, out: Output, seen: "OrderedDict[str, None]") -> None:
    """Print what was found, oldest first; with context, what stood around each match, and nothing twice."""
    shown: set[str] = set()
    for number, document in enumerate(search.newest(limit)):
        seen[document["event"]["id"]] = None
        if not context:
            out(document)
            continue
        before, after = search.around(document, context)
        some = [*before, document, *after]
        fresh = [each for each in some if each["event"]["id"] not in shown]
        if number and len(fresh) == len(some) and not (out.as_json or out.as_csv):
            click.echo("--")
        for each in fresh:
            shown.add(each["event"]["id"])
            out(each)


def _histogram(search: "Search", as_json: bool) -> None:
    # the day's buckets tell how long the matches go on, where nobody said it
    days = search.histogram(60)
    seconds = days[-1]["time"] - days[0]["time"] + 60 if days else 60
    width = logprint.width_of(seconds)
    buckets = search.histogram(width)
    if as_json:
        click.echo(json.dumps({"bucket_seconds": width, "buckets": buckets}))
    else:
        click.echo("\n".join(logprint.bars(buckets, width)) or "nothing matches")


def _top(search: "Search", field: str, as_json: bool) -> None:
    found = search.values(field)
    if as_json:
        click.echo(json.dumps({"field": field, "values": [{"value": v, "count": n} for v, n in found]}))
    else:
        click.echo("\n".join(f"{number:>9}  {logprint.harmless(value)}" for value, number in found) or "no values")


def _patterns(search: "Search", limit: int, as_json: bool) -> None:
    from topmast_shipper.clusters import Clusters

    clusters = Clusters()
    for level, service, message in search.messages():
        clusters.add(level, service, message)
    found = clusters.largest(limit)
    if as_json:
        told = [
            {"template": each.template, "count": each.count, "levels": dict(each.levels),
             "services": dict(each.services), "example": each.example}
            for each in found
        ]  # fmt: skip
        click.echo(
            json.dumps({"patterns": told, "shapes": len(clusters), "other": clusters.other}, ensure_ascii=False)
        )
        return
    for each in found:
        level = each.levels.most_common(1)[0][0]
        click.echo(f"{each.count:>9}  {level.upper():<8} {logprint.harmless(each.template)}")
    click.echo(f"{len(clusters)} shapes" + (f", and {clusters.other} messages of others" if clusters.other else ""))


def _moment(text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        if ago := _AGO.match(text):
            moment = datetime.now(UTC) - timedelta(seconds=float(ago[1]) * _UNIT_SECONDS[ago[2]])
        else:
            moment = datetime.fromisoformat(text)
    except OverflowError:
        moment = datetime.min
    except ValueError as error:
        raise click.BadParameter(f"{text[:40]!r}: 90s, 15m, 2h, 7d, or 2026-11-22T21:00") from error
    if not _YEARS[0] <= moment.year <= _YEARS[1]:
        raise click.BadParameter(
            f"{text[:40]!r}: a time of the years {_YEARS[0]} to {_YEARS[1]}, or ago: 90s, 2h, 7d"
        )
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)


COMMAND = logs
