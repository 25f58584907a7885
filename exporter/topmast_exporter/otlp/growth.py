"""How much each series grew: cumulative data points are told again and again, and a restart must not forget them.

A SQLite file holds how far each series was heard and, moved in the same transaction, the usage events that follow
from it (the outbox). The ledger is given the outbox until it has committed it; it knows their ids. So whatever is
killed when, what a point added is counted once.
"""

import json
import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from topmast_exporter.otlp.points import Point
from topmast_exporter.otlp.store import Store

FILE = "otlp.sqlite"

# Series are those of living processes; of more, the ones that have been quiet the longest are forgotten. One that
# speaks again is not known, and began before the last of them was heard: it counts from there on, and nothing twice.
MAX_SERIES = 100_000
PRUNE_EVERY = 1_000

_SCHEMA = """
CREATE TABLE IF NOT EXISTS series (
    key TEXT PRIMARY KEY, at INTEGER NOT NULL, total REAL NOT NULL, count INTEGER NOT NULL, buckets TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS forgotten (until INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS outbox (id TEXT PRIMARY KEY, event TEXT NOT NULL) WITHOUT ROWID;
"""


@dataclass(frozen=True, slots=True)
class Grown:
    """What a point adds to what was known."""

    point: Point
    since: int
    """Unix time in ns."""
    total: float
    count: int
    buckets: tuple[int, ...]


Follow = Callable[[Sequence[Grown]], Sequence[dict[str, Any]]]
"""Return the usage events (bodies of POST /v1/usage) that follow from what grew."""


class Growth:
    """The file. Its methods may be called in any thread."""

    def __init__(self, folder: Path | None) -> None:
        """Open it, in memory without a folder. Raises LedgerError."""
        self._steps = 0
        self._store = Store(folder, FILE, _SCHEMA)

    def close(self) -> None:
        self._store.close()

    def take(self, points: Sequence[Point], follow: Follow) -> int:
        """Learn the points and put into the outbox what follows; return how many added nothing new.

        Raises LedgerError, with nothing learnt.
        """
        with self._store.transaction() as database:
            grown = [one for point in points if (one := self._grown(database, point)) is not None]
            database.executemany(
                "INSERT OR IGNORE INTO outbox VALUES (?, ?)", [(one["id"], json.dumps(one)) for one in follow(grown)]
            )
            self._prune(database)
        return len(points) - len(grown)

    def waiting(self) -> list[dict[str, Any]]:
        """Return the outbox."""
        with self._store.transaction() as database:
            return [json.loads(event) for (event,) in database.execute("SELECT event FROM outbox ORDER BY id")]

    def settle(self, ids: Sequence[str]) -> None:
        """These are committed, or refused for good. Raises LedgerError."""
        with self._store.transaction() as database:
            database.executemany("DELETE FROM outbox WHERE id = ?", [(one,) for one in ids])

    def _grown(self, database: sqlite3.Connection, point: Point) -> Grown | None:
        if not point.cumulative:
            # each is told once, and the ids of its events say whether it was
            return Grown(point, point.start or point.at, point.total, point.count, point.buckets)
        # another process, or the same one restarted, counts since another time: a series of its own
        key = f"{point.identity}:{point.start}"
        row = database.execute("SELECT at, total, count, buckets FROM series WHERE key = ?", (key,)).fetchone()
        if row is None and point.start < self._forgotten(database):
            self._remember(database, key, point)
            return None
        at, total, count, listed = row or (point.start or point.at, 0.0, 0, "[]")
        buckets = json.loads(listed) or [0] * len(point.buckets)
        if row is not None and point.at <= at:
            return None
        if point.start == 0 and (point.total < total or point.count < count):
            total, count, buckets = 0.0, 0, [0] * len(point.buckets)  # it says not since when: it began anew
        if len(buckets) != len(point.buckets):
            return None
        added = tuple(new - old for new, old in zip(point.buckets, buckets, strict=True))
        if point.total < total or point.count < count or any(one < 0 for one in added):
            return None  # what only grows has fallen: an older point with a newer time
        self._remember(database, key, point)
        return Grown(point, at, point.total - total, point.count - count, added)

    def _remember(self, database: sqlite3.Connection, key: str, point: Point) -> None:
        database.execute(
            "INSERT OR REPLACE INTO series VALUES (?, ?, ?, ?, ?)",
            (key, point.at, point.total, point.count, json.dumps(point.buckets)),
        )

    def _forgotten(self, database: sqlite3.Connection) -> int:
        """Return until when series were heard that are forgotten, Unix time in ns; 0 when none ever was."""
        return database.execute("SELECT max(until) FROM forgotten").fetchone()[0] or 0

    def _prune(self, database: sqlite3.Connection) -> None:
        self._steps += 1
        if self._steps % PRUNE_EVERY != 1:
            return
        old = "SELECT at FROM series ORDER BY at DESC LIMIT -1 OFFSET ?"
        (until,) = database.execute(f"SELECT max(at) FROM ({old})", (MAX_SERIES,)).fetchone()  # noqa: S608 ours
        if until is not None:
            database.execute("DELETE FROM series WHERE at <= ?", (until,))
            database.execute("DELETE FROM forgotten")
            database.execute("INSERT INTO forgotten VALUES (?)", (until,))
