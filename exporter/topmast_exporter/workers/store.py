"""What a restart of the exporter must find again: the merged sums, and how far each worker was heard.

A SQLite file. One transaction a delta holds the new sums and the delta's number together, and is on the disk
(`synchronous=FULL`) before the worker is told so: a delta is kept whole or not at all, and never twice.
"""

import contextlib
import json
import sqlite3
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

# A worker that was not heard for so long is dead; its sums stay.
FORGET_SECONDS = 7 * 86_400.0

SCHEMA = """
CREATE TABLE IF NOT EXISTS about (epoch TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS families (
    app TEXT, family TEXT, declaration TEXT NOT NULL, PRIMARY KEY (app, family)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS sums (
    app TEXT, family TEXT, labels TEXT, numbers TEXT NOT NULL, PRIMARY KEY (app, family, labels)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS workers (
    app TEXT, worker TEXT, sequence INTEGER NOT NULL, heard REAL NOT NULL, PRIMARY KEY (app, worker)) WITHOUT ROWID;
"""


class StoreError(Exception):
    """The sums cannot be kept or read."""


class Store:
    """The file. One thread at a time uses it."""

    def __init__(self, path: Path, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        try:
            self._database = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
            self._database.executescript("PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;" + SCHEMA)
            with self._transaction():
                if self._database.execute("SELECT count(*) FROM about").fetchone()[0] == 0:
                    self._database.execute("INSERT INTO about VALUES (?)", (uuid.uuid4().hex,))
                self._database.execute("DELETE FROM workers WHERE heard < ?", (clock() - FORGET_SECONDS,))
            self.epoch = str(self._database.execute("SELECT epoch FROM about").fetchone()[0])
        except sqlite3.Error as error:
            raise StoreError(f"{path}: {error}") from error

    def close(self) -> None:
        self._database.close()

    def families(self) -> list[tuple[str, str, dict[str, Any], list[tuple[tuple[str, ...], Any]]]]:
        """Return (app, family, declaration, [(label values, numbers)]) of all that is kept."""
        kept = self._database.execute("SELECT app, family, declaration FROM families")
        found = []
        for app, family, declaration in kept.fetchall():
            rows = self._database.execute(
                "SELECT labels, numbers FROM sums WHERE app = ? AND family = ?", (app, family)
            ).fetchall()
            numbers = [(tuple(json.loads(labels)), json.loads(one)) for labels, one in rows]
            found.append((app, family, json.loads(declaration), numbers))
        return found

    def workers(self) -> list[tuple[str, str, int]]:
        """Return (app, worker, sequence) of the workers heard lately, the first heard first."""
        return list(self._database.execute("SELECT app, worker, sequence FROM workers ORDER BY heard"))

    def keep(
        self,
        app: str,
        worker: str,
        sequence: int,
        families: Mapping[str, Mapping[str, Any]],
        replaced: Iterable[str],
        rows: Iterable[tuple[str, tuple[str, ...], Any]],
    ) -> None:
        """Keep one delta. Raises StoreError, with nothing kept."""
        database = self._database
        try:
            with self._transaction():
                for family in replaced:
                    database.execute("DELETE FROM sums WHERE app = ? AND family = ?", (app, family))
                database.executemany(
                    "INSERT OR REPLACE INTO families VALUES (?, ?, ?)",
                    [(app, family, json.dumps(told)) for family, told in families.items()],
                )
                database.executemany(
                    "INSERT OR REPLACE INTO sums VALUES (?, ?, ?, ?)",
                    [(app, family, json.dumps(labels), json.dumps(numbers)) for family, labels, numbers in rows],
                )
                database.execute(
                    "INSERT OR REPLACE INTO workers VALUES (?, ?, ?, ?)", (app, worker, sequence, self._clock())
                )
        except sqlite3.Error as error:
            raise StoreError(f"the sums of {app} cannot be kept: {error}") from error

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[None]:
        self._database.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._database.execute("ROLLBACK")
            raise
        self._database.execute("COMMIT")
