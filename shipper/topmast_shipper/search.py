"""Search the embedded store while it is written to: newest first, day by day, each day from its newest end.

Words go through the full-text index, level, service, status and time through the one index of the store; any
other field is found by its words first and then compared. A part is walked in slices that grow, so that the
hundred newest of a million are found without looking at the rest. Target: SHIPPING.md section 7 (issue numbers
`delivery.search.*`).

Whatever is asked raises StateError when the store cannot be read. A single file that cannot be read is `told`, and
the others are searched without it when that returns.
"""

import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

import orjson

from topmast_shipper import query as language
from topmast_shipper import sql, store, timestamps, unreadable
from topmast_shipper.errors import QueryError, StateError
from topmast_shipper.sql import Condition
from topmast_shipper.store import Part
from topmast_shipper.unreadable import Told

__all__ = ["QueryError", "StateError", "around", "count", "facets", "histogram", "lines", "messages", "search"]

_FIRST_SLICE = 4096
_GROWTH = 8
# Up to so many matches of a word are fetched at once and sorted; above, the newest slices come first.
_RARE = 5000
# A slice of a time whose lines came from many places at once, or late, is spread over the whole part: above so many
# numbers a row, its rows are read one by one. Measured on 2 and 10 million lines: a row costs what 70 numbers do.
_SPREAD = 32
_HOUR_MICROSECONDS = 3600 * 1_000_000
_EVER = (0, 1 << 62)
_Found = TypeVar("_Found")


def search(
    folder: Path,
    query: str,
    since: datetime | None = None,
    until: datetime | None = None,
    limit: int = 100,
    told: Told = unreadable.refuse,
) -> list[dict[str, Any]]:
    """Return matching ECS documents, newest first. `since` is included, `until` is not.

    Raises QueryError with the position of what is wrong. An empty or absent store has no matches.
    """
    return [orjson.loads(document) for document in lines(folder, query, since, until, limit, told)]


def lines(
    folder: Path,
    query: str,
    since: datetime | None = None,
    until: datetime | None = None,
    limit: int = 100,
    told: Told = unreadable.refuse,
) -> list[str]:
    """Return what `search` does as JSON text, one a document, unparsed."""
    found: list[tuple[int, str]] = []
    condition = sql.compile_node(language.parse(query))
    low, high = _range(since, until)
    for day in _days(folder, low, high):
        found += _asked(day, lambda opened: _newest(opened, condition, low, high, limit), told)
        # parts of one day may overlap in time; days do not
        found.sort(key=lambda row: row[0], reverse=True)
        if len(found) >= limit:
            break
    return [document for _, document in found[:limit]]


def count(
    folder: Path,
    query: str,
    since: datetime | None = None,
    until: datetime | None = None,
    told: Told = unreadable.refuse,
) -> int:
    """Return how many events match."""
    condition = sql.compile_node(language.parse(query))
    text = f"SELECT count(*) FROM events e {_where(condition.sql)}"  # noqa: S608 - values are bound
    return sum(row[0] for row in _rows(folder, text, condition, since, until, told))


def histogram(
    folder: Path,
    query: str,
    bucket_seconds: int,
    since: datetime | None = None,
    until: datetime | None = None,
    told: Told = unreadable.refuse,
) -> list[dict[str, Any]]:
    """Return `{"time": unix seconds, "count": n, "levels": {level: n}}` per bucket that has any, oldest first."""
    condition = sql.compile_node(language.parse(query))
    width = max(1, bucket_seconds) * 1_000_000
    text = f"SELECT e.time / {width} AS bucket, e.level, count(*) FROM events e {_where(condition.sql)} GROUP BY 1, 2"  # noqa: S608 - values are bound
    buckets: dict[int, dict[str, int]] = {}
    for bucket, level, number in _rows(folder, text, condition, since, until, told):
        levels = buckets.setdefault(bucket, {})
        levels[level] = levels.get(level, 0) + number
    return [
        {"time": bucket * width // 1_000_000, "count": sum(levels.values()), "levels": levels}
        for bucket, levels in sorted(buckets.items())
    ]


def facets(
    folder: Path,
    query: str,
    fields: Sequence[str],
    since: datetime | None = None,
    until: datetime | None = None,
    limit: int = 20,
    told: Told = unreadable.refuse,
) -> dict[str, list[tuple[str, int]]]:
    """Return the most frequent values of each field (an ECS name or an alias) among the matches, with counts."""
    condition = sql.compile_node(language.parse(query))
    found: dict[str, list[tuple[str, int]]] = {}
    for field in fields:
        column, bound = sql.column(language.ALIASES.get(field, field))
        text = f"SELECT {column} AS value, count(*) FROM events e {_where(condition.sql)} GROUP BY 1"  # noqa: S608 - values are bound
        counts: dict[str, int] = {}
        for value, number in _rows(folder, text, condition, since, until, told, bound):
            if value is not None and value != "":
                counts[str(value)] = counts.get(str(value), 0) + number
        found[field] = sorted(counts.items(), key=lambda each: (-each[1], each[0]))[:limit]
    return found


def messages(
    folder: Path,
    query: str,
    since: datetime | None = None,
    until: datetime | None = None,
    told: Told = unreadable.refuse,
) -> Iterator[tuple[str, str, str]]:
    """Yield level, service and message of every match, in no order; nothing is kept."""
    condition = sql.compile_node(language.parse(query))
    text = f"SELECT e.level, e.service, json_extract(e.document, '$.message') FROM events e {_where(condition.sql)}"  # noqa: S608 - values are bound
    for level, service, message in _rows(folder, text, condition, since, until, told):
        yield level, service, str(message)


def around(
    folder: Path, document: Mapping[str, Any], before: int, after: int, told: Told = unreadable.refuse
) -> tuple[list[str], list[str]]:
    """Return what the same file (else the same service) said just before and just after a found event, oldest first.

    Up to so many documents each, as JSON text, of the same day and within an hour.
    """
    for day in _days(folder, *_range(None, None)):
        for found in _asked(day, lambda opened: _around(opened, document, before, after), told):
            return found
    return [], []


def _around(
    connection: sqlite3.Connection, document: Mapping[str, Any], before: int, after: int
) -> Iterator[tuple[list[str], list[str]]]:
    """Yield what stands around the event, once, if this part holds it."""
    path = ((document.get("log") or {}).get("file") or {}).get("path")
    said = (document.get("service") or {}).get("name") or ""
    same = "json_extract(e.document, '$.log.file.path') = :of" if path else "e.service = :of"
    found = connection.execute(
        "SELECT time, n FROM events WHERE id = ?", (document.get("event", {}).get("id"),)
    ).fetchone()
    if found is None:
        return
    values = {"of": path or said, "time": found[0], "n": found[1], "hour": _HOUR_MICROSECONDS}
    text = "SELECT e.document FROM events e WHERE {} AND {} ORDER BY e.time {}, e.n {} LIMIT {}"
    earlier = "e.time >= :time - :hour AND (e.time, e.n) < (:time, :n)"
    later = "e.time <= :time + :hour AND (e.time, e.n) > (:time, :n)"
    first = connection.execute(text.format(same, earlier, "DESC", "DESC", int(before)), values).fetchall()
    last = connection.execute(text.format(same, later, "ASC", "ASC", int(after)), values).fetchall()
    yield [row[0] for row in reversed(first)], [row[0] for row in last]


def _where(test: str) -> str:
    return f"WHERE ({test}) AND e.time >= :low AND e.time < :high"


def _rows(
    folder: Path,
    text: str,
    condition: Condition,
    since: datetime | None,
    until: datetime | None,
    told: Told,
    bound: Mapping[str, object] | None = None,
) -> Iterator[tuple[Any, ...]]:
    """Yield the rows of a statement over every part in the range."""
    low, high = _range(since, until)
    values = {**sql.WHOLE, **condition.values, **(bound or {}), "low": low, "high": high}
    for day in _days(folder, low, high):
        yield from _asked(day, lambda opened: opened.execute(text, values), told)


def _newest(
    connection: sqlite3.Connection, condition: Condition, low: int, high: int, limit: int
) -> list[tuple[int, str]]:
    """Return the newest matches of one part, newest first."""
    values = {**sql.WHOLE, **condition.values, "low": low, "high": high, "limit": limit}
    if condition.match and _is_rare(connection, condition.match):
        # the plus keeps SQLite from walking the time index where a few rows are to be fetched and sorted
        text = (
            "SELECT e.time, e.document FROM events e"  # noqa: S608 - values are bound
            " WHERE e.n IN (SELECT rowid FROM words WHERE words MATCH :match)"
            f" AND ({condition.sql}) AND +e.time >= :low AND +e.time < :high"
            " ORDER BY +e.time DESC, e.n DESC LIMIT :limit"
        )
        return connection.execute(text, {**values, "match": condition.match}).fetchall()
    found: list[tuple[int, str]] = []
    text = "SELECT e.time, e.document FROM events e {} ORDER BY e.time DESC, e.n DESC LIMIT :limit"
    for cut, top, first, last, rows in _slices(connection, low, high):
        values.update(low=cut, high=top, first=first, last=last, limit=limit - len(found))
        test = condition.plain if last - first > _SPREAD * rows else condition.sql
        found += connection.execute(text.format(_where(test)), values)
        if len(found) >= limit:
            break
    return found


def _slices(connection: sqlite3.Connection, low: int, high: int) -> Iterator[tuple[int, int, int, int, int]]:
    """Yield (from, before, least n, greatest n, rows) of growing slices of the part, from its newest end."""
    size = _FIRST_SLICE
    while True:
        row = connection.execute(
            "SELECT time FROM events WHERE time >= ? AND time < ? ORDER BY time DESC LIMIT 1 OFFSET ?",
            (low, high, size),
        ).fetchone()
        cut = row[0] if row is not None else low
        first, last, rows = connection.execute(
            "SELECT min(n), max(n), count(*) FROM events INDEXED BY events_time WHERE time >= ? AND time < ?",
            (cut, high),
        ).fetchone()
        if first is not None:
            yield cut, high, first, last, rows
        if row is None:
            return
        high, size = cut, size * _GROWTH


def _is_rare(connection: sqlite3.Connection, match: str) -> bool:
    text = "SELECT count(*) FROM (SELECT 1 FROM words WHERE words MATCH ? LIMIT ?)"
    found: int = connection.execute(text, (match, _RARE + 1)).fetchone()[0]
    return found <= _RARE


def _range(since: datetime | None, until: datetime | None) -> tuple[int, int]:
    """Return both ends in microseconds, neither before 1970: nothing is stored of then."""
    low = timestamps.from_datetime(since) if since is not None else _EVER[0]
    high = timestamps.from_datetime(until) if until is not None else _EVER[1]
    return max(low, _EVER[0]), max(high, _EVER[0])


def _days(folder: Path, low: int, high: int) -> Iterator[list[Part]]:
    """Yield the parts of each day in the range, the newest day first."""
    first = timestamps.day(low)
    last = timestamps.day(high - 1) if high < _EVER[1] else "9999"
    days: dict[str, list[Part]] = {}
    try:
        parts = store.parts(folder)
    except OSError as error:
        raise unreadable.folder(folder, error) from error
    for part in parts:
        if first <= part.day <= last:
            days.setdefault(part.day, []).append(part)
    yield from (days[day] for day in sorted(days, reverse=True))


def _asked(
    parts: Sequence[Part], ask: Callable[[sqlite3.Connection], Iterable[_Found]], told: Told
) -> Iterator[_Found]:
    """Yield what each part answers, the newest first; one that retention has just deleted is passed over."""
    for part in reversed(parts):
        try:
            connection = store.open_for_reading(part.path)
        except sqlite3.Error as error:
            if not unreadable.is_gone(part.path):
                told(unreadable.file(part.path, error))
            continue
        with closing(connection):
            try:
                yield from ask(connection)
            except sqlite3.DatabaseError as error:
                if not unreadable.is_damage(error):
                    raise
                told(unreadable.file(part.path, error))
