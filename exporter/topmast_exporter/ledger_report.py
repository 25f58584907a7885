"""Reports from the ledger's spend: what was spent, by whom, when. Reads beside the writer and never blocks it."""

import os
import sqlite3
from bisect import bisect_left
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import date, datetime
from functools import partial
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from topmast_exporter.ledger_events import reading, snapshot
from topmast_exporter.ledger_schema import DAY_COLUMNS, SPEND_COLUMNS, LedgerError
from topmast_exporter.ledger_spend import DAY_QUARTERS, QUARTER_SECONDS, spans
from topmast_exporter.ledger_store import FILE
from topmast_exporter.pricing.price import COMPONENTS, PICO

DIMENSIONS = ("provider", "model", "feature", "day", "key", "group", "environment")
# Half a month and more is read by several threads: SQLite's sorting is what takes the time.
SPLIT_QUARTERS = 1_500
MAX_READERS = 4
MAX_TRIES = 50
_COLUMNS = {"key": "key_alias", "group": "user_group"}


@dataclass(frozen=True)
class Row:
    """The sums of one group."""

    group: tuple[str, ...]
    """The values of the asked dimensions, in that order."""
    requests: int
    unpriced: int
    """Of the requests: in no cost, because nobody knows their price."""
    tokens: dict[str, int]
    cost: dict[str, int]
    """pico-USD by component."""

    @property
    def total(self) -> int:
        """The cost in pico-USD."""
        return sum(self.cost.values())


def report(
    folder: Path, by: Sequence[str] = ("model",), since: float = 0.0, until: float = 1e12, timezone: str = "UTC"
) -> list[Row]:
    """Return the spend of [since, until) by some of DIMENSIONS, the dearest first.

    Times are unix times, taken to whole quarters of an hour. Raises LedgerError when there is no ledger to read,
    ValueError for another dimension.
    """
    unknown = set(by) - set(DIMENSIONS)
    if unknown:
        raise ValueError(f"not a dimension: {', '.join(sorted(unknown))}; there are {', '.join(DIMENSIONS)}")
    first, last = int(since // QUARTER_SECONDS), -int(-until // QUARTER_SECONDS)
    between = "FROM spend WHERE quarter >= ? AND quarter < ?"
    with reading(folder / FILE) as connection:
        (least, greatest) = connection.execute(
            # one by one: only then SQLite looks at both ends instead of at every row
            f"SELECT (SELECT min(quarter) {between}), (SELECT max(quarter) {between})",
            (first, last, first, last),
        ).fetchone()
    if least is None:
        return []
    day = _day_number(least, greatest, ZoneInfo(timezone))
    if "day" in by and day != _DAY_OF_UTC:  # the table of days knows those of UTC
        groups = [{**_COLUMNS, "day": day}.get(name, name) for name in by]
        found = _summed(folder / FILE, groups, least, greatest + 1)
    else:
        found = _summed_by_days(folder, by, first, last)
    rows = [_row(by, group, sums) for group, sums in found.items()]
    return sorted(rows, key=lambda row: (-row.total, -row.requests, row.group))


def began(folder: Path) -> float | None:
    """Return the unix time at which the spend begins, None while there is none. Raises LedgerError."""
    with reading(folder / FILE) as connection:
        (first,) = connection.execute("SELECT min(quarter) FROM spend").fetchone()
    return None if first is None else float(first * QUARTER_SECONDS)


def _summed_by_days(folder: Path, by: Sequence[str], first: int, end: int) -> dict[tuple[Any, ...], list[int]]:
    """Return what _summed does: whole days from the table of days, the rest at both ends from the quarters."""
    groups = [_COLUMNS.get(name, name) for name in by]
    of_quarters = [_DAY_OF_UTC if name == "day" else name for name in groups]
    sums: dict[tuple[Any, ...], list[int]] = {}
    with snapshot(folder) as connection:
        edges, days = spans(connection, first, end)
        rows = [_sums(of_quarters, connection, *edge) for edge in edges]
        rows.append(_day_sums(groups, connection, *days))
    for group, amounts in (row for some in rows for row in some):
        standing = sums.get(group)
        sums[group] = amounts if standing is None else [a + b for a, b in zip(standing, amounts, strict=True)]
    return sums


def _day_sums(
    groups: Sequence[str], connection: sqlite3.Connection, start: int, stop: int
) -> list[tuple[tuple[Any, ...], list[int]]]:
    """Return (group, sums) of the days in [start, stop)."""
    plain = len(SPEND_COLUMNS) - len(COMPONENTS)
    found = []
    columns = [f"SUM({name})" for name in DAY_COLUMNS]
    for row in _grouped(groups, columns, connection, start, stop, "spend_day", "day"):
        group, amounts = row[: len(groups)], row[len(groups) :]
        halves = zip(amounts[plain::2], amounts[plain + 1 :: 2], strict=True)
        found.append((group, [*amounts[:plain], *(whole * PICO + rest for whole, rest in halves)]))
    return found


def _summed(path: Path, groups: Sequence[str], first: int, end: int) -> dict[tuple[Any, ...], list[int]]:
    """Return the sums of SPEND_COLUMNS by group of the quarters in [first, end), read by several threads at once."""
    parts = min(os.cpu_count() or 1, MAX_READERS) if end - first >= SPLIT_QUARTERS else 1
    edges = [first + (end - first) * number // parts for number in range(parts + 1)]
    sums: dict[tuple[Any, ...], list[int]] = {}
    with ExitStack() as stack:
        readers = _alike(path, stack, parts)
        pool = stack.enter_context(ThreadPoolExecutor(parts))
        for rows in pool.map(partial(_sums, groups), readers, edges[:-1], edges[1:]):
            for group, amounts in rows:
                standing = sums.get(group)
                sums[group] = amounts if standing is None else [a + b for a, b in zip(standing, amounts, strict=True)]
    return sums


def _alike(path: Path, stack: ExitStack, count: int) -> list[sqlite3.Connection]:
    """Return connections that see the ledger at one moment: between two of them nothing was committed."""
    watcher = stack.enter_context(reading(path))
    for _ in range(MAX_TRIES):
        (before,) = watcher.execute("PRAGMA data_version").fetchone()
        readers = [stack.enter_context(reading(path)) for _ in range(count)]
        for reader in readers:
            reader.execute("BEGIN")
            reader.execute("SELECT 1 FROM spend LIMIT 1").fetchone()
        if watcher.execute("PRAGMA data_version").fetchone() == (before,):
            return readers
        for reader in readers:
            reader.rollback()
    raise LedgerError(f"{path}: is written to without a pause: try again")


def _sums(
    groups: Sequence[str], connection: sqlite3.Connection, first: int, end: int
) -> list[tuple[tuple[Any, ...], list[int]]]:
    """Return (group, sums) of the quarters in [first, end)."""
    try:
        return [
            (row[: len(groups)], list(row[len(groups) :]))
            for row in _grouped(groups, [f"SUM({name})" for name in SPEND_COLUMNS], connection, first, end)
        ]
    except sqlite3.OperationalError as error:
        if "overflow" not in str(error):
            raise
    # Sums end at 2^63: in two halves they end at 9 * 10^18 dollars.
    halves = [f"SUM({name} {sign} {PICO})" for sign in "/%" for name in SPEND_COLUMNS]
    found = []
    for row in _grouped(groups, halves, connection, first, end):
        group, amounts = row[: len(groups)], row[len(groups) :]
        wholes, rests = amounts[: len(SPEND_COLUMNS)], amounts[len(SPEND_COLUMNS) :]
        found.append((group, [whole * PICO + rest for whole, rest in zip(wholes, rests, strict=True)]))
    return found


def _grouped(
    groups: Sequence[str],
    sums: Sequence[str],
    connection: sqlite3.Connection,
    first: int,
    end: int,
    table: str = "spend",
    time: str = "quarter",
) -> list[tuple[Any, ...]]:
    by = f"GROUP BY {', '.join(map(str, range(1, len(groups) + 1)))}" if groups else ""
    sql = f"SELECT {', '.join([*groups, *sums])} FROM {table} WHERE {time} >= ? AND {time} < ? {by}"  # noqa: S608 our own names
    found = connection.execute(sql, (first, end)).fetchall()
    return [row for row in found if row[len(groups)] is not None]  # without groups, nothing is a row of nothing


def _row(by: Sequence[str], values: Sequence[Any], sums: Sequence[int]) -> Row:
    group = tuple(_EPOCH.fromordinal(_EPOCH_ORDINAL + value).isoformat() if name == "day" else str(value)
                  for name, value in zip(by, values, strict=True))  # fmt: skip
    named = dict(zip(SPEND_COLUMNS, sums, strict=True))
    requests, unpriced = named.pop("requests"), named.pop("unpriced")
    cost = {component: named.pop(f"cost_{component}") for component in COMPONENTS}
    return Row(group, requests, unpriced, named, cost)


_EPOCH = date(1970, 1, 1)
_EPOCH_ORDINAL = _EPOCH.toordinal()


def _day_number(first: int, last: int, zone: ZoneInfo) -> str:
    """Return the SQL for the days since 1970, by a zone's wall clock, of a quarter in [first, last]."""
    whens, offset = "", _offset(first, zone)
    at = first
    while at < last:
        following = min(at + DAY_QUARTERS, last)
        if _offset(following, zone) != offset:
            changed = bisect_left(range(at + 1, following + 1), True, key=lambda each: _offset(each, zone) != offset)
            at = at + 1 + changed
            whens += f" WHEN quarter < {at} THEN (quarter * {QUARTER_SECONDS} + {offset}) / 86400"
            offset = _offset(at, zone)
        else:
            at = following
    plain = f"(quarter * {QUARTER_SECONDS} + {offset}) / 86400"
    return f"CASE{whens} ELSE {plain} END" if whens else plain


_DAY_OF_UTC = f"(quarter * {QUARTER_SECONDS} + 0) / 86400"


def _offset(quarter: int, zone: ZoneInfo) -> int:
    offset = datetime.fromtimestamp(quarter * QUARTER_SECONDS, zone).utcoffset()
    return int(offset.total_seconds()) if offset is not None else 0
