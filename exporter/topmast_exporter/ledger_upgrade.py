"""Opens the ledger's file, and makes one of an earlier version one of this version: every sum and id stays."""

import sqlite3
from collections.abc import Iterable
from itertools import islice
from pathlib import Path

from topmast_exporter.ledger_block import UNSAID, Builder
from topmast_exporter.ledger_schema import (
    ADD_BLOCK,
    CORRECTION,
    COSTS,
    SALT,
    SCHEMA,
    SCHEMA_VERSION,
    SINCE_VERSION_2,
    SINCE_VERSION_3,
    SPEND,
    SPEND_COLUMNS,
    SPEND_KEY,
    LedgerError,
)
from topmast_exporter.ledger_spend import fill_days
from topmast_exporter.pricing.tokens import FIELDS

# Events in a block that is made of rows of version 2.
TAKEN_EVENTS = 2_000

_OF_VERSION_2 = SPEND_KEY[4:]
_FROM_VERSION_1 = (
    *(f"ALTER TABLE event ADD COLUMN {name} TEXT NOT NULL DEFAULT '';" for name in _OF_VERSION_2),
    "ALTER TABLE spend RENAME TO spend_1;",
    SPEND,
    f"INSERT INTO spend SELECT {', '.join(SPEND_KEY[:4])}, '', '', '', {', '.join(SPEND_COLUMNS)} FROM spend_1;",  # noqa: S608 our own names
    "DROP TABLE spend_1;",
    SINCE_VERSION_2,
    SALT,
    CORRECTION.replace("next_block INTEGER", "cursor_ms INTEGER NOT NULL DEFAULT 0, cursor_id TEXT"),
)
_FROM_VERSION_2 = (
    SINCE_VERSION_3,
    "INSERT INTO seen SELECT id FROM event ORDER BY id;",
    "ALTER TABLE correction RENAME TO correction_2;",
    CORRECTION,
    # one that was under way begins again: what it changed is changed, and what it looked at is counted once
    "INSERT INTO correction SELECT id, asked_ms, since_ms, until_ms, model, state, source,"
    " CASE state WHEN 'done' THEN events ELSE 0 END, changed, before, after, 0 FROM correction_2;",
    "DROP TABLE correction_2;",
)

# One row an event, as the versions 1 and 2 had it.
_OLD_WORDS = ("provider", "model", "feature", "operation", "outcome", "tier", "batch", "stream", "attempt")
_OLD = (
    *("id", "at_ms", "duration_us", "first_token_us", "caller_cost"),
    *(*_OLD_WORDS, "key_alias", "user_group", "environment", "price_status", "price_reason", *FIELDS, *COSTS),
)
_OLD_EVENTS = f"SELECT {', '.join(_OLD)} FROM event ORDER BY at_ms"  # noqa: S608 our own names


def open_file(path: Path) -> sqlite3.Connection:
    """Return a connection to the file, in this version's form. Raises LedgerError."""
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    try:
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        if version > SCHEMA_VERSION:
            raise LedgerError(f"{path}: written by a newer version (schema {version}, this one has {SCHEMA_VERSION})")
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")  # in WAL mode: one fsync a commit
        connection.execute("PRAGMA cache_size = -2048")  # 2 MiB
        if version < SCHEMA_VERSION:
            _bring_up(connection, version)
    except sqlite3.Error as error:
        connection.close()
        raise LedgerError(f"{path}: not a ledger: {error}") from error
    except LedgerError:
        connection.close()
        raise
    return connection


def _bring_up(connection: sqlite3.Connection, version: int) -> None:
    """Bring a file to this version's form, all of it or nothing."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        if version == 0:
            _run(connection, SCHEMA)
        if version == 1:
            _run(connection, _FROM_VERSION_1)
        if version in (1, 2):
            _run(connection, _FROM_VERSION_2)
            _take_over(connection)
            first, last = connection.execute("SELECT min(quarter), max(quarter) FROM spend").fetchone()
            if first is not None:
                fill_days(connection, first, last + 1)
        connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
        connection.execute("COMMIT")
    except BaseException:
        connection.rollback()
        raise


def _run(connection: sqlite3.Connection, steps: Iterable[str]) -> None:
    for step in steps:
        for statement in filter(str.strip, step.split(";")):
            connection.execute(statement)


def _take_over(connection: sqlite3.Connection) -> None:
    """Make the rows of events blocks."""
    rows = iter(connection.execute(_OLD_EVENTS))
    while some := list(islice(rows, TAKEN_EVENTS)):
        builder = Builder()
        for one, at_ms, duration, first, caller, *rest in some:
            said, booked, status = rest[:9], rest[9:12], rest[12:14]
            tokens, costs = rest[14 : 14 + len(FIELDS)], [cost or 0 for cost in rest[14 + len(FIELDS) :]]
            if tokens[0] is None:
                tokens = [UNSAID, *(0 for _ in FIELDS[1:])]
            own = (
                at_ms,
                UNSAID if duration is None else duration * 1000,
                UNSAID if first is None else first * 1000,
                UNSAID if caller is None else caller,
            )
            flags = (*said[:6], bool(said[6]), bool(said[7]), said[8], "")  # why it was tried again was not kept
            builder.add((*flags, *booked, *status), [one], [[value] for value in (*own, *tokens, *costs)], sum(costs))
        connection.execute(ADD_BLOCK, builder.row())
    connection.execute("DROP TABLE event")
