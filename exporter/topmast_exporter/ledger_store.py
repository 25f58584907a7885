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
from pathlib import Path
from typing import IO

from topmast_exporter.errors import ExporterError
from topmast_exporter.ledger_series import COUNTERS, HISTOGRAMS, Buckets, Key
from topmast_exporter.pricing.price import COMPONENTS, PICO
from topmast_exporter.pricing.tokens import FIELDS
from topmast_exporter.usage_event import KEEP_ID_SECONDS, UsageEvent

FILE = "ledger.sqlite"
SCHEMA_VERSION = 1
QUARTER_SECONDS = 900

# Rows of 45-day-old events deleted in one transaction: never long enough to hold up a commit.
PURGE_ROWS = 2_000

SPEND_COLUMNS = ("requests", "unpriced", *FIELDS, *(f"cost_{component}" for component in COMPONENTS))

_EVENT_COLUMNS = (
    "id",
    "at_ms",
    "provider",
    "model",
    "feature",
    "operation",
    "outcome",
    "tier",
    "batch",
    "stream",
    "attempt",
    "duration_us",
    "first_token_us",
    "caller_cost",
    "price_status",
    "price_reason",
    *FIELDS,
    *(f"cost_{component}" for component in COMPONENTS),
)
_TEXT = ("id", "provider", "model", "feature", "operation", "outcome", "tier", "price_status", "price_reason")

_SCHEMA = f"""
CREATE TABLE event (
    {", ".join(f"{name} {'TEXT NOT NULL' if name in _TEXT else 'INTEGER'}" for name in _EVENT_COLUMNS)},
    PRIMARY KEY (id)
) WITHOUT ROWID;
CREATE INDEX event_at ON event (at_ms);
CREATE TABLE spend (
    quarter INTEGER NOT NULL, provider TEXT NOT NULL, model TEXT NOT NULL, feature TEXT NOT NULL,
    {", ".join(f"{name} INTEGER NOT NULL" for name in SPEND_COLUMNS)},
    PRIMARY KEY (quarter, provider, model, feature)
) WITHOUT ROWID;
CREATE TABLE counter (
    family TEXT NOT NULL, labels TEXT NOT NULL, total TEXT NOT NULL, PRIMARY KEY (family, labels)
) WITHOUT ROWID;
CREATE TABLE histogram (
    family TEXT NOT NULL, labels TEXT NOT NULL, counts TEXT NOT NULL, total TEXT NOT NULL,
    PRIMARY KEY (family, labels)
) WITHOUT ROWID;
PRAGMA user_version = {SCHEMA_VERSION};
"""


class LedgerError(ExporterError):
    """The ledger cannot be used, or a batch could not be stored: nothing of it counts, it may be sent again."""


@dataclass(frozen=True)
class Booked:
    """An event with its price, as it is stored. `cost` is None when it is unpriced."""

    event: UsageEvent
    status: str
    reason: str
    cost: tuple[int, ...] | None

    def row(self) -> tuple[object, ...]:
        event = self.event
        tokens = event.tokens.astuple() if event.tokens is not None else (None,) * len(FIELDS)
        return (
            event.id,
            int(event.at * 1000),
            event.provider,
            event.model,
            event.feature,
            event.operation,
            event.outcome,
            event.tier,
            int(event.batch),
            int(event.stream),
            event.attempt,
            None if event.duration_seconds is None else int(event.duration_seconds * 1e6),
            None if event.time_to_first_token_seconds is None else int(event.time_to_first_token_seconds * 1e6),
            event.caller_cost,
            self.status,
            self.reason,
            *tokens,
            *(self.cost if self.cost is not None else (None,) * len(COMPONENTS)),
        )


SpendKey = tuple[int, str, str, str]
"""(quarter of an hour since 1970, provider, model, feature)"""


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
            self._connection = _open(self.path)
        except BaseException:
            self._lock.close()
            raise

    def close(self) -> None:
        """Let go of the file and of the lock. Twice is once."""
        self._connection.close()
        self._lock.close()

    def counters(self) -> dict[Key, int]:
        """Return the stored totals of the families that this version has."""
        rows = self._connection.execute("SELECT family, labels, total FROM counter")
        return {(family, _labels(labels)): int(total) for family, labels, total in rows if family in COUNTERS}

    def histograms(self) -> dict[Key, Buckets]:
        rows = self._connection.execute("SELECT family, labels, counts, total FROM histogram")
        return {
            (family, _labels(labels)): Buckets(json.loads(counts), int(total))
            for family, labels, counts, total in rows
            if family in HISTOGRAMS
        }

    @contextlib.contextmanager
    def transaction(self) -> Iterator[None]:
        """Commit at the end, durably; on any error nothing of it happened. Raises LedgerError for SQLite's own."""
        try:
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield
            except BaseException:
                self._connection.rollback()
                raise
            self._connection.commit()
        except sqlite3.Error as error:
            if self._connection.in_transaction:
                self._connection.rollback()
            raise LedgerError(f"{self.path}: {error}") from error

    def insert(self, booked: Booked) -> bool:
        """Store an event; return False when its id is known."""
        return self._connection.execute(_INSERT_EVENT, booked.row()).rowcount == 1

    def save(
        self, counters: Mapping[Key, int], histograms: Mapping[Key, Buckets], spend: Mapping[SpendKey, Spend]
    ) -> None:
        """Store totals as they will stand, and add to the spend."""
        self._connection.executemany(
            "INSERT OR REPLACE INTO counter VALUES (?, ?, ?)",
            [(family, json.dumps(labels), str(total)) for (family, labels), total in counters.items()],
        )
        self._connection.executemany(
            "INSERT OR REPLACE INTO histogram VALUES (?, ?, ?, ?)",
            [
                (family, json.dumps(labels), json.dumps(buckets.counts), str(buckets.sum))
                for (family, labels), buckets in histograms.items()
            ],
        )
        self._connection.executemany(_ADD_SPEND, [(*key, *one.values) for key, one in spend.items()])

    def purge(self, now: float) -> int:
        """Delete some events older than ids are kept; return how many. Their spend stays."""
        before = int((now - KEEP_ID_SECONDS) * 1000)
        sql = "DELETE FROM event WHERE id IN (SELECT id FROM event WHERE at_ms < ? LIMIT ?)"
        with self.transaction():
            return self._connection.execute(sql, (before, PURGE_ROWS)).rowcount

    def cost_by_feature(self, since: float, until: float) -> dict[str, int]:
        """Return the cost in pico-USD of the quarters in [since, until), by feature."""
        cost = " + ".join(f"cost_{component}" for component in COMPONENTS)
        rows = self._connection.execute(
            f"SELECT feature, SUM(({cost}) / {PICO}), SUM(({cost}) % {PICO}) FROM spend"  # noqa: S608 our own names
            " WHERE quarter >= ? AND quarter < ? GROUP BY feature",
            (int(since // QUARTER_SECONDS), -int(-until // QUARTER_SECONDS)),
        )
        return {feature: int(whole) * PICO + int(rest) for feature, whole, rest in rows}

    def first_quarter(self) -> int | None:
        """Return the unix time at which the spend begins."""
        (first,) = self._connection.execute("SELECT MIN(quarter) FROM spend").fetchone()
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


def _open(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    try:
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        if version > SCHEMA_VERSION:
            raise LedgerError(f"{path}: written by a newer version (schema {version}, this one has {SCHEMA_VERSION})")
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")  # in WAL mode: one fsync a commit
        connection.execute("PRAGMA cache_size = -2048")  # 2 MiB
        if version == 0:
            connection.executescript(f"BEGIN; {_SCHEMA} COMMIT;")
    except sqlite3.Error as error:
        connection.close()
        raise LedgerError(f"{path}: not a ledger: {error}") from error
    except LedgerError:
        connection.close()
        raise
    return connection


def _labels(stored: str) -> tuple[str, ...]:
    return tuple(str(label) for label in json.loads(stored))


def _places(columns: Sequence[str]) -> str:
    return ", ".join("?" for _ in columns)


_INSERT_EVENT = f"INSERT OR IGNORE INTO event ({', '.join(_EVENT_COLUMNS)}) VALUES ({_places(_EVENT_COLUMNS)})"  # noqa: S608 our own names
_ADD_SPEND = (
    f"INSERT INTO spend VALUES (?, ?, ?, ?, {_places(SPEND_COLUMNS)}) ON CONFLICT DO UPDATE SET "  # noqa: S608 our own names
    + ", ".join(f"{name} = {name} + excluded.{name}" for name in SPEND_COLUMNS)
)
