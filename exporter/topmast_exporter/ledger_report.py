"""Reports from the ledger's spend: what was spent, by whom, when. Reads beside the writer and never blocks it."""

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

from topmast_exporter.ledger_store import FILE, QUARTER_SECONDS, SPEND_COLUMNS, LedgerError
from topmast_exporter.pricing.price import COMPONENTS

DIMENSIONS = ("provider", "model", "feature", "day")


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
    zone = ZoneInfo(timezone)
    days: dict[int, str] = {}
    sums: dict[tuple[str, ...], list[int]] = {}
    for quarter, provider, model, feature, *values in _rows(folder / FILE, since, until):
        day = days.get(quarter)
        if day is None:
            moment = datetime.fromtimestamp(quarter * QUARTER_SECONDS, UTC).astimezone(zone)
            day = days[quarter] = moment.date().isoformat()
        named = {"provider": provider, "model": model, "feature": feature, "day": day}
        group = tuple(str(named[dimension]) for dimension in by)
        standing = sums.get(group)
        # python's integers: no sum overflows
        sums[group] = values if standing is None else [a + b for a, b in zip(standing, values, strict=True)]
    rows = [_row(group, values) for group, values in sums.items()]
    return sorted(rows, key=lambda row: (-row.total, -row.requests, row.group))


def _row(group: tuple[str, ...], values: Sequence[int]) -> Row:
    named = dict(zip(SPEND_COLUMNS, values, strict=True))
    cost = {component: named.pop(f"cost_{component}") for component in COMPONENTS}
    return Row(group, named.pop("requests"), named.pop("unpriced"), named, cost)


def _rows(path: Path, since: float, until: float) -> list[tuple[int, ...]]:
    first, last = int(since // QUARTER_SECONDS), -int(-until // QUARTER_SECONDS)
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=5)) as connection:
            return connection.execute(
                "SELECT * FROM spend WHERE quarter >= ? AND quarter < ?", (first, last)
            ).fetchall()
    except sqlite3.Error as error:
        raise LedgerError(f"{path}: cannot be read: {error}") from error
