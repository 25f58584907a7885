"""The ledger's file: SQLite in WAL mode, fsynced at every commit, one writer.

A commit writes, in one transaction: the ids that are new (kept 45 days), a block of its events, the totals that the
counters show, and the spend (ledger_spend.py). Totals are stored as text: SQLite's integers end at 9.2 million
dollars in pico-USD.
"""

import contextlib
import fcntl
import json
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import IO

from topmast_exporter import ledger_spend
from topmast_exporter.ledger_block import Block, BlockError, Builder, read
from topmast_exporter.ledger_schema import (
    ADD_BLOCK,
    PUT_BLOCK,
    RUNNING,
    SMALL_BLOCK_EVENTS,
    LedgerError,
    LedgerStalledError,
)
from topmast_exporter.ledger_series import COUNTERS, HISTOGRAMS, Buckets, Key
from topmast_exporter.ledger_spend import QUARTER_SECONDS, Spend, SpendKey
from topmast_exporter.ledger_upgrade import open_file
from topmast_exporter.usage_event import KEEP_ID_SECONDS

FILE = "ledger.sqlite"

# Events of 45 days ago deleted in one transaction, at least: never long enough to hold up a commit.
PURGE_EVENTS = 2_000
# So many small blocks are merged at a time, and none before there are so many.
MERGE_BLOCKS, MERGE_LEAST = 500, 64
MERGED_EVENTS = 2_000
# What a disk may get over: no space, an I/O error, mounted read-only, no such place, held by a backup.
_LATER = (
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_READONLY,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_BUSY,
)


class Store:
    """The open file. Used by one thread; closing it lets another process in."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / FILE
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._lock = _lock(folder / f"{FILE}.lock")
        except OSError as error:
            raise LedgerError(f"{folder}: cannot be written: {error}") from error
        self._texts: dict[tuple[str, ...], str] = {}
        try:
            self.connection = open_file(self.path)
        except BaseException:
            self._lock.close()
            raise

    def close(self) -> None:
        """Let go of the file and of the lock. Twice is once."""
        self.connection.close()
        self._lock.close()

    def counters(self) -> dict[Key, int]:
        """Return the stored totals of the families that this version has."""
        rows = self.connection.execute("SELECT family, labels, total FROM counter")
        return {(family, _labels(labels)): int(total) for family, labels, total in rows if family in COUNTERS}

    def histograms(self) -> dict[Key, Buckets]:
        rows = self.connection.execute("SELECT family, labels, counts, total FROM histogram")
        return {
            (family, _labels(labels)): Buckets(json.loads(counts), int(total))
            for family, labels, counts, total in rows
            if family in HISTOGRAMS
        }

    @contextlib.contextmanager
    def transaction(self) -> Iterator[None]:
        """Commit at the end, durably; on any error nothing of it happened. Raises LedgerError for SQLite's own."""
        try:
            self.connection.execute("BEGIN IMMEDIATE")
            try:
                yield
            except BaseException:
                self.connection.rollback()
                raise
            self.connection.commit()
        except sqlite3.Error as error:
            if self.connection.in_transaction:
                self.connection.rollback()
            later = getattr(error, "sqlite_errorcode", 0) & 0xFF in _LATER
            kind = LedgerStalledError if later else LedgerError
            raise kind(f"{self.path}: {error}") from error

    def remember(self, ids: Sequence[str]) -> set[str] | None:
        """Store ids, first of all in a transaction; return those stored before, None when each is new."""
        connection = self.connection
        if self._put(ids) == len(ids):
            return None
        # Some were known or came twice, and SQLite does not say which. Nothing else was done yet: once more.
        connection.rollback()
        connection.execute("BEGIN IMMEDIATE")
        known: set[str] = set()
        for start in range(0, len(ids), MAX_ASKED):
            some = ids[start : start + MAX_ASKED]
            sql = f"SELECT id FROM seen WHERE id IN ({', '.join('?' * len(some))})"  # noqa: S608 question marks only
            known.update(found for (found,) in connection.execute(sql, some))
        self._put(ids)
        return known

    def _put(self, ids: Sequence[str]) -> int:
        """Store ids; return how many were new."""
        new, start = 0, 0
        for size in PUT_AT_ONCE:  # half the time of one by one; few sizes, so that statements are prepared once
            while len(ids) - start >= size:
                row = self.connection.execute(_remember(size), ids[start : start + size])
                new, start = new + row.rowcount, start + size
        return new

    def insert(self, block: Builder) -> None:
        """Store events whose ids are remembered."""
        if block.events:
            self.connection.execute(ADD_BLOCK, block.row())

    def save(
        self, counters: Mapping[Key, int], histograms: Mapping[Key, Buckets], spend: Mapping[SpendKey, Spend]
    ) -> None:
        """Store totals as they will stand, and add to the spend."""
        self.connection.executemany(
            "INSERT OR REPLACE INTO counter VALUES (?, ?, ?)",
            [(key[0], self._text(key[1]), str(total)) for key, total in counters.items()],
        )
        self.connection.executemany(
            "INSERT OR REPLACE INTO histogram VALUES (?, ?, ?, ?)",
            [
                (key[0], self._text(key[1]), str(buckets.counts), str(buckets.sum))
                for key, buckets in histograms.items()
            ],
        )
        ledger_spend.add(self.connection, spend)

    def _text(self, labels: tuple[str, ...]) -> str:
        """Return labels as they are stored; the admission bounds how many there are."""
        text = self._texts.get(labels)
        if text is None:
            text = self._texts[labels] = json.dumps(labels)
        return text

    def salt(self) -> str:
        """Return the key of the pseudonyms in this file."""
        (salt,) = self.connection.execute("SELECT value FROM fact WHERE name = 'salt'").fetchone()
        return str(salt)

    def dimensions(self) -> list[tuple[str, str]]:
        """Return (name, value) of every key alias, user group and environment that was admitted."""
        return [(str(name), str(value)) for name, value in self.connection.execute("SELECT * FROM dimension")]

    def keep_dimension(self, name: str, value: str) -> None:
        self.connection.execute("INSERT OR IGNORE INTO dimension VALUES (?, ?)", (name, value))

    def purge(self, now: float) -> int:
        """Delete some events older than ids are kept; return how many. Their spend stays."""
        before, gone = int((now - KEEP_ID_SECONDS) * 1000), 0
        with self.transaction():
            old = self.connection.execute(_OLD, (before, PURGE_EVENTS)).fetchall()
            for (number,) in old:
                ids = self._block(number).ids
                self.connection.executemany("DELETE FROM seen WHERE id = ?", zip(ids))
                self.connection.execute("DELETE FROM block WHERE number = ?", (number,))
                gone += len(ids)
                if gone >= PURGE_EVENTS:
                    break
        return gone

    def merge(self) -> int:
        """Make small blocks one, which stands where the first of them was; return how many there were."""
        connection = self.connection
        with self.transaction():
            if connection.execute("SELECT 1 FROM correction WHERE state = ?", (RUNNING,)).fetchone() is not None:
                return 0  # it goes from block to block
            small = connection.execute(_SMALL, (MERGE_BLOCKS,)).fetchall()
            if len(small) < MERGE_LEAST:
                return 0
            merged, numbers = Builder(), []
            for number, events in small:
                if merged.events + events > MERGED_EVENTS:
                    break
                self._block(number).into(merged)
                numbers.append(number)
            connection.executemany("DELETE FROM block WHERE number = ?", zip(numbers))
            connection.execute(PUT_BLOCK, (numbers[0], *merged.row()))
        return len(numbers)

    def _block(self, number: int) -> Block:
        (body,) = self.connection.execute("SELECT body FROM block WHERE number = ?", (number,)).fetchone()
        try:
            return read(body)
        except BlockError as error:
            raise LedgerError(f"{self.path}: block {number} is damaged: {error}") from error

    def first_unrolled(self) -> int | None:
        """Return the first quarter of the spend that is not a day's sum yet."""
        (rolled,) = self.connection.execute(
            "SELECT coalesce(max(CAST(value AS INTEGER)), 0) FROM fact WHERE name = 'rolled_until'"
        ).fetchone()
        (first,) = self.connection.execute("SELECT min(quarter) FROM spend WHERE quarter >= ?", (rolled,)).fetchone()
        return None if first is None else int(first)

    def roll_up(self, first: int, end: int) -> None:
        """Make the quarters in [first, end) one, which stands at the first; every sum stays what it is."""
        with self.transaction():
            ledger_spend.roll_up(self.connection, first, end)

    def cost_by_feature(self, since: float, until: float) -> dict[str, int]:
        """Return the cost in pico-USD of the quarters in [since, until), by feature."""
        first, end = int(since // QUARTER_SECONDS), -int(-until // QUARTER_SECONDS)
        return ledger_spend.cost_by_feature(self.connection, first, end)

    def first_quarter(self) -> int | None:
        """Return the unix time at which the spend begins."""
        (first,) = self.connection.execute("SELECT MIN(quarter) FROM spend").fetchone()
        return None if first is None else int(first) * QUARTER_SECONDS


def _lock(path: Path) -> IO[bytes]:
    """Return a held lock: two writers would show two truths. Raises LedgerError when another process holds it."""
    file = path.open("ab")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        file.close()
        raise LedgerError(f"{path}: another exporter writes this ledger") from error
    return file


@cache
def _remember(count: int) -> str:
    return f"INSERT OR IGNORE INTO seen VALUES {', '.join(['(?)'] * count)}"  # noqa: S608 question marks only


def _labels(stored: str) -> tuple[str, ...]:
    return tuple(str(label) for label in json.loads(stored))


# Question marks in one statement.
MAX_ASKED = 5_000
PUT_AT_ONCE = (500, 50, 8, 1)
_OLD = "SELECT number FROM block WHERE last_ms < ? ORDER BY last_ms LIMIT ?"
_SMALL = f"SELECT number, events FROM block WHERE events < {SMALL_BLOCK_EVENTS} ORDER BY number LIMIT ?"  # noqa: S608 a number of ours
