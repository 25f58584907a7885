"""A SQLite file of the OTLP intake: what is in it is on the disk before a sender is answered."""

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from topmast_exporter.ledger_schema import LedgerError


class Store:
    """The file, in memory without a folder. May be used in any thread; one at a time is in it."""

    def __init__(self, folder: Path | None, file: str, schema: str) -> None:
        """Open it, with the tables of `schema`. Raises LedgerError."""
        self._file = file
        self._lock = threading.Lock()
        path = ":memory:" if folder is None else str(folder / file)
        try:
            self._database = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
            self._database.executescript(f"PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; {schema}")
        except sqlite3.Error as error:
            raise LedgerError(f"{path}: {error}") from error

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Hold the file; what was written is on the disk at the end, or none of it. Raises LedgerError."""
        with self._lock:
            try:
                self._database.execute("BEGIN IMMEDIATE")
                try:
                    yield self._database
                except BaseException:
                    self._database.execute("ROLLBACK")
                    raise
                self._database.execute("COMMIT")
            except sqlite3.Error as error:
                raise LedgerError(f"{self._file}: {error}") from error

    def close(self) -> None:
        """Let the file go."""
        self._database.close()
