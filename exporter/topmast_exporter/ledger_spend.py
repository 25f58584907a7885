"""The spend of a ledger: its sums by quarter of an hour, kept for good, and the same sums by day of UTC.

Reports and budgets add these up: whole days from the table of days, what is left at both ends from the quarters.
Every time zone of the world begins its day on a quarter of an hour. Amounts are integers in pico-USD. SQLite's
integers end at 9.2 million dollars in pico, so a day's costs are whole dollars and the rest, each a column.
"""

import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from topmast_exporter.ledger_schema import COSTS, DAY_COLUMNS, SPEND_COLUMNS, SPEND_KEY
from topmast_exporter.pricing.price import PICO

QUARTER_SECONDS = 900
DAY_QUARTERS = 86_400 // QUARTER_SECONDS
MOST = 2**63
"""Where SQLite's integers end."""

SpendKey = tuple[int, str, str, str, str, str, str]
"""SPEND_KEY: quarter of an hour since 1970, provider, model, feature, key alias, user group, environment."""

_PLAIN = len(SPEND_COLUMNS) - len(COSTS)


@dataclass
class Spend:
    """Sums of some requests, in the order of SPEND_COLUMNS."""

    values: list[int] = field(default_factory=lambda: [0] * len(SPEND_COLUMNS))

    def add(self, amounts: Iterable[int]) -> None:
        self.values = [mine + its for mine, its in zip(self.values, amounts, strict=True)]

    @property
    def cost(self) -> int:
        """The cost in pico-USD."""
        return sum(self.values[_PLAIN:])


def add(connection: sqlite3.Connection, spend: Mapping[SpendKey, Spend]) -> None:
    """Add to both tables. Amounts may be negative: a correction."""
    connection.executemany(_ADD_QUARTER, [(*key, *one.values) for key, one in spend.items()])
    _add_days(connection, ((key, one.values) for key, one in spend.items()))


def fill_days(connection: sqlite3.Connection, first: int, end: int) -> None:
    """Make the days that have quarters in [first, end) anew from all their quarters."""
    start, stop = first // DAY_QUARTERS, -(-end // DAY_QUARTERS)
    connection.execute("DELETE FROM spend_day WHERE day >= ? AND day < ?", (start, stop))
    rows = connection.execute(_QUARTERS, (start * DAY_QUARTERS, stop * DAY_QUARTERS))
    _add_days(connection, ((row[: len(SPEND_KEY)], row[len(SPEND_KEY) :]) for row in rows))


def roll_up(connection: sqlite3.Connection, first: int, end: int) -> None:
    """Make the quarters in [first, end) one, which stands at the first; every sum stays what it is."""
    sums: dict[tuple[str, ...], list[int]] = {}
    for row in connection.execute(_QUARTERS, (first, end)):  # added here: SQLite's integers end at 2^63
        key, amounts = row[1 : len(SPEND_KEY)], row[len(SPEND_KEY) :]
        standing = sums.get(key)
        sums[key] = list(amounts) if standing is None else [a + b for a, b in zip(standing, amounts, strict=True)]
    if all(amount < MOST for amounts in sums.values() for amount in amounts):
        connection.execute("DELETE FROM spend WHERE quarter >= ? AND quarter < ?", (first, end))
        connection.executemany(_ADD_QUARTER, [(first, *key, *amounts) for key, amounts in sums.items()])
        # where a zone's day is on two days of UTC, its sum is on the first one now, in both tables
        fill_days(connection, first, end)
    connection.execute("INSERT OR REPLACE INTO fact VALUES ('rolled_until', ?)", (str(end),))


def spans(connection: sqlite3.Connection, first: int, end: int) -> tuple[list[tuple[int, int]], tuple[int, int]]:
    """Return the quarters [first, end) as quarters at both ends, and days of UTC [start, stop) between them.

    A day whose other quarters are empty is taken as a whole: that of now, nearly always.
    """
    start, stop = first // DAY_QUARTERS, -(-end // DAY_QUARTERS)
    if _is_spent(connection, start * DAY_QUARTERS, first):
        start += 1
    if _is_spent(connection, end, stop * DAY_QUARTERS):
        stop -= 1
    if start >= stop:
        return [(first, end)], (0, 0)
    edges = [(first, start * DAY_QUARTERS), (stop * DAY_QUARTERS, end)]
    return [edge for edge in edges if edge[0] < edge[1]], (start, stop)


def _is_spent(connection: sqlite3.Connection, first: int, end: int) -> bool:
    sql = "SELECT 1 FROM spend WHERE quarter >= ? AND quarter < ? LIMIT 1"
    return first < end and connection.execute(sql, (first, end)).fetchone() is not None


def cost_by_feature(connection: sqlite3.Connection, first: int, end: int) -> dict[str, int]:
    """Return the cost in pico-USD of the quarters in [first, end), by feature."""
    found: dict[str, int] = {}
    edges, days = spans(connection, first, end)
    for sql, between in [*((_COST_OF_QUARTERS, edge) for edge in edges), (_COST_OF_DAYS, days)]:
        for feature, whole, rest in connection.execute(sql, between):
            found[feature] = found.get(feature, 0) + int(whole) * PICO + int(rest)
    return found


def _add_days(connection: sqlite3.Connection, rows: Iterable[tuple[Sequence[object], Sequence[int]]]) -> None:
    days: dict[tuple[object, ...], list[int]] = {}
    for key, amounts in rows:
        day = (int(key[0]) // DAY_QUARTERS, *key[1:])  # type: ignore[call-overload]  # the quarter
        standing = days.get(day)
        days[day] = list(amounts) if standing is None else [a + b for a, b in zip(standing, amounts, strict=True)]
    connection.executemany(_ADD_DAY, [(*day, *_halved(amounts)) for day, amounts in days.items()])


def _halved(amounts: Sequence[int]) -> Iterator[int]:
    yield from amounts[:_PLAIN]
    for cost in amounts[_PLAIN:]:
        yield from divmod(cost, PICO)


def _places(columns: Sequence[str]) -> str:
    return ", ".join("?" for _ in columns)


def _carried(cost: str) -> str:
    rest = f"{cost}_rest + excluded.{cost}_rest"
    return f"{cost}_usd = {cost}_usd + excluded.{cost}_usd + ({rest}) / {PICO}, {cost}_rest = ({rest}) % {PICO}"


_QUARTERS = f"SELECT {', '.join((*SPEND_KEY, *SPEND_COLUMNS))} FROM spend WHERE quarter >= ? AND quarter < ?"  # noqa: S608 our own names
_ADD_QUARTER = (
    f"INSERT INTO spend VALUES ({_places((*SPEND_KEY, *SPEND_COLUMNS))}) ON CONFLICT DO UPDATE SET "  # noqa: S608 our own names
    + ", ".join(f"{name} = {name} + excluded.{name}" for name in SPEND_COLUMNS)
)
_ADD_DAY = (
    f"INSERT INTO spend_day VALUES ({_places((*SPEND_KEY, *DAY_COLUMNS))}) ON CONFLICT DO UPDATE SET "  # noqa: S608 our own names
    + ", ".join(
        [f"{name} = {name} + excluded.{name}" for name in SPEND_COLUMNS[:_PLAIN]] + [_carried(cost) for cost in COSTS]
    )
)
_COST = " + ".join(COSTS)
_COST_OF_QUARTERS = (
    f"SELECT feature, SUM(({_COST}) / {PICO}), SUM(({_COST}) % {PICO}) FROM spend"  # noqa: S608 our own names
    " WHERE quarter >= ? AND quarter < ? GROUP BY feature"
)
_DOLLARS, _RESTS = (" + ".join(f"{cost}_{part}" for cost in COSTS) for part in ("usd", "rest"))
_COST_OF_DAYS = (
    f"SELECT feature, SUM({_DOLLARS}), SUM({_RESTS}) FROM spend_day"  # noqa: S608 our own names
    " WHERE day >= ? AND day < ? GROUP BY feature"
)
