"""Keeps events in the embedded store, each once: SQLite with full-text search, one file an event day.

A window is one transaction a day file. What may be there already is told by the ids alone: a stream's events
arrive in order, so only ids up to the greatest one stored need a look (SHIPPING.md sections 5 and 6.5).
"""

import fcntl
import logging
import os
import sqlite3
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from topmast_shipper import store, timestamps, unreadable
from topmast_shipper.checkpoint import held
from topmast_shipper.component import Kind, Receipt, Sink, Written
from topmast_shipper.day import Day, stored
from topmast_shipper.errors import InUseError, PermanentError, PlaceError, StateError
from topmast_shipper.event import Event
from topmast_shipper.outlines import Outlines
from topmast_shipper.placing import PATH
from topmast_shipper.portion import Portion, portions
from topmast_shipper.window import Window, of
from topmast_shipper.writable import refuse_folder, writable

_log = logging.getLogger(__name__)
# Most windows touch one day, some two around midnight; a backlog goes through its days in order.
_OPEN_PARTS = 3
_RETENTION_SECONDS = 30.0
# Fewer rows are written before another thread is awake.
_MANY_ROWS = 256


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


class SqliteSink:
    """The store's one writer; holds the folder's lock until closed."""

    # a transaction has its price: two waits for the disk, and a segment of the words that is merged later
    window_events = 4096

    def __init__(self, config: Config, clock: Callable[[], float] = time.time) -> None:
        self._config = config
        self._clock = clock
        self.written = (Written(config.path, store.NAMES),)
        self._days: dict[str, Day] = {}
        self._elsewhere: dict[str, dict[Path, str]] = {}
        self._damaged: set[Path] = set()
        """Parts that were told to be damaged."""
        self._checked_at = 0.0
        self._writer = ThreadPoolExecutor(1, "sqlite-write")
        self._copier = ThreadPoolExecutor(1, "sqlite-copy")
        self.meanwhile: Callable[[], Window | None] = _nothing
        """What is done while a window is written; returns the next one."""
        self._outlines = Outlines()
        self._ready: tuple[Window, list[Portion]] | None = None
        """The last window that was made ready: the next one, while one is written."""
        try:
            config.path.mkdir(parents=True, exist_ok=True)
            self._lock = os.open(config.path / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise StateError(f"{config.path}: {error.strerror}") from error
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(self._lock)
            raise _in_use(config.path) from error

    def send(self, window: Sequence[Event]) -> Receipt:
        """Store the window and return the receipt for all of it; a second time, nothing is stored twice."""
        try:
            for portion in self._portions(of(window)):
                self._store(portion)
            self._retain()
        except sqlite3.OperationalError as error:
            self._close_days()  # a file that was removed under us is made anew
            raise PlaceError(f"{self._config.path}: {error}") from error
        except sqlite3.DatabaseError as error:
            self._close_days()
            raise PermanentError(f"{self._config.path}: {error}") from error
        except OSError as error:
            raise PlaceError(f"{self._config.path}: {error.strerror}") from error
        return Receipt(settled=len(window))

    def check(self) -> str:
        return writable(self._config.path)

    def close(self) -> None:
        self._writer.shutdown(wait=False)
        self._close_days()
        self._copier.shutdown(wait=False)
        os.close(self._lock)

    def _portions(self, window: Window) -> list[Portion]:
        """Return the rows of the window, made ready while the one before it was written, or now."""
        if self._ready is None or self._ready[0] is not window:
            self._ready = window, portions(window, self._outlines)
        return self._ready[1]

    def _store(self, portion: Portion) -> None:
        day = self._day(portion.day)
        known = day.stored(portion) | self._stored_elsewhere(day, portion)
        if known:
            portion = portion.without(known)
        if not portion.ids:
            return
        if len(portion.ids) < _MANY_ROWS:
            day.write(portion)
            return
        # SQLite works without the interpreter's lock: another core has the time to read on
        writing = self._writer.submit(day.write, portion)
        try:
            if (following := self.meanwhile()) is not None:
                self._portions(following)
        finally:
            writing.result()

    def _stored_elsewhere(self, day: Day, portion: Portion) -> set[str]:
        """Return the ids that another part holds: a day's earlier part, or another day.

        A line without a time of its own has the day it was read on, which a re-send after midnight is not.
        """
        least = portion.least
        for prefix in least.keys() - self._elsewhere.keys():
            self._elsewhere[prefix] = {
                part.path: last
                for part in store.parts(self._config.path)
                if (last := self._last_key(part.path, prefix))
            }
        suspects: dict[Path, list[str]] = {}
        if any(first <= last for prefix, first in least.items() for last in self._elsewhere[prefix].values()):
            for key in portion.ids:
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

    def _last_key(self, path: Path, prefix: str) -> str | None:
        """Return the greatest id of a stream in a part; None also for a damaged one, which tells of no event."""
        try:
            return store.last_keys(path, [prefix]).get(prefix)
        except sqlite3.DatabaseError as error:
            if not unreadable.is_no_store(error):
                raise
            if path not in self._damaged:
                self._damaged.add(path)
                _log.warning("a file of the store is passed over: %s", unreadable.file(path, error))
            return None

    def _day(self, name: str) -> Day:
        day = self._days.pop(name, None)
        if day is None:
            existing = [each for each in store.parts(self._config.path) if each.day == name]
            day = Day(existing[-1] if existing else store.part(self._config.path, name, 0), self._copier)
        if day.part.bytes >= self._config.part_bytes:
            # ids of this part may come again after a restart: they are looked up as those of other days are
            for prefix, last in day.greatest.items():
                if last:
                    self._elsewhere.setdefault(prefix, {})[day.part.path] = last
            day.close()
            day = Day(store.part(self._config.path, name, day.part.number + 1), self._copier)
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


def _nothing() -> None:
    """Nobody reads on."""


def build(options: Mapping[str, Any]) -> Sink:
    config = Config(
        path=Path(options["path"]).absolute(),
        retention_days=options.get("retention_days", Config.retention_days),
        max_bytes=options.get("max_bytes", Config.max_bytes),
    )
    return SqliteSink(config)


def ask(options: Mapping[str, Any]) -> Sequence[str]:
    refuse_folder(Path(options["path"]))
    return ()


def look(options: Mapping[str, Any]) -> str:
    path = Path(options["path"])
    if held(path):
        raise _in_use(path)
    return writable(path)


def _in_use(path: Path) -> InUseError:
    return InUseError(f"{path}: another shipper writes this store")


SINK = Kind[Sink](
    "sqlite",
    {
        "type": "object",
        "additionalProperties": False,
        "required": ["path"],
        "properties": {
            "name": {"type": "string", "pattern": "^[a-z0-9][a-z0-9_.-]{0,63}$"},
            "path": PATH,
            "retention_days": {"type": "number", "exclusiveMinimum": 0},
            "max_bytes": {"type": "integer", "minimum": 8388608},
        },
    },
    build,
    ask,
    look,
)
