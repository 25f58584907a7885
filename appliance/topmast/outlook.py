"""Where the spend of a day or a month is going: the exporter's forecast, and how far off it may well be.

The forecast is that of the gauge llm_budget_forecast_usd: what was spent, and the recent rate until the window's end.
The interval is as wide as the days of the last four weeks differ by more than their weekly rhythm; in four windows of
five the end lies in it, if the days to come are like those.
"""

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from topmast_exporter.budgets import ALL, LEAST_SECONDS, RATE_SECONDS, Costs, rates, window

WEEK = 7
PAST_DAYS = 4 * WEEK
# With fewer whole days than this, how they differ is not known.
LEAST_DAYS = 3
# Four of five, if days differ as the normal distribution has it.
_Z = statistics.NormalDist().inv_cdf(0.9)
_DAY_SECONDS = 86_400.0


@dataclass(frozen=True)
class Outlook:
    """A window's spend and its forecast, in pico-USD."""

    window: str
    feature: str
    spent: int
    forecast: int
    low: int | None
    """None when there are too few days to tell from; at least what is spent."""
    high: int | None


def outlook(name: str, feature: str, costs: Costs, daily: Mapping[date, int], now: float, zone: ZoneInfo) -> Outlook:
    """Return where the calendar day or month of `now` is going.

    `daily` is the feature's spend by day, of as many of the last days as the ledger has; a day without spend between
    them may be left out. The day of `now` is not read.
    """
    start, end = window(name, now, zone)
    today = datetime.fromtimestamp(now, zone).date()
    first = min(daily, default=today)
    begun = datetime.combine(first, datetime.min.time(), zone).timestamp()
    rate = _of(rates(costs, now, max(LEAST_SECONDS, min(RATE_SECONDS[name], now - begun))), feature)
    spent = round(_of(costs(start, end), feature))
    left = max(0.0, end - max(start, now))
    forecast = round(spent + rate * left)
    days = [first + timedelta(days=number) for number in range((today - first).days)][-PAST_DAYS:]
    spread = _spread([daily.get(day, 0) for day in days])
    if spread is None:
        return Outlook(name, feature, spent, forecast, None, None)
    ahead, seen = left / _DAY_SECONDS, RATE_SECONDS[name] / _DAY_SECONDS
    # the days to come differ, and so did those that the rate was taken from
    half = _Z * spread * math.sqrt(ahead + ahead**2 / seen)
    return Outlook(name, feature, spent, forecast, max(spent, round(forecast - half)), round(forecast + half))


def _spread(days: Sequence[int]) -> float | None:
    """Return the standard deviation of a day; the weekly rhythm is taken out where two weeks are known."""
    if len(days) >= 2 * WEEK:
        steps = [later - earlier for earlier, later in zip(days, days[WEEK:], strict=False)]
        return math.sqrt(sum(step**2 for step in steps) / len(steps) / 2)
    return statistics.stdev(days) if len(days) >= LEAST_DAYS else None


def _of(values: Mapping[str, int] | Mapping[str, float], feature: str) -> float:
    return sum(values.values()) if feature == ALL else values.get(feature, 0)
