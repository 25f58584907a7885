"""The forecast is the exporter's own; its interval holds the end about as often as it says."""

import math
import random
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from topmast.outlook import outlook
from topmast_exporter.budgets import BudgetConfig, Budgets
from topmast_exporter.pricing.price import PICO
from topmast_exporter.registry import Registry

ZONE = ZoneInfo("UTC")
Hours = list[tuple[float, int]]


def year(seed: int) -> Hours:
    """Return (unix time, pico-USD) by the hour: synthetic, with a daily and a weekly rhythm and noise by the day."""
    chance = random.Random(seed)
    start, found = datetime(2026, 1, 1, tzinfo=UTC), []
    for day in range(365):
        at = start + timedelta(days=day)
        level = (1.0 if at.weekday() < 5 else 0.35) * chance.gauss(1.0, 0.25)
        for hour in range(24):
            rhythm = 1 + 0.6 * math.sin((hour - 8) / 24 * 2 * math.pi)
            found.append(((at + timedelta(hours=hour)).timestamp(), int(max(0.0, level * rhythm) * PICO)))
    return found


def days(hours: Hours, until: float) -> dict[date, int]:
    found: dict[date, int] = {}
    for at, cost in hours:
        if until - 56 * 86_400 <= at < until:
            day = datetime.fromtimestamp(at, UTC).date()
            found[day] = found.get(day, 0) + cost
    return found


def costs(hours: Hours, now: float):  # type: ignore[no-untyped-def]  # a Costs
    return lambda since, until: {"": sum(cost for at, cost in hours if since <= at < min(until, now))}


def test_the_end_of_a_month_lies_in_the_interval_in_about_four_of_five() -> None:
    inside = asked = 0
    for seed in range(8):
        hours = year(seed)
        for month in range(3, 12):
            start = datetime(2026, month, 1, tzinfo=UTC)
            end = datetime(2026, month + 1, 1, tzinfo=UTC).timestamp()
            now = start.timestamp() + 10 * 86_400
            found = outlook("month", "", costs(hours, now), days(hours, now), now, ZONE)
            real = sum(cost for at, cost in hours if start.timestamp() <= at < end)
            assert found.low is not None
            assert found.high is not None
            assert found.spent <= found.low <= found.forecast <= found.high
            inside += found.low <= real <= found.high
            asked += 1

    assert 0.7 <= inside / asked <= 0.95, f"{inside} of {asked}"


@pytest.mark.parametrize("name", ["day", "month"])
def test_the_forecast_is_the_exporters(name: str) -> None:
    hours = year(1)
    now = datetime(2026, 5, 11, 15, tzinfo=UTC).timestamp()
    exporter = Budgets(BudgetConfig(), Registry())
    exporter.refresh(costs(hours, now), hours[0][0], now)

    found = outlook(name, "", costs(hours, now), days(hours, now), now, ZONE)

    theirs = dict(exporter._forecast())[name, ""]
    assert found.forecast / PICO == pytest.approx(theirs, rel=1e-9)


def test_a_young_ledger_has_a_forecast_and_no_interval() -> None:
    hours = year(1)[:30]
    now = hours[-1][0]

    found = outlook("month", "", costs(hours, now), days(hours, now), now, ZONE)

    assert found.forecast > found.spent > 0
    assert (found.low, found.high) == (None, None)


def test_without_any_spend_it_is_nothing() -> None:
    found = outlook(
        "month", "search", lambda _since, _until: {}, {}, datetime(2026, 5, 11, tzinfo=UTC).timestamp(), ZONE
    )

    assert (found.spent, found.forecast, found.low) == (0, 0, None)
