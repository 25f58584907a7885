"""The ledger file's tables, and how a file of an earlier version becomes one of this version."""

import sqlite3
from pathlib import Path

from topmast_exporter.errors import ExporterError
from topmast_exporter.pricing.price import COMPONENTS
from topmast_exporter.pricing.tokens import FIELDS

SCHEMA_VERSION = 2

COSTS = tuple(f"cost_{component}" for component in COMPONENTS)
SPEND_COLUMNS = ("requests", "unpriced", *FIELDS, *COSTS)
SPEND_KEY = ("quarter", "provider", "model", "feature", "key_alias", "user_group", "environment")

EVENT_COLUMNS = (
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
    *COSTS,
    "key_alias",
    "user_group",
    "environment",
)
_OF_VERSION_2 = ("key_alias", "user_group", "environment")
_TEXT = ("id", "provider", "model", "feature", "operation", "outcome", "tier", "price_status", "price_reason")

_SPEND = f"""
CREATE TABLE spend (
    quarter INTEGER NOT NULL, {", ".join(f"{name} TEXT NOT NULL" for name in SPEND_KEY[1:])},
    {", ".join(f"{name} INTEGER NOT NULL" for name in SPEND_COLUMNS)},
    PRIMARY KEY ({", ".join(SPEND_KEY)})
) WITHOUT ROWID;
"""
_SINCE_VERSION_2 = """
CREATE TABLE dimension (name TEXT NOT NULL, value TEXT NOT NULL, PRIMARY KEY (name, value)) WITHOUT ROWID;
CREATE TABLE fact (name TEXT NOT NULL PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE correction (
    id TEXT NOT NULL PRIMARY KEY, asked_ms INTEGER NOT NULL, since_ms INTEGER NOT NULL, until_ms INTEGER NOT NULL,
    model TEXT NOT NULL, state TEXT NOT NULL, source TEXT NOT NULL DEFAULT '',
    events INTEGER NOT NULL DEFAULT 0, changed INTEGER NOT NULL DEFAULT 0,
    before TEXT NOT NULL DEFAULT '0', after TEXT NOT NULL DEFAULT '0',
    cursor_ms INTEGER NOT NULL DEFAULT 0, cursor_id TEXT NOT NULL DEFAULT ''
) WITHOUT ROWID;
"""
_COLUMN_TYPES = {name: "TEXT NOT NULL" if name in _TEXT else "INTEGER" for name in EVENT_COLUMNS}
_COLUMN_TYPES |= dict.fromkeys(_OF_VERSION_2, "TEXT NOT NULL DEFAULT ''")
_SCHEMA = f"""
CREATE TABLE event (
    {", ".join(f"{name} {kind}" for name, kind in _COLUMN_TYPES.items())},
    PRIMARY KEY (id)
) WITHOUT ROWID;
CREATE INDEX event_at ON event (at_ms);
{_SPEND}
CREATE TABLE counter (
    family TEXT NOT NULL, labels TEXT NOT NULL, total TEXT NOT NULL, PRIMARY KEY (family, labels)
) WITHOUT ROWID;
CREATE TABLE histogram (
    family TEXT NOT NULL, labels TEXT NOT NULL, counts TEXT NOT NULL, total TEXT NOT NULL,
    PRIMARY KEY (family, labels)
) WITHOUT ROWID;
{_SINCE_VERSION_2}
"""
_FROM_VERSION_1 = f"""
{"".join(f"ALTER TABLE event ADD COLUMN {name} {_COLUMN_TYPES[name]};" for name in _OF_VERSION_2)}
ALTER TABLE spend RENAME TO spend_1;
{_SPEND}
INSERT INTO spend SELECT quarter, provider, model, feature, '', '', '', {", ".join(SPEND_COLUMNS)} FROM spend_1;
DROP TABLE spend_1;
{_SINCE_VERSION_2}
"""  # noqa: S608 our own names
# Keyed pseudonyms: nobody turns one back by trying every address there is.
_SALT = "INSERT INTO fact VALUES ('salt', lower(hex(randomblob(32))));"


class LedgerError(ExporterError):
    """The ledger cannot be used, or a batch could not be stored: nothing of it counts, it may be sent again."""


class LedgerStalledError(LedgerError):
    """The disk cannot take it now (full, an I/O error, read-only): the same again may succeed later."""


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
            steps = {0: _SCHEMA, 1: _FROM_VERSION_1}[version]
            connection.executescript(f"BEGIN; {steps} {_SALT} PRAGMA user_version = {SCHEMA_VERSION}; COMMIT;")
    except sqlite3.Error as error:
        connection.close()
        raise LedgerError(f"{path}: not a ledger: {error}") from error
    except LedgerError:
        connection.close()
        raise
    return connection
