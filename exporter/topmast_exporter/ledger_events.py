"""The events that a ledger remembers one by one (45 days): read block after block, beside the writer."""

import heapq
import math
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from topmast_exporter.ledger_block import PLACES, UNSAID, Block, BlockError, read
from topmast_exporter.ledger_schema import SCHEMA_VERSION, LedgerError
from topmast_exporter.ledger_store import FILE
from topmast_exporter.pricing.price import UNPRICED

FAILED = ("error", "timeout", "rate_limited")
_PROVIDER, _MODEL, _FEATURE, _OUTCOME, _ATTEMPT = (
    PLACES[name] for name in ("provider", "model", "feature", "outcome", "attempt")
)
_STATUS, _REASON = -2, -1


@dataclass(frozen=True)
class Call:
    """One request to a model, as it was booked."""

    at: float
    """Unix time."""
    provider: str
    model: str
    feature: str
    outcome: str
    input_tokens: int | None
    output_tokens: int | None
    cost: int
    """pico-USD."""


def dearest(folder: Path, since: float = 0.0, until: float = 1e12, limit: int = 10) -> list[Call]:
    """Return the most expensive requests of [since, until), of those that are remembered one by one (45 days).

    Raises LedgerError when there is no ledger to read.
    """
    found: list[tuple[int, float, int, Call]] = []  # a heap: the cheapest of them first
    with snapshot(folder) as connection:
        for most, block in _dearest_first(connection, since, until):
            if len(found) == limit and most < float(found[0][0]):
                break
            for call in _calls(block, since, until):
                one = (call.cost, call.at, len(found), call)
                if len(found) < limit:
                    heapq.heappush(found, one)
                elif one[:2] > found[0][:2]:
                    heapq.heapreplace(found, one)
    return [call for *_, call in sorted(found, key=lambda one: one[:2], reverse=True)]


def _calls(block: Block, since: float, until: float) -> Iterator[Call]:
    for words, place in block.parts():
        costs = block.costs(place)
        if not any(costs):
            continue
        columns = (block.column(name, place) for name in ("at_ms", "input", "output"))
        for cost, at_ms, read_tokens, written in zip(costs, *columns, strict=True):
            if cost and since <= at_ms / 1000 < until:
                yield Call(
                    at_ms / 1000,
                    *(words[_PROVIDER], words[_MODEL], words[_FEATURE], words[_OUTCOME]),
                    None if read_tokens == UNSAID else read_tokens,
                    None if read_tokens == UNSAID else written,
                    cost,
                )


@dataclass(frozen=True)
class Unpriced:
    """Calls of one model that nobody knows a price for, and why."""

    provider: str
    model: str
    reason: str
    requests: int
    input_tokens: int
    output_tokens: int


def unpriced(folder: Path, since: float = 0.0, until: float = 1e12, limit: int = 100) -> list[Unpriced]:
    """Return what is in no sum, the most called first, of the requests remembered one by one (45 days).

    Raises LedgerError when there is no ledger to read.
    """
    sums: dict[tuple[str, str, str], list[int]] = {}
    with snapshot(folder) as connection:
        for _, block in blocks(connection, since, until):
            for words, place in block.parts():
                if words[_STATUS] != UNPRICED:
                    continue
                inside = _inside(block, place, since, until)
                amounts = [sum(inside)]
                for name in ("input", "output"):
                    column = block.column(name, place)
                    amounts.append(sum(max(count, 0) for count, within in zip(column, inside, strict=True) if within))
                standing = sums.setdefault((words[_PROVIDER], words[_MODEL], words[_REASON]), [0, 0, 0])
                standing[:] = [a + b for a, b in zip(standing, amounts, strict=True)]
    found = [Unpriced(*key, *amounts) for key, amounts in sums.items() if amounts[0]]
    return sorted(found, key=lambda one: (-one.requests, one.provider, one.model, one.reason))[:limit]


def repeated(folder: Path, since: float = 0.0, until: float = 1e12) -> dict[tuple[str, str], int]:
    """Return how many calls failed or repeat another, by (provider, model), of those remembered (45 days).

    Raises LedgerError when there is no ledger to read.
    """
    found: dict[tuple[str, str], int] = {}
    with snapshot(folder) as connection:
        for _, block in blocks(connection, since, until):
            for words, place in block.parts():
                if words[_ATTEMPT] > 1 or words[_OUTCOME] in FAILED:
                    name = (words[_PROVIDER], words[_MODEL])
                    found[name] = found.get(name, 0) + sum(_inside(block, place, since, until))
    return {name: count for name, count in found.items() if count}


def _inside(block: Block, place: slice, since: float, until: float) -> list[bool]:
    """Return, for each event of a part, whether it is of [since, until)."""
    return [since <= at_ms / 1000 < until for at_ms in block.column("at_ms", place)]


def blocks(connection: sqlite3.Connection, since: float, until: float, first: int = 0) -> Iterator[tuple[int, Block]]:
    """Yield (number, block) of those that may have events of [since, until), from a number on. Raises LedgerError."""
    sql = "SELECT number, body FROM block WHERE number >= ? AND last_ms >= ? AND first_ms < ? ORDER BY number LIMIT 1"
    while True:
        row = connection.execute(sql, (first, *_ms(since, until))).fetchone()
        if row is None:
            return
        yield row[0], _block(row[0], row[1])
        first = row[0] + 1


def _dearest_first(connection: sqlite3.Connection, since: float, until: float) -> Iterator[tuple[float, Block]]:
    """Yield (the most that one of its events cost, block)."""
    sql = (
        "SELECT dearest, number FROM block WHERE last_ms >= ? AND first_ms < ? AND dearest > 0 ORDER BY dearest DESC"
    )
    for most, number in connection.execute(sql, _ms(since, until)).fetchall():
        row = connection.execute("SELECT body FROM block WHERE number = ?", (number,)).fetchone()
        if row is not None:
            yield most, _block(number, row[0])


def _ms(since: float, until: float) -> tuple[int, int]:
    return math.floor(since * 1000), math.ceil(until * 1000)


def _block(number: int, body: bytes) -> Block:
    try:
        return read(body)
    except BlockError as error:
        raise LedgerError(
            f"{FILE}: block {number} is damaged: {error}: restore a backup, or report without it"
        ) from error


@contextmanager
def snapshot(folder: Path) -> Iterator[sqlite3.Connection]:
    """Yield a connection that sees the ledger at one moment: blocks that are merged meanwhile are not missed."""
    with reading(folder / FILE) as connection:
        connection.execute("BEGIN")
        yield connection


def _open(path: Path) -> sqlite3.Connection:
    uri = f"{path.absolute().as_uri()}?mode=ro"
    return sqlite3.connect(uri, uri=True, timeout=5, isolation_level=None, check_same_thread=False)


@contextmanager
def reading(path: Path) -> Iterator[sqlite3.Connection]:
    """Yield a connection that writes nothing; SQLite's errors leave as LedgerError."""
    try:
        with closing(_open(path)) as connection:
            (version,) = connection.execute("PRAGMA user_version").fetchone()
            if version != SCHEMA_VERSION:
                raise LedgerError(
                    f"{path}: schema {version}, this version has {SCHEMA_VERSION}: start its exporter once"
                )
            yield connection
    except sqlite3.Error as error:
        raise LedgerError(f"{path}: cannot be read: {error}") from error
