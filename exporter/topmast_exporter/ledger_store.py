"""The ledger's file: SQLite in WAL mode, fsynced at every commit, one writer.

Three kinds of rows are written in one transaction: the events (kept 45 days, which is how long an id is known), the
totals that the counters show, and the spend by quarter of an hour (kept for good: reports and budgets add these up,
and every time zone of the world begins its day on a quarter of an hour).
Amounts are integers in pico-USD. SQLite's integers end at 9.2 million dollars in pico, so totals are stored as text
and sums are taken in two halves.
"""

import contextlib
import fcntl
import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from operator import attrgetter
from pathlib import Path
from typing import IO

from topmast_exporter.ledger_dimensions import NOBODY, Dimensions
from topmast_exporter.ledger_schema import (
    EVENT_COLUMNS,
    SPEND_COLUMNS,
    SPEND_KEY,
    LedgerError,
    LedgerStalledError,
    open_file,
)
from topmast_exporter.ledger_series import COUNTERS, HISTOGRAMS, Buckets, Key
from topmast_exporter.pricing.price import COMPONENTS, PICO, UNPRICED, Price
from topmast_exporter.pricing.tokens import FIELDS
from topmast_exporter.usage_event import KEEP_ID_SECONDS, UsageEvent

FILE = "ledger.sqlite"
QUARTER_SECONDS = 900

# Rows of 45-day-old events deleted in one transaction: never long enough to hold up a commit.
PURGE_ROWS = 2_000
# What a disk may get over: no space, an I/O error, mounted read-only, no such place, held by a backup.
_LATER = (
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_READONLY,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_BUSY,
)
MOST = 2**63
"""Where SQLite's integers end."""


Row = tuple[object, ...]
"""An event with its price, in the order of EVENT_COLUMNS."""

_said = attrgetter(
    "provider", "model", "feature", "operation", "outcome", "tier", "batch", "stream", "attempt"
)  # as EVENT_COLUMNS has them
_NO_TOKENS = (None,) * len(FIELDS)
_NO_COST = (None,) * len(COMPONENTS)


def row(event: UsageEvent, price: Price, counts: tuple[int, ...], where: Dimensions = NOBODY) -> Row:
    """Return an event as it is stored; `counts` are its tokens, where it has any."""
    duration, first = event.duration_seconds, event.time_to_first_token_seconds
    return (
        event.id,
        int(event.at * 1000),
        *_said(event),
        None if duration is None else int(duration * 1e6),
        None if first is None else int(first * 1e6),
        event.caller_cost,
        price.status,
        price.reason,
        *(_NO_TOKENS if event.tokens is None else counts),
        *(_NO_COST if price.status == UNPRICED else price.parts),
        *where,
    )


SpendKey = tuple[int, str, str, str, str, str, str]
"""SPEND_KEY: quarter of an hour since 1970, provider, model, feature, key alias, user group, environment."""


@dataclass
class Spend:
    """Sums of some requests."""

    values: list[int] = field(default_factory=lambda: [0] * len(SPEND_COLUMNS))

    def add(self, amounts: Iterable[int]) -> None:
        self.values = [mine + its for mine, its in zip(self.values, amounts, strict=True)]


class Store:
    """The open file. Used by one thread; closing it lets another process in."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / FILE
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._lock = _lock(folder / f"{FILE}.lock")
        except OSError as error:
            raise LedgerError(f"{folder}: cannot be written: {error}") from error
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

    def known(self, ids: Sequence[str]) -> set[str]:
        """Return those of the ids that are stored."""
        sql = f"SELECT id FROM event WHERE id IN ({_places(ids)})"  # noqa: S608 question marks only
        return {found for (found,) in self.connection.execute(sql, ids)}

    def insert(self, rows: Sequence[Row]) -> None:
        """Store events whose ids are not known."""
        self.connection.executemany(_INSERT_EVENT, rows)

    def save(
        self, counters: Mapping[Key, int], histograms: Mapping[Key, Buckets], spend: Mapping[SpendKey, Spend]
    ) -> None:
        """Store totals as they will stand, and add to the spend."""
        self.connection.executemany(
            "INSERT OR REPLACE INTO counter VALUES (?, ?, ?)",
            [(family, json.dumps(labels), str(total)) for (family, labels), total in counters.items()],
        )
        self.connection.executemany(
            "INSERT OR REPLACE INTO histogram VALUES (?, ?, ?, ?)",
            [
                (family, json.dumps(labels), json.dumps(buckets.counts), str(buckets.sum))
                for (family, labels), buckets in histograms.items()
            ],
        )
        self.connection.executemany(_ADD_SPEND, [(*key, *one.values) for key, one in spend.items()])

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
        before = int((now - KEEP_ID_SECONDS) * 1000)
        sql = "DELETE FROM event WHERE id IN (SELECT id FROM event WHERE at_ms < ? LIMIT ?)"
        with self.transaction():
            return self.connection.execute(sql, (before, PURGE_ROWS)).rowcount

    def first_unrolled(self) -> int | None:
        """Return the first quarter of the spend that is not a day's sum yet."""
        (rolled,) = self.connection.execute(
            "SELECT coalesce(max(CAST(value AS INTEGER)), 0) FROM fact WHERE name = 'rolled_until'"
        ).fetchone()
        (first,) = self.connection.execute("SELECT min(quarter) FROM spend WHERE quarter >= ?", (rolled,)).fetchone()
        return None if first is None else int(first)

    def roll_up(self, first: int, end: int) -> None:
        """Make the quarters in [first, end) one, which stands at the first; every sum stays what it is."""
        names = SPEND_KEY[1:]
        sums: dict[tuple[str, ...], list[int]] = {}
        with self.transaction():
            rows = self.connection.execute(
                f"SELECT {', '.join((*names, *SPEND_COLUMNS))} FROM spend WHERE quarter >= ? AND quarter < ?",  # noqa: S608 our own names
                (first, end),
            )
            for row in rows:  # added here: SQLite's integers end at 2^63
                key, amounts = row[: len(names)], row[len(names) :]
                standing = sums.get(key)
                sums[key] = (
                    list(amounts) if standing is None else [a + b for a, b in zip(standing, amounts, strict=True)]
                )
            if all(amount < MOST for amounts in sums.values() for amount in amounts):
                self.connection.execute("DELETE FROM spend WHERE quarter >= ? AND quarter < ?", (first, end))
                self.connection.executemany(_ADD_SPEND, [(first, *key, *amounts) for key, amounts in sums.items()])
            self.connection.execute("INSERT OR REPLACE INTO fact VALUES ('rolled_until', ?)", (str(end),))

    def cost_by_feature(self, since: float, until: float) -> dict[str, int]:
        """Return the cost in pico-USD of the quarters in [since, until), by feature."""
        cost = " + ".join(f"cost_{component}" for component in COMPONENTS)
        rows = self.connection.execute(
            f"SELECT feature, SUM(({cost}) / {PICO}), SUM(({cost}) % {PICO}) FROM spend"  # noqa: S608 our own names
            " WHERE quarter >= ? AND quarter < ? GROUP BY feature",
            (int(since // QUARTER_SECONDS), -int(-until // QUARTER_SECONDS)),
        )
        return {feature: int(whole) * PICO + int(rest) for feature, whole, rest in rows}

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


def _labels(stored: str) -> tuple[str, ...]:
    return tuple(str(label) for label in json.loads(stored))


def _places(columns: Sequence[str]) -> str:
    return ", ".join("?" for _ in columns)


_INSERT_EVENT = f"INSERT INTO event ({', '.join(EVENT_COLUMNS)}) VALUES ({_places(EVENT_COLUMNS)})"  # noqa: S608 our own names
_ADD_SPEND = (
    f"INSERT INTO spend VALUES ({_places((*SPEND_KEY, *SPEND_COLUMNS))}) ON CONFLICT DO UPDATE SET "  # noqa: S608 our own names
    + ", ".join(f"{name} = {name} + excluded.{name}" for name in SPEND_COLUMNS)
)
