"""The embedded log store on disk: one SQLite file per event day, further parts when a day outgrows its share.

`2026-11-22.sqlite`, then `2026-11-22.01.sqlite`, … Retention deletes files, the newest is searched first
(DESIGN.md, how a log line flows). Readers need nothing but the folder; WAL lets them read while one writes.
"""

import os
import re
import sqlite3
from collections.abc import Container, Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FORMAT = 1
# `n` grows with arrival; the words table has no content of its own, `n` is its rowid. One index serves time
# ranges, histograms and the four fields that people filter by; every other field is found through the words.
# Nobody ranks, so that sizes of columns are not kept; eight times as many segments before they are merged (a word is
# found in 150 of them in 4 ms), and leaves that fill a page: together a quarter of what writing costs.
SCHEMA = """
CREATE TABLE events(
    n INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    time INTEGER NOT NULL,
    level TEXT NOT NULL,
    service TEXT NOT NULL,
    status INTEGER,
    document TEXT NOT NULL
);
CREATE INDEX events_time ON events(time, n, level, service, status);
CREATE VIRTUAL TABLE words USING fts5(
    message, fields, content='', columnsize=0, tokenize="unicode61 remove_diacritics 0 tokenchars '_'"
);
INSERT INTO words(words, rank) VALUES ('automerge', 32), ('crisismerge', 64), ('pgsz', 8000);
"""
# Names whose strings nobody searches by word; they stay in the document.
UNWORDED = frozenset(
    {
        "@timestamp",
        "ecs",
        "event.id",
        "event.duration",
        "log.file",
        "log.flags",
        "log.level",
        "log.offset",
        "process",
        "agent",
    }
)
_UNWORDED_WHOLE = {name for name in UNWORDED if "." not in name} | {"message"}
_UNWORDED_INSIDE = {
    outer: {name.partition(".")[2] for name in UNWORDED if name.startswith(outer + ".")} for outer in ("log", "event")
}
NAMES = ("*.sqlite*", "lock")
"""Patterns of all that a writer makes in the folder."""
_NAME = re.compile(r"^(\d{4}-\d\d-\d\d)(?:\.(\d+))?\.sqlite$")
# A field is indexed up to here; a longer one is found by its beginning.
WORDED_CHARACTERS = 32_768
_MAX_DEPTH = 32
# One that inserts a window's rows takes a megabyte.
_STATEMENTS = 24


@dataclass(frozen=True, order=True)
class Part:
    """One file of the store; sorts by day, then part."""

    day: str
    number: int
    path: Path

    @property
    def bytes(self) -> int:
        """Size with the write-ahead log; 0 for a file that is gone."""
        total = 0
        for path in (self.path, self.path.with_name(self.path.name + "-wal")):
            try:
                total += path.stat().st_size
            except FileNotFoundError:
                continue
        return total

    def remove(self) -> None:
        for suffix in ("", "-wal", "-shm"):
            self.path.with_name(self.path.name + suffix).unlink(missing_ok=True)


def part(store: Path, day: str, number: int) -> Part:
    name = f"{day}.sqlite" if number == 0 else f"{day}.{number:02d}.sqlite"
    return Part(day, number, store / name)


def parts(store: Path) -> list[Part]:
    """Return the files of the store, oldest first; an absent folder is an empty store."""
    try:
        names = list(store.iterdir())
    except (FileNotFoundError, NotADirectoryError):
        return []
    matched = [(_NAME.match(path.name), path) for path in names]
    return sorted(Part(found[1], int(found[2] or 0), path) for found, path in matched if found is not None)


def open_for_writing(path: Path) -> sqlite3.Connection:
    """Return a connection to the file, made if need be. A commit is on the disk when it returns."""
    if not path.exists():
        # readers never meet a file without its tables
        making = path.with_name(f".{path.name}.making")
        making.unlink(missing_ok=True)
        with closing(_connect(making)) as connection:
            connection.executescript(SCHEMA)
            connection.execute(f"PRAGMA user_version={FORMAT}")
        making.replace(path)
    return _connect(path)


def _connect(path: Path) -> sqlite3.Connection:
    # One lane writes, but it may be built in one thread and used in another.
    connection = sqlite3.connect(
        path, isolation_level=None, timeout=10, check_same_thread=False, cached_statements=_STATEMENTS
    )
    # a few large pages cost less than many small ones; of use before the first table only
    connection.execute("PRAGMA page_size=8192")
    connection.execute("PRAGMA journal_mode=WAL")
    # 32 MiB: a window is 3, and each page of the log is copied once for many windows
    connection.execute("PRAGMA wal_autocheckpoint=4000")
    # FULL: the checkpoint moves past a window only when it survives a power cut
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute("PRAGMA journal_size_limit=33554432")
    connection.execute("PRAGMA cache_size=-4096")
    return connection


def open_for_reading(path: Path) -> sqlite3.Connection:
    """Return a read-only connection. Raises sqlite3.Error when the file is gone or is no store."""
    try:
        return _looked_into(path, "mode=ro")
    except sqlite3.OperationalError:
        if os.access(path.parent, os.W_OK):
            raise
        # a folder that we may not write to: no write-ahead log can be there, then
        return _looked_into(path, "immutable=1")


def _looked_into(path: Path, how: str) -> sqlite3.Connection:
    connection = sqlite3.connect(f"{path.as_uri()}?{how}", uri=True, isolation_level=None, timeout=5)
    try:
        connection.execute("PRAGMA cache_size=-8192")
        connection.execute("SELECT n FROM events LIMIT 1").fetchone()
        found = connection.execute("PRAGMA user_version").fetchone()[0]
        if found != FORMAT:
            raise sqlite3.DatabaseError(f"format {found}, not {FORMAT}")
    except sqlite3.Error:
        connection.close()
        raise
    return connection


def is_worded(path: Sequence[str]) -> bool:
    """Return whether a value with these names above it, its own the last, is one of `worded`."""
    return path[0] not in _UNWORDED_WHOLE and not (len(path) > 1 and path[1] in _UNWORDED_INSIDE.get(path[0], ()))


def worded(document: Mapping[str, Any]) -> str:
    """Return the words and whole numbers of all fields but the message and those that nobody searches by."""
    found: list[str] = []
    for name, value in document.items():
        if name in _UNWORDED_WHOLE:
            continue
        if type(value) is dict:
            _collect(value, found, _UNWORDED_INSIDE.get(name, ()))
        else:
            _collect({name: value}, found)
    return "\n".join(found)


def _collect(values: Mapping[str, Any], found: list[str], unworded: Container[str] = (), depth: int = 0) -> None:
    # exact types: it is what JSON is read into, and a bool is no number here
    for name, value in values.items():
        if name in unworded:
            continue
        kind = type(value)
        if kind is str:
            found.append(value[:WORDED_CHARACTERS])
        elif kind is int:
            found.append(str(value)[:WORDED_CHARACTERS])
        elif kind is dict and depth < _MAX_DEPTH:
            _collect(value, found, (), depth + 1)
        elif kind is list and depth < _MAX_DEPTH:
            _collect({str(at): each for at, each in enumerate(value)}, found, (), depth + 1)


def last_keys(path: Path, prefixes: Iterable[str]) -> dict[str, str]:
    """Return the greatest event id that the file holds for each stream and generation, as far as it has any."""
    with closing(open_for_reading(path)) as connection:
        return {prefix: last for prefix in prefixes if (last := last_key(connection, prefix)) is not None}


def last_key(connection: sqlite3.Connection, prefix: str) -> str | None:
    """Return the greatest event id that begins with the 20 characters of a stream and generation."""
    # ids end in 12 hexadecimal digits: `g` sorts behind all of them
    row = connection.execute("SELECT max(id) FROM events WHERE id >= ? AND id < ?", (prefix, prefix + "g")).fetchone()
    found: str | None = row[0]
    return found
