"""Keeps events in the embedded store, each once: SQLite with full-text search, one file an event day.

A window is one transaction a day file. What may be there already is told by the ids alone: a stream's events
arrive in order, so only ids up to the greatest one stored need a look (SHIPPING.md sections 5 and 6.5).
"""

import fcntl
import os
import sqlite3
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

import orjson

from topmast_shipper import ecs, store, timestamps
from topmast_shipper.component import Kind, Receipt, Sink
from topmast_shipper.errors import InUseError, PermanentError, StateError, TransientError
from topmast_shipper.event import Event
from topmast_shipper.store import Part
from topmast_shipper.window import Window, of
from topmast_shipper.writable import writable

# Most windows touch one day, some two around midnight; a backlog goes through its days in order.
_OPEN_PARTS = 3
_RETENTION_SECONDS = 30.0
# SQLite allows 32,766 variables in a statement (since 3.32).
_LOOK_UP = 500
# Statements are of a multiple of so many rows, so that few are prepared; a window is one. SQLite has room for
# 32,766 values in it.
_ROWS_TOGETHER = 256
_MOST_ROWS = 2048


@dataclass(frozen=True)
class Config:
    """Where, how long, how much."""

    path: Path
    retention_days: float = 7
    max_bytes: int = 2 << 30

    @property
    def part_bytes(self) -> int:
        """A day goes on in another part at this size, so that the cap can be kept within one busy day."""
        return max(self.max_bytes // 8, 1 << 20)


class _Table(NamedTuple):
    """What rows are inserted into, and how many values one has."""

    insert: str
    columns: int
    then: str = ""

    @cache  # noqa: B019 - two tables, nine numbers of rows
    def statement(self, rows: int) -> str:
        marks = f"({','.join('?' * self.columns)})"
        return f"INSERT INTO {self.insert} VALUES {','.join([marks] * rows)}{self.then}"  # noqa: S608 - question marks


class _Told(NamedTuple):
    """What a document says, as the tables want it."""

    status: int | None
    text: str
    message: str
    words: str


_EVENTS = _Table("events", 7, " ON CONFLICT(id) DO NOTHING")
_WORDS = _Table("words(rowid, message, fields)", 3)


class _Day:
    """The part of a day that is written to."""

    def __init__(self, part: Part) -> None:
        self.part = part
        self.connection = store.open_for_writing(part.path)
        row = self.connection.execute("SELECT coalesce(max(n), 0) FROM events").fetchone()
        self.last_n: int = row[0]
        self.greatest: dict[str, str] = {}
        """Greatest id stored, per stream and generation that was asked for."""

    def stored(self, ids: Collection[str], least: Mapping[str, str]) -> set[str]:
        """Return which of the ids this part holds; `least` is the least of each stream and generation."""
        for prefix in least.keys() - self.greatest.keys():
            self.greatest[prefix] = store.last_key(self.connection, prefix) or ""
        if all(first > self.greatest[prefix] for prefix, first in least.items()):
            return set()
        return stored(self.connection, [each for each in ids if each <= self.greatest[each[:20]]])

    def write(
        self, keys: Collection[str], events: Sequence[Sequence[object]], words: Sequence[Sequence[object]]
    ) -> None:
        """Store the rows of these ids in one transaction; their numbers begin at `last_n` + 1."""
        with self.connection:
            self.connection.execute("BEGIN IMMEDIATE")
            _insert(self.connection, _EVENTS, events)
            _insert(self.connection, _WORDS, words)
        self.last_n += len(keys)
        for key in keys:
            prefix = key[:20]
            if key > self.greatest.get(prefix, ""):
                self.greatest[prefix] = key

    def close(self) -> None:
        self.connection.close()


class SqliteSink:
    """The store's one writer; holds the folder's lock until closed."""

    def __init__(self, config: Config, clock: Callable[[], float] = time.time) -> None:
        self._config = config
        self._clock = clock
        self._days: dict[str, _Day] = {}
        self._elsewhere: dict[str, dict[Path, str]] = {}
        self._checked_at = 0.0
        self._writer = ThreadPoolExecutor(1, "sqlite-write")
        self.meanwhile: Callable[[], Window | None] = _nothing
        """What is done while a window is written; returns the next one."""
        self._told: dict[str, _Told] = {}
        """What the documents of the next window say, by their ids: read while this one was written."""
        try:
            config.path.mkdir(parents=True, exist_ok=True)
            self._lock = os.open(config.path / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise StateError(f"{config.path}: {error.strerror}") from error
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(self._lock)
            raise InUseError(f"{config.path}: another shipper writes this store") from error

    def send(self, window: Sequence[Event]) -> Receipt:
        """Store the window and return the receipt for all of it; a second time, nothing is stored twice."""
        columns = of(window)
        try:
            for name, chosen in sorted(_by_day(columns).items()):
                self._store(name, columns, chosen)
            self._retain()
        except sqlite3.OperationalError as error:
            self._close_days()  # a file that was removed under us is made anew
            raise TransientError(f"{self._config.path}: {error}") from error
        except sqlite3.DatabaseError as error:
            self._close_days()
            raise PermanentError(f"{self._config.path}: {error}") from error
        except OSError as error:
            raise TransientError(f"{self._config.path}: {error.strerror}") from error
        return Receipt(settled=len(window))

    def check(self) -> str:
        return writable(self._config.path)

    def close(self) -> None:
        self._writer.shutdown(wait=False)
        self._close_days()
        os.close(self._lock)

    def _store(self, name: str, window: Window, chosen: dict[str, int]) -> None:
        day = self._day(name)
        least: dict[str, str] = {}
        for key in sorted(chosen, reverse=True):
            least[key[:20]] = key
        for key in day.stored(chosen, least) | self._stored_elsewhere(day, chosen, least):
            del chosen[key]
        if chosen:
            self._write(day, window, chosen)

    def _write(self, day: _Day, window: Window, chosen: Mapping[str, int]) -> None:
        """Store the chosen events, by their ids and their places in the window."""
        events: list[Sequence[object]] = []
        words: list[Sequence[object]] = []
        number = day.last_n
        documents, times, levels, services = window.documents, window.times, window.levels, window.services
        for key, at in chosen.items():
            number += 1
            told = self._told.get(key) or _told(documents[at])
            events.append((number, key, times[at], levels[at], services[at], told.status, told.text))
            words.append((number, told.message, told.words))
        if len(chosen) < _ROWS_TOGETHER:  # written before another thread is awake
            day.write(chosen, events, words)
            return
        # SQLite works without the interpreter's lock: another core has the time to read on
        writing = self._writer.submit(day.write, chosen, events, words)
        following = self.meanwhile()
        try:
            self._told = dict(zip(following.ids, map(_told, following.documents), strict=True)) if following else {}
        finally:
            writing.result()

    def _stored_elsewhere(self, day: _Day, keys: Iterable[str], least: Mapping[str, str]) -> set[str]:
        """Return the ids that another part holds: a day's earlier part, or another day.

        A line without a time of its own has the day it was read on, which a re-send after midnight is not.
        """
        for prefix in least.keys() - self._elsewhere.keys():
            self._elsewhere[prefix] = {
                part.path: last
                for part in store.parts(self._config.path)
                if (last := store.last_keys(part.path, [prefix]).get(prefix))
            }
        suspects: dict[Path, list[str]] = {}
        if any(first <= last for prefix, first in least.items() for last in self._elsewhere[prefix].values()):
            for key in keys:
                for path, last in self._elsewhere[key[:20]].items():
                    if key <= last and path != day.part.path:
                        suspects.setdefault(path, []).append(key)
        known: set[str] = set()
        for path, some in suspects.items():
            if path.exists():
                connection = store.open_for_reading(path)
                try:
                    known |= stored(connection, some)
                finally:
                    connection.close()
        return known

    def _day(self, name: str) -> _Day:
        day = self._days.pop(name, None)
        if day is None:
            existing = [each for each in store.parts(self._config.path) if each.day == name]
            day = _Day(existing[-1] if existing else store.part(self._config.path, name, 0))
        if day.part.bytes >= self._config.part_bytes:
            # ids of this part may come again after a restart: they are looked up as those of other days are
            for prefix, last in day.greatest.items():
                if last:
                    self._elsewhere.setdefault(prefix, {})[day.part.path] = last
            day.close()
            day = _Day(store.part(self._config.path, name, day.part.number + 1))
        self._days[name] = day  # the most recently used is the last
        while len(self._days) > _OPEN_PARTS:
            self._days.pop(next(iter(self._days))).close()
        return day

    def _retain(self) -> None:
        """Delete the parts that are too old, then the oldest until the cap is kept. Never the newest."""
        now = self._clock()
        if now - self._checked_at < _RETENTION_SECONDS:
            return
        self._checked_at = now
        oldest = timestamps.day(int((now - self._config.retention_days * 86400) * 1_000_000))
        parts = store.parts(self._config.path)
        sizes = {each.path: each.bytes for each in parts}
        total = sum(sizes.values())
        for each in parts[:-1]:
            if each.day >= oldest and total <= self._config.max_bytes:
                continue
            opened = self._days.get(each.day)
            if opened is not None and opened.part == each:
                self._days.pop(each.day).close()
            each.remove()
            total -= sizes[each.path]

    def _close_days(self) -> None:
        for day in self._days.values():
            day.close()
        self._days.clear()
        self._elsewhere.clear()


def _insert(connection: sqlite3.Connection, table: _Table, rows: Sequence[Sequence[object]]) -> None:
    """Insert the rows, most of them in one statement: SQLite takes a single step, not one a row."""
    whole = len(rows) - len(rows) % _ROWS_TOGETHER
    for first in range(0, whole, _MOST_ROWS):
        some = rows[first : min(whole, first + _MOST_ROWS)]
        connection.execute(table.statement(len(some)), list(chain.from_iterable(some)))
    connection.executemany(table.statement(1), rows[whole:])


def _by_day(window: Window) -> dict[str, dict[str, int]]:
    """Return the ids of each day, with their places in the window."""
    ids, times = window.ids, window.times
    first, last = timestamps.day(min(times, default=0)), timestamps.day(max(times, default=0))
    if first == last:  # nearly always
        return {first: dict(zip(ids, range(len(ids)), strict=True))} if ids else {}
    days: dict[str, dict[str, int]] = {}
    for at, (key, moment) in enumerate(zip(ids, times, strict=True)):
        days.setdefault(timestamps.day(moment), {})[key] = at
    return days


def _told(document: bytes) -> _Told:
    fields = orjson.loads(document)
    return _Told(_status(fields), document.decode(), fields["message"], store.worded(fields))


def _status(document: Mapping[str, Any]) -> int | None:
    """Return `http.response.status_code` when it is a whole number."""
    if "http" not in document:
        return None
    try:
        status = document["http"]["response"]["status_code"]
    except (KeyError, TypeError):
        status = ecs.get(document, "http.response.status_code")
    return status if type(status) is int else None


def _nothing() -> None:
    """Nobody reads on."""


def stored(connection: sqlite3.Connection, ids: Sequence[str]) -> set[str]:
    """Return which of the ids a file of the store holds."""
    known: set[str] = set()
    for start in range(0, len(ids), _LOOK_UP):
        some = ids[start : start + _LOOK_UP]
        marks = ",".join("?" * len(some))
        rows = connection.execute(f"SELECT id FROM events WHERE id IN ({marks})", some)  # noqa: S608 - question marks
        known.update(row[0] for row in rows)
    return known


def build(options: Mapping[str, Any]) -> Sink:
    config = Config(
        path=Path(options["path"]).absolute(),
        retention_days=options.get("retention_days", Config.retention_days),
        max_bytes=options.get("max_bytes", Config.max_bytes),
    )
    return SqliteSink(config)


SINK = Kind[Sink](
    "sqlite",
    {
        "type": "object",
        "additionalProperties": False,
        "required": ["path"],
        "properties": {
            "name": {"type": "string", "pattern": "^[a-z0-9][a-z0-9_.-]{0,63}$"},
            "path": {"type": "string", "minLength": 1},
            "retention_days": {"type": "number", "exclusiveMinimum": 0},
            "max_bytes": {"type": "integer", "minimum": 8388608},
        },
    },
    build,
)
