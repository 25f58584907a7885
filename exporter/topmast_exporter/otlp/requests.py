"""What was pushed of HTTP requests, in app_http_*: kept in a SQLite file, so that no counter falls at a restart.

One transaction holds how far each stream was heard and the totals that follow from it, and is on the disk before the
sender is answered: a data point is counted whole or not at all, and never twice.

- A cumulative stream (one start time of one series) counts what it grew. Another start time is another stream, from 0
  on. One that is not known and began before we listened has a past that may be counted already, or is none of ours:
  it counts from its first point on.
- A delta is known by all that it says, for as long as it may come again; one that is older than that is refused.
"""

import json
import sqlite3
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from operator import add
from pathlib import Path
from typing import Any

from topmast_exporter import admission
from topmast_exporter.instrument import http_metrics
from topmast_exporter.instrument.http_metrics import DURATION_BOUNDS, KNOWN_STATUSES
from topmast_exporter.otlp import request_points
from topmast_exporter.otlp.buckets import Buckets, PointError
from topmast_exporter.otlp.points import Point
from topmast_exporter.otlp.request_points import DURATION, Labels
from topmast_exporter.otlp.store import Store
from topmast_exporter.registry import CounterFamily, HistogramFamily, Registry

FILE = "requests.sqlite"
SOURCE = "requests"
RESULTS = ("accepted", "duplicate", "baseline", "late", "rejected")

BASELINE = "{} streams began before they were listened to: they count from here on"

# How late, or how far ahead of our clock, a data point may come. SDKs give a batch up after a minute or so.
LATE_NS = 3_600 * 10**9

# Of more streams, the ones that have been quiet the longest are forgotten.
MAX_STREAMS = 100_000
MAX_ORIGINS = 10_000
# Deltas of an hour; beyond it a sender is asked to wait.
MAX_DELTAS = 200_000
# So many points may have brought new ones before it is looked at.
PRUNE_EVERY = 10_000

# Sums are integers of this part of a second: exact, whatever is added in whatever order (ledger_series.py has why).
PARTS = 2**80

_SCHEMA = """
CREATE TABLE IF NOT EXISTS about (horizon INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS streams (
    key TEXT PRIMARY KEY, at INTEGER NOT NULL, count INTEGER NOT NULL, sum TEXT NOT NULL, buckets TEXT NOT NULL
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS streams_at ON streams (at);
CREATE TABLE IF NOT EXISTS deltas (key TEXT PRIMARY KEY, at INTEGER NOT NULL) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS deltas_at ON deltas (at);
CREATE TABLE IF NOT EXISTS renamed (origin TEXT PRIMARY KEY, at INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS requests (labels TEXT PRIMARY KEY, total INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS durations (labels TEXT PRIMARY KEY, counts TEXT NOT NULL, sum TEXT NOT NULL) WITHOUT ROWID;
"""

Words = tuple[str, ...]


class FullError(Exception):
    """So many deltas came within an hour that one more could not be told from one that comes again."""


@dataclass
class Took:
    """What became of a body's points."""

    results: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)
    """Of those that are refused."""
    moved: int = 0
    """How many requests were counted at a higher bound than perhaps they had to be."""


@dataclass
class _Step:
    """The totals of the label sets that a body touches, as they will stand."""

    requests: dict[Words, int] = field(default_factory=dict)
    durations: dict[Words, tuple[list[int], int]] = field(default_factory=dict)
    overflowed: list[str] = field(default_factory=list)


class Requests:
    """The totals, their file and their series. One thread at a time takes points."""

    def __init__(self, folder: Path | None, registry: Registry, clock: Callable[[], float] = time.time) -> None:
        """Find again what was counted. Raises LedgerError."""
        self._registry = registry
        self._clock = clock
        self._since_pruned = PRUNE_EVERY
        self._totals = _Step()
        self._families: tuple[CounterFamily, HistogramFamily] | None = None
        self._store = Store(folder, FILE, _SCHEMA)
        with self._store.transaction() as database:
            if database.execute("SELECT count(*) FROM about").fetchone()[0] == 0:
                # what began within the hour is as late as a point may be
                database.execute("INSERT INTO about VALUES (?)", (round(clock() * 1e9) - LATE_NS,))
            for labels, total in database.execute("SELECT labels, total FROM requests"):
                self._totals.requests[tuple(json.loads(labels))] = total
            for labels, counts, total in database.execute("SELECT labels, counts, sum FROM durations"):
                self._totals.durations[tuple(json.loads(labels))] = (json.loads(counts), int(total))
        self._show(self._totals)

    def close(self) -> None:
        """Close the file."""
        self._store.close()

    def take(self, points: Sequence[Point]) -> Took:
        """Count what is new in the points. Raises LedgerError or FullError, with nothing counted."""
        took, step = Took(), _Step()
        if not points:
            return took
        with self._store.transaction() as database:
            self._prune(database, points)
            origins = {point.origin for point in points}
            renamed = frozenset(one for one in origins if self._is_renamed(database, one))
            counted = request_points.without_twins(points, renamed)
            took.results["duplicate"] += len(points) - len(counted)
            for point in counted:
                try:
                    self._learn(database, point, step, took)
                except PointError as error:
                    took.results["late" if error.reason in ("too_old", "out_of_order") else "rejected"] += 1
                    took.reasons[error.reason] += 1
            self._keep(database, step, {point.origin for point in counted if point.metric == DURATION})
        self._totals.requests.update(step.requests)
        self._totals.durations.update(step.durations)
        self._show(step)
        return took

    # --- one point -------------------------------------------------------------------------------------------

    def _learn(self, database: sqlite3.Connection, point: Point, step: _Step, took: Took) -> None:
        now = round(self._clock() * 1e9)
        if point.at < now - LATE_NS:
            raise PointError("too_old")
        if point.at > now + LATE_NS:
            raise PointError("in_the_future")
        divisor, buckets = request_points.divisor_of(point), request_points.buckets_of(point)
        parts = int(point.total * float(PARTS)) // divisor
        if point.cumulative:
            result, count, parts, buckets = _grown(database, point, parts, buckets)
        else:
            result, count = _told(database, point), point.count
        took.results[result] += 1
        if result != "duplicate":
            counts, moved = buckets.within(DURATION_BOUNDS, divisor)
            took.moved += moved
            self._count(step, request_points.labels_of(point), count, counts, parts)

    def _count(self, step: _Step, labels: Labels, count: int, counts: list[int], parts: int) -> None:
        requests, durations = self._declared()
        words = self._admit(step.requests, self._totals.requests, requests, labels, step)
        step.requests[words] = self._standing(step.requests, self._totals.requests, words, 0) + count
        words = self._admit(step.durations, self._totals.durations, durations, labels[:3], step)
        nothing = ([0] * len(counts), 0)
        old_counts, old_parts = self._standing(step.durations, self._totals.durations, words, nothing)
        step.durations[words] = (list(map(add, old_counts, counts)), old_parts + parts)
        # a first 500 is visible to increase() only when there was a 0 before it
        if len(self._totals.requests) + len(step.requests) < admission.Limits().per_family // 2:
            for status in KNOWN_STATUSES:
                known = (*words, status)
                step.requests.setdefault(known, self._totals.requests.get(known, 0))

    @staticmethod
    def _standing(step: dict[Words, Any], totals: dict[Words, Any], words: Words, nothing: Any) -> Any:
        return step.get(words, totals.get(words, nothing))

    @staticmethod
    def _admit(
        fresh: dict[Words, Any],
        known: dict[Words, Any],
        family: CounterFamily | HistogramFamily,
        labels: Words,
        step: _Step,
    ) -> Words:
        """Return the label set that counts this one: `_other` in `route` when the family is full."""
        words = tuple(admission.clean(one) for one in labels)
        if words in known or words in fresh:
            return words
        size = len(known) + sum(1 for one in fresh if one not in known)
        if size < admission.Limits().per_family:
            return words
        step.overflowed.append(family.name)
        over = size - admission.Limits().per_family
        return admission.overflow(words, family.labelnames, family.open_labels, over)

    # --- the file and what is shown --------------------------------------------------------------------------

    def _keep(self, database: sqlite3.Connection, step: _Step, renamed: set[str]) -> None:
        database.executemany(
            "INSERT OR REPLACE INTO requests VALUES (?, ?)",
            [(json.dumps(words), total) for words, total in step.requests.items()],
        )
        database.executemany(
            "INSERT OR REPLACE INTO durations VALUES (?, ?, ?)",
            [
                (json.dumps(words), json.dumps(counts), str(parts))
                for words, (counts, parts) in step.durations.items()
            ],
        )
        now = round(self._clock() * 1e9)
        database.executemany("INSERT OR REPLACE INTO renamed VALUES (?, ?)", [(one, now) for one in renamed])

    @staticmethod
    def _is_renamed(database: sqlite3.Connection, origin: str) -> bool:
        return database.execute("SELECT 1 FROM renamed WHERE origin = ?", (origin,)).fetchone() is not None

    def _prune(self, database: sqlite3.Connection, points: Sequence[Point]) -> None:
        if any(not point.cumulative for point in points):
            # twice as long as they may be late: a clock that is set back lets none in again
            database.execute("DELETE FROM deltas WHERE at < ?", (round(self._clock() * 1e9) - 2 * LATE_NS,))
            if database.execute("SELECT count(*) FROM deltas").fetchone()[0] >= MAX_DELTAS:
                raise FullError
        self._since_pruned += len(points)
        if self._since_pruned < PRUNE_EVERY:
            return
        self._since_pruned = 0
        old = database.execute(
            "SELECT max(at) FROM (SELECT at FROM streams ORDER BY at DESC LIMIT -1 OFFSET ?)", (MAX_STREAMS,)
        )
        (until,) = old.fetchone()
        if until is not None:
            # one of them that speaks again is not known, and began before this: it counts from there on
            database.execute("DELETE FROM streams WHERE at <= ?", (until,))
            database.execute("UPDATE about SET horizon = max(horizon, ?)", (until,))
        database.execute(
            "DELETE FROM renamed WHERE origin IN (SELECT origin FROM renamed ORDER BY at DESC LIMIT -1 OFFSET ?)",
            (MAX_ORIGINS,),
        )

    def _declared(self) -> tuple[CounterFamily, HistogramFamily]:
        """Return the two families: declared with the first request, for an exporter that gets none has none."""
        if self._families is None:
            registry = self._registry
            self._families = (http_metrics.requests_family(registry), http_metrics.durations_family(registry))
        return self._families

    def _show(self, step: _Step) -> None:
        if not step.requests:
            return
        requests, durations = self._declared()
        for words, total in step.requests.items():
            requests.labels(*words).value = float(total)
        for words, (counts, parts) in step.durations.items():
            series = durations.labels(*words)
            with series.lock:
                # int / int is correctly rounded, hence it never falls while the integer grows
                series.counts, series.sum = list(counts), parts / PARTS
        for family in step.overflowed:
            self._registry.count_overflow(family)


def _grown(database: sqlite3.Connection, point: Point, parts: int, buckets: Buckets) -> tuple[str, int, int, Buckets]:
    """Return (result, requests, parts of a second, buckets) that a cumulative point adds. Raises PointError."""
    key = f"{point.identity}:{point.start}"
    row = database.execute("SELECT at, count, sum, buckets FROM streams WHERE key = ?", (key,)).fetchone()
    (horizon,) = database.execute("SELECT horizon FROM about").fetchone()
    result, count, old_parts, old = "accepted", 0, 0, buckets.nothing()
    if row is not None:
        at, count, old_parts, old = row[0], row[1], int(row[2]), Buckets.unpacked(json.loads(row[3]))
        if point.at < at:
            raise PointError("out_of_order")
        if point.start == 0 and (point.count < count or parts < old_parts):
            count, old_parts, old = 0, 0, buckets.nothing()  # it says not since when: it began anew
        if point.count < count or parts < old_parts:
            raise PointError("fell")
        if point.at == at:
            if (point.count, parts) != (count, old_parts):
                raise PointError("out_of_order")
            result = "duplicate"
    elif point.start < horizon:
        result, count, old_parts, old = "baseline", point.count, parts, buckets
    added = buckets.since(old)
    database.execute(
        "INSERT OR REPLACE INTO streams VALUES (?, ?, ?, ?, ?)",
        (key, point.at, point.count, str(parts), json.dumps(buckets.packed())),
    )
    return result, point.count - count, parts - old_parts, added


def _told(database: sqlite3.Connection, point: Point) -> str:
    """Return what becomes of a delta: whether it was told already."""
    key = f"{point.identity}:{point.start}:{point.at}:{point.count}:{point.total!r}"
    done = database.execute("INSERT OR IGNORE INTO deltas VALUES (?, ?)", (key, point.at))
    return "accepted" if done.rowcount else "duplicate"
