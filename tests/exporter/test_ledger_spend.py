"""The table of days and the quarters say the same, whatever is added, taken away, or made a day of a time zone."""

import itertools
import random
import sqlite3
from contextlib import closing
from datetime import UTC, datetime

import pytest
from topmast_exporter.ledger_report import report
from topmast_exporter.ledger_schema import COSTS, SPEND_COLUMNS
from topmast_exporter.ledger_spend import DAY_QUARTERS, QUARTER_SECONDS, Spend
from topmast_exporter.ledger_store import FILE, Store

DAYS = 6
FIRST = 20_000 * DAY_QUARTERS
PLAIN = len(SPEND_COLUMNS) - len(COSTS)


@pytest.fixture
def store(tmp_path):
    one = Store(tmp_path)
    yield one
    one.close()


def add(store, seed, sign=1):
    chance = random.Random(seed)
    spend = {
        (
            FIRST + chance.randrange(DAYS * DAY_QUARTERS),
            "acme",
            f"m{chance.randrange(3)}",
            f"f{place % 4}",
            "",
            "",
            "",
        ): Spend(
            [chance.randrange(9) for _ in range(PLAIN)]
            + [sign * chance.randrange(2 ** chance.randrange(1, 58)) for _ in COSTS]
        )
        for place in range(200)
    }
    with store.transaction():
        store.save({}, {}, spend)


def of_quarters(folder, first, end):
    """Return cost by feature, added up from the quarters alone."""
    found = {}
    with closing(sqlite3.connect(folder / FILE)) as file:
        sql = f"SELECT feature, {', '.join(COSTS)} FROM spend WHERE quarter >= ? AND quarter < ?"  # noqa: S608 names of the schema
        for feature, *costs in file.execute(sql, (first, end)):
            found[feature] = found.get(feature, 0) + sum(costs)
    return found


def of_days(folder, first, end):
    """Return cost by (day, feature), added up from the quarters alone."""
    found = {}
    for quarter in range(max(first, FIRST - 500), min(end, FIRST + 5000)):
        day = datetime.fromtimestamp(quarter * QUARTER_SECONDS, UTC).date().isoformat()
        for feature, cost in of_quarters(folder, quarter, quarter + 1).items():
            found[day, feature] = found.get((day, feature), 0) + cost
    return found


SPANS = [
    (0, DAYS * DAY_QUARTERS),
    (1, DAYS * DAY_QUARTERS - 1),
    (DAY_QUARTERS - 1, DAY_QUARTERS + 1),
    (5, 50),
    (DAY_QUARTERS, 2 * DAY_QUARTERS),
    (-500, 5000),
    (DAY_QUARTERS + 3, 4 * DAY_QUARTERS),
]


def check(store, folder):
    for first, end in ((FIRST + first, FIRST + end) for first, end in SPANS):
        since, until = first * QUARTER_SECONDS, end * QUARTER_SECONDS
        wanted = of_quarters(folder, first, end)
        assert store.cost_by_feature(since, until) == wanted
        assert {row.group[0]: row.total for row in report(folder, ("feature",), since, until)} == wanted
        by_day = report(folder, ("day", "feature"), since, until)
        days = {row.group: row.total for row in by_day}
        assert days == of_days(folder, first, end)
        whole = [sum(row.total for row in by_day if row.group[1] == feature) for feature in sorted(wanted)]
        assert whole == [wanted[feature] for feature in sorted(wanted)]


def test_days_are_the_sum_of_their_quarters(store, tmp_path):
    for seed in range(4):
        add(store, seed)

    check(store, tmp_path)


def test_a_correction_takes_away_from_both(store, tmp_path):
    add(store, "more")
    add(store, "less", sign=-1)

    check(store, tmp_path)


@pytest.mark.parametrize("shift", [0, 4, -22], ids=["UTC", "an hour before", "across midnight"])
def test_a_day_of_a_time_zone_becomes_one_row_in_both(store, tmp_path, shift):
    add(store, "some")
    before = {row.group: row.total for row in report(tmp_path, ("feature",))}

    for day in (1, 2):
        start = FIRST + day * DAY_QUARTERS + shift
        store.roll_up(start, start + DAY_QUARTERS)

    check(store, tmp_path)
    assert {row.group: row.total for row in report(tmp_path, ("feature",))} == before


def test_the_sum_of_many_dollars_is_exact(store, tmp_path):
    most = Spend([1, 0, *(0 for _ in range(PLAIN - 2)), *(2**62 + 7 for _ in COSTS)])
    with store.transaction():
        store.save(
            {}, {}, {(FIRST + n, "acme", "big", "", "", "", ""): most for n in itertools.islice(range(96), 90)}
        )

    (row,) = report(tmp_path, ("feature",))

    assert row.total == 90 * 5 * (2**62 + 7)
