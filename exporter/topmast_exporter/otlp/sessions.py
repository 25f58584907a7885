"""Who is counted by what: Claude Code tells each model call in an event, and the sums of all of them in metrics.

Of a session that tells both, the first that arrives is what is counted, and the other is not: its events, which come
after five seconds and are exact for each call, before its metrics, which come after sixty. What has not come for a
day gives its place to the other.
"""

import hashlib
import json
import sqlite3
from collections.abc import Callable, Sequence
from pathlib import Path

from topmast_exporter.otlp import attributes as names
from topmast_exporter.otlp.store import Store

FILE = "sessions.sqlite"
EVENTS, METRICS = "events", "metrics"

HOLD_SECONDS = 86_400.0
MAX_SESSIONS = 100_000

# OTEL_METRICS_INCLUDE_SESSION_ID=false takes the session out of the metrics alone; the installation is in both.
SESSION, INSTALLATION = ("session.id",), ("user.id",)

_SCHEMA = """
CREATE TABLE IF NOT EXISTS sessions (key TEXT PRIMARY KEY, counted_by TEXT NOT NULL, at REAL NOT NULL) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS sessions_at ON sessions (at);
"""


def keys_of(told: names.Attributes, resource: names.Attributes, by: str) -> tuple[str, ...]:
    """Return what a session is known by, hashed: an event also stands for the metrics that name no session."""
    session = names.text(told, SESSION)
    whole = json.dumps([sorted(resource.items()), names.text(told, INSTALLATION)])
    known = [f"session:{session}"] if session else []
    if by == EVENTS or not session:
        known.append(f"installation:{whole}")
    return tuple(hashlib.sha256(one.encode()).hexdigest() for one in known)


class Sessions:
    """The file. Its methods may be called in any thread."""

    def __init__(self, folder: Path | None, clock: Callable[[], float]) -> None:
        """Open it, in memory without a folder. Raises LedgerError."""
        self._clock = clock
        self._store = Store(folder, FILE, _SCHEMA)

    def claim(self, asked: Sequence[tuple[str, ...]], by: str) -> tuple[list[bool], list[str]]:
        """Return (whether each of these sessions is counted `by` that, the keys that are new). Raises LedgerError."""
        now = self._clock()
        taken: list[str] = []
        verdicts: dict[tuple[str, ...], bool] = {}
        with self._store.transaction() as database:
            for keys in dict.fromkeys(asked):
                known = {key: _counted_by(database, key, now) for key in keys}
                verdicts[keys] = all(one in ("", by) for one in known.values())
                if verdicts[keys]:
                    taken += [key for key, one in known.items() if not one]
                    rows = [(key, by, now) for key in keys]
                    database.executemany("INSERT OR REPLACE INTO sessions VALUES (?, ?, ?)", rows)
            database.execute(
                "DELETE FROM sessions WHERE key IN (SELECT key FROM sessions ORDER BY at DESC LIMIT -1 OFFSET ?)",
                (MAX_SESSIONS,),
            )
        return [verdicts[keys] for keys in asked], taken

    def release(self, keys: Sequence[str]) -> None:
        """Give these back: what they were taken for was not counted. Raises LedgerError."""
        with self._store.transaction() as database:
            database.executemany("DELETE FROM sessions WHERE key = ?", [(key,) for key in keys])

    def close(self) -> None:
        """Close the file."""
        self._store.close()


def _counted_by(database: sqlite3.Connection, key: str, now: float) -> str:
    row = database.execute("SELECT counted_by, at FROM sessions WHERE key = ?", (key,)).fetchone()
    # a clock that was set back is no reason to let go
    return str(row[0]) if row is not None and row[1] >= now - HOLD_SECONDS else ""
