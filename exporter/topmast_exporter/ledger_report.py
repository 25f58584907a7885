"""Reports from the ledger's spend: what was spent, by whom, when. Reads beside the writer and never blocks it."""

import sqlite3
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from topmast_exporter.ledger_schema import SCHEMA_VERSION, SPEND_COLUMNS, LedgerError
from topmast_exporter.ledger_store import FILE, QUARTER_SECONDS
from topmast_exporter.pricing.price import COMPONENTS, PICO

DIMENSIONS = ("provider", "model", "feature", "day", "key", "group", "environment")
_COLUMNS = {"key": "key_alias", "group": "user_group"}


@dataclass(frozen=True)
class Row:
    """The sums of one group."""

    group: tuple[str, ...]
    """The values of the asked dimensions, in that order."""
    requests: int
    unpriced: int
    """Of the requests: in no cost, because nobody knows their price."""
    tokens: dict[str, int]
    cost: dict[str, int]
    """pico-USD by component."""

    @property
    def total(self) -> int:
        """The cost in pico-USD."""
        return sum(self.cost.values())


def report(
    folder: Path, by: Sequence[str] = ("model",), since: float = 0.0, until: float = 1e12, timezone: str = "UTC"
) -> list[Row]:
    """Return the spend of [since, until) by some of DIMENSIONS, the dearest first.

    Times are unix times, taken to whole quarters of an hour. Raises LedgerError when there is no ledger to read,
    ValueError for another dimension.
    """
    unknown = set(by) - set(DIMENSIONS)
    if unknown:
        raise ValueError(f"not a dimension: {', '.join(sorted(unknown))}; there are {', '.join(DIMENSIONS)}")
    first, last = int(since // QUARTER_SECONDS), -int(-until // QUARTER_SECONDS)
    with _reading(folder / FILE) as connection:
        (least, greatest) = connection.execute(
            "SELECT min(quarter), max(quarter) FROM spend WHERE quarter >= ? AND quarter < ?", (first, last)
        ).fetchone()
        if least is None:
            return []
        columns = {**_COLUMNS, "day": _day_number(least, greatest, ZoneInfo(timezone))}
        groups = [columns.get(name, name) for name in by]
        sql = (
            f"SELECT {', '.join([*groups, *_SUMS])} FROM spend WHERE quarter >= ? AND quarter < ?"  # noqa: S608 our own names
            f" {'GROUP BY ' + ', '.join(map(str, range(1, len(by) + 1))) if by else ''}"
        )
        found = connection.execute(sql, (first, last)).fetchall()
    rows = [_row(by, values) for values in found]
    return sorted(rows, key=lambda row: (-row.total, -row.requests, row.group))


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
    sql = (
        f"SELECT at_ms, provider, model, feature, outcome, input, output, {_COST} AS cost FROM event"  # noqa: S608 our own names
        " WHERE at_ms >= ? AND at_ms < ? AND cost > 0 ORDER BY cost DESC, at_ms DESC LIMIT ?"
    )
    with _reading(folder / FILE) as connection:
        found = connection.execute(sql, (int(since * 1000), int(until * 1000), limit)).fetchall()
    return [Call(at_ms / 1000, *rest) for at_ms, *rest in found]


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
    sql = (
        "SELECT provider, model, price_reason, count(*), total(input), total(output) FROM event"
        " WHERE price_status = 'unpriced' AND at_ms >= ? AND at_ms < ?"
        " GROUP BY provider, model, price_reason ORDER BY count(*) DESC, provider, model LIMIT ?"
    )
    with _reading(folder / FILE) as connection:
        found = connection.execute(sql, (int(since * 1000), int(until * 1000), limit)).fetchall()
    return [
        Unpriced(provider, model, reason, requests, int(read), int(written))
        for provider, model, reason, requests, read, written in found
    ]


def repeated(folder: Path, since: float = 0.0, until: float = 1e12) -> dict[tuple[str, str], int]:
    """Return how many calls failed or repeat another, by (provider, model), of those remembered (45 days).

    Raises LedgerError when there is no ledger to read.
    """
    sql = (
        "SELECT provider, model, count(*) FROM event WHERE at_ms >= ? AND at_ms < ?"
        " AND (attempt > 1 OR outcome IN ('error', 'timeout', 'rate_limited')) GROUP BY provider, model"
    )
    with _reading(folder / FILE) as connection:
        found = connection.execute(sql, (int(since * 1000), int(until * 1000))).fetchall()
    return {(provider, model): count for provider, model, count in found}


_COST = " + ".join(f"cost_{component}" for component in COMPONENTS)
# Sums end at 2^63: pico-USD are summed in two halves, which together end at 9 * 10^18 dollars.
_SUMS = [
    *(f"SUM({name})" for name in SPEND_COLUMNS if not name.startswith("cost_")),
    *(f"SUM(cost_{component} / {PICO})" for component in COMPONENTS),
    *(f"SUM(cost_{component} % {PICO})" for component in COMPONENTS),
]


def _row(by: Sequence[str], values: Sequence[Any]) -> Row:
    group = tuple(_EPOCH.fromordinal(_EPOCH_ORDINAL + value).isoformat() if name == "day" else str(value)
                  for name, value in zip(by, values, strict=False))  # fmt: skip
    counts = dict(zip(_COUNTS, values[len(by) :], strict=False))
    halves = values[len(by) + len(_COUNTS) :]
    wholes, rests = halves[: len(COMPONENTS)], halves[len(COMPONENTS) :]
    cost = {component: whole * PICO + rest for component, whole, rest in zip(COMPONENTS, wholes, rests, strict=True)}
    return Row(group, counts.pop("requests"), counts.pop("unpriced"), counts, cost)


_COUNTS = tuple(name for name in SPEND_COLUMNS if not name.startswith("cost_"))
_EPOCH = date(1970, 1, 1)
_EPOCH_ORDINAL = _EPOCH.toordinal()


def _day_number(first: int, last: int, zone: ZoneInfo) -> str:
    """Return the SQL for the days since 1970, by a zone's wall clock, of a quarter in [first, last]."""
    whens, offset = "", _offset(first, zone)
    at = first
    while at < last:
        following = min(at + _QUARTERS_A_DAY, last)
        if _offset(following, zone) != offset:
            changed = bisect_left(range(at + 1, following + 1), True, key=lambda each: _offset(each, zone) != offset)
            at = at + 1 + changed
            whens += f" WHEN quarter < {at} THEN (quarter * {QUARTER_SECONDS} + {offset}) / 86400"
            offset = _offset(at, zone)
        else:
            at = following
    plain = f"(quarter * {QUARTER_SECONDS} + {offset}) / 86400"
    return f"CASE{whens} ELSE {plain} END" if whens else plain


_QUARTERS_A_DAY = 86_400 // QUARTER_SECONDS


def _offset(quarter: int, zone: ZoneInfo) -> int:
    offset = datetime.fromtimestamp(quarter * QUARTER_SECONDS, zone).utcoffset()
    return int(offset.total_seconds()) if offset is not None else 0


@contextmanager
def _reading(path: Path) -> Iterator[sqlite3.Connection]:
    """Yield a connection that writes nothing; SQLite's errors leave as LedgerError."""
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=5)) as connection:
            (version,) = connection.execute("PRAGMA user_version").fetchone()
            if version != SCHEMA_VERSION:
                raise LedgerError(
                    f"{path}: schema {version}, this version has {SCHEMA_VERSION}: start its exporter once"
                )
            yield connection
    except sqlite3.Error as error:
        raise LedgerError(f"{path}: cannot be read: {error}") from error
