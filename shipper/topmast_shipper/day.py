"""The part of a day that is written to: its connection, its last number, what it holds.

A window is one transaction. What SQLite keeps in its write-ahead log is copied into the file by another thread, so
that nobody waits for that disk while there is more to write; the copy is a checkpoint like any other, and safe.
"""

import sqlite3
from collections.abc import Sequence
from concurrent.futures import Executor, Future
from contextlib import suppress
from functools import cache
from typing import NamedTuple

from topmast_shipper import store
from topmast_shipper.portion import EVENT_COLUMNS, WORDS_COLUMNS, Portion
from topmast_shipper.store import Part

# SQLite allows 32,766 variables in a statement (since 3.32).
_LOOK_UP = 500
# Statements are of a multiple of so many rows, the rest of a power of two, so that few are prepared; a window is
# some of them: behind each, the interpreter's lock is waited for. SQLite has room for 32,766 values in one.
_ROWS_TOGETHER = 256
_MOST_ROWS = 2048
# Rows behind which the log is worth a copy.
_COPIED_TOGETHER = 4096


class _Table(NamedTuple):
    """What rows are inserted into, and how many values one has."""

    insert: str
    columns: int
    then: str = ""

    @cache  # noqa: B019 - two tables, sixteen numbers of rows
    def statement(self, rows: int) -> str:
        marks = f"({','.join('?' * self.columns)})"
        return f"INSERT INTO {self.insert} VALUES {','.join([marks] * rows)}{self.then}"  # noqa: S608 - question marks


_EVENTS = _Table("events", EVENT_COLUMNS, " ON CONFLICT(id) DO NOTHING")
_WORDS = _Table("words(rowid, message, fields)", WORDS_COLUMNS)


class Day:
    """One file, open."""

    def __init__(self, part: Part, copier: Executor) -> None:
        self.part = part
        self._copier = copier
        self._copying: Future[None] | None = None
        self._uncopied = 0
        self._connection = store.open_for_writing(part.path)
        self._behind = store.open_for_writing(part.path)
        """What the log is copied with."""
        row = self._connection.execute("SELECT coalesce(max(n), 0) FROM events").fetchone()
        self._last_n: int = row[0]
        self.greatest: dict[str, str] = {}
        """Greatest id stored, per stream and generation that was asked for."""

    def stored(self, portion: Portion) -> set[str]:
        """Return which of the ids this part holds."""
        for prefix in portion.least.keys() - self.greatest.keys():
            self.greatest[prefix] = store.last_key(self._connection, prefix) or ""
        if all(first > self.greatest[prefix] for prefix, first in portion.least.items()):
            return set()
        return stored(self._connection, [each for each in portion.ids if each <= self.greatest[each[:20]]])

    def write(self, portion: Portion) -> None:
        """Store the rows in one transaction."""
        portion.number(self._last_n + 1)
        with self._connection:
            self._connection.execute("BEGIN IMMEDIATE")
            _insert(self._connection, _EVENTS, portion.events)
            _insert(self._connection, _WORDS, portion.words)
        self._last_n += len(portion.ids)
        for prefix, last in portion.greatest.items():
            if last > self.greatest.get(prefix, ""):
                self.greatest[prefix] = last
        self._uncopied += len(portion.ids)
        if self._uncopied >= _COPIED_TOGETHER and (self._copying is None or self._copying.done()):
            self._uncopied = 0
            self._copying = self._copier.submit(self._copy)

    def close(self) -> None:
        if self._copying is not None:
            self._copying.result()
        self._behind.close()
        self._connection.close()

    def _copy(self) -> None:
        """Copy what is in the log into the file, beside whoever writes on."""
        # a disk that fails here fails the writer, too, who is heard
        with suppress(sqlite3.Error):
            self._behind.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()


def _insert(connection: sqlite3.Connection, table: _Table, values: Sequence[object]) -> None:
    """Insert the rows, most of them in one statement: SQLite takes a single step, not one a row."""
    first, rows = 0, len(values) // table.columns
    while first < rows:
        left = rows - first
        count = min(left - left % _ROWS_TOGETHER, _MOST_ROWS) or 1 << (left.bit_length() - 1)
        some = values[first * table.columns : (first + count) * table.columns]
        connection.execute(table.statement(count), some)
        first += count


def stored(connection: sqlite3.Connection, ids: Sequence[str]) -> set[str]:
    """Return which of the ids a file of the store holds."""
    known: set[str] = set()
    for start in range(0, len(ids), _LOOK_UP):
        some = ids[start : start + _LOOK_UP]
        marks = ",".join("?" * len(some))
        rows = connection.execute(f"SELECT id FROM events WHERE id IN ({marks})", some)  # noqa: S608 - question marks
        known.update(row[0] for row in rows)
    return known
