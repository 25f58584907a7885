"""The tables of the ledger's file."""

from topmast_exporter.errors import ExporterError
from topmast_exporter.pricing.price import COMPONENTS
from topmast_exporter.pricing.tokens import FIELDS

SCHEMA_VERSION = 3

# Smaller blocks are merged with others by and by.
SMALL_BLOCK_EVENTS = 1_000

# What a correction's `state` is.
ASKED, RUNNING, DONE = "asked", "running", "done"

COSTS = tuple(f"cost_{component}" for component in COMPONENTS)
SPEND_COLUMNS = ("requests", "unpriced", *FIELDS, *COSTS)
SPEND_KEY = ("quarter", "provider", "model", "feature", "key_alias", "user_group", "environment")
DAY_COLUMNS = (
    *SPEND_COLUMNS[: -len(COSTS)],
    *(f"{cost}_{part}" for cost in COSTS for part in ("usd", "rest")),
)

_KEY_TYPES = ", ".join(f"{name} TEXT NOT NULL" for name in SPEND_KEY[1:])
SPEND = f"""
CREATE TABLE spend (
    quarter INTEGER NOT NULL, {_KEY_TYPES}, {", ".join(f"{name} INTEGER NOT NULL" for name in SPEND_COLUMNS)},
    PRIMARY KEY ({", ".join(SPEND_KEY)})
) WITHOUT ROWID;
"""
TOTALS = """
CREATE TABLE counter (
    family TEXT NOT NULL, labels TEXT NOT NULL, total TEXT NOT NULL, PRIMARY KEY (family, labels)
) WITHOUT ROWID;
CREATE TABLE histogram (
    family TEXT NOT NULL, labels TEXT NOT NULL, counts TEXT NOT NULL, total TEXT NOT NULL,
    PRIMARY KEY (family, labels)
) WITHOUT ROWID;
"""
SINCE_VERSION_2 = """
CREATE TABLE dimension (name TEXT NOT NULL, value TEXT NOT NULL, PRIMARY KEY (name, value)) WITHOUT ROWID;
CREATE TABLE fact (name TEXT NOT NULL PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
"""
# Keyed pseudonyms: nobody turns one back by trying every address there is.
SALT = "INSERT INTO fact VALUES ('salt', lower(hex(randomblob(32))));"
CORRECTION = """
CREATE TABLE correction (
    id TEXT NOT NULL PRIMARY KEY, asked_ms INTEGER NOT NULL, since_ms INTEGER NOT NULL, until_ms INTEGER NOT NULL,
    model TEXT NOT NULL, state TEXT NOT NULL, source TEXT NOT NULL DEFAULT '',
    events INTEGER NOT NULL DEFAULT 0, changed INTEGER NOT NULL DEFAULT 0,
    before TEXT NOT NULL DEFAULT '0', after TEXT NOT NULL DEFAULT '0',
    next_block INTEGER NOT NULL DEFAULT 0
) WITHOUT ROWID;
"""
# `seen` knows every id once; a block (ledger_block.py) has the events of a commit, and says what the dearest cost.
SINCE_VERSION_3 = f"""
CREATE TABLE seen (id TEXT NOT NULL PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE block (
    number INTEGER PRIMARY KEY, first_ms INTEGER NOT NULL, last_ms INTEGER NOT NULL, events INTEGER NOT NULL,
    dearest REAL NOT NULL, body BLOB NOT NULL
);
CREATE INDEX block_last ON block (last_ms);
CREATE INDEX block_small ON block (number) WHERE events < {SMALL_BLOCK_EVENTS};
CREATE TABLE spend_day (
    day INTEGER NOT NULL, {_KEY_TYPES}, {", ".join(f"{name} INTEGER NOT NULL" for name in DAY_COLUMNS)},
    PRIMARY KEY (day, {", ".join(SPEND_KEY[1:])})
) WITHOUT ROWID;
"""
SCHEMA = (SPEND, TOTALS, SINCE_VERSION_2, SALT, CORRECTION, SINCE_VERSION_3)


ADD_BLOCK = "INSERT INTO block (first_ms, last_ms, events, dearest, body) VALUES (?, ?, ?, ?, ?)"
PUT_BLOCK = (
    "INSERT OR REPLACE INTO block (number, first_ms, last_ms, events, dearest, body) VALUES (?, ?, ?, ?, ?, ?)"
)


class LedgerError(ExporterError):
    """The ledger cannot be used, or a batch could not be stored: nothing of it counts, it may be sent again."""


class LedgerStalledError(LedgerError):
    """The disk cannot take it now (full, an I/O error, read-only): the same again may succeed later."""
