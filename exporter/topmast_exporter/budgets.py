"""Budgets: what the calendar day and month have cost, where that is going, and how fast it burns.

Read from the ledger's spend, so a restart forgets nothing. The forecast carries the recent rate to the window's end:
the last 24 hours for a day, the last 7 days (one weekly rhythm) for a month.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from topmast_exporter.errors import ConfigError
from topmast_exporter.ledger_spend import QUARTER_SECONDS
from topmast_exporter.pricing.price import PICO
from topmast_exporter.registry import Registry

DAY, MONTH = "day", "month"
ALL = ""
"""The `feature` label that means all of them."""

# (window, seconds of the past that its rate is taken from)
RATE_SECONDS = {DAY: 86_400.0, MONTH: 7 * 86_400.0}
BURN_SECONDS = 3_600.0
# With less of a past than this, a rate would be a guess: one request in the first minute is no $1,440 day.
LEAST_SECONDS = 3_600.0

Costs = Callable[[float, float], Mapping[str, int]]
"""(since, until) -> pico-USD by feature."""


@dataclass(frozen=True)
class Budget:
    """Limits in US dollars; 0 is no limit."""

    day_usd: float = 0.0
    month_usd: float = 0.0

    def limit(self, window: str) -> float:
        return self.day_usd if window == DAY else self.month_usd


@dataclass(frozen=True)
class BudgetConfig:
    """The section `budgets` of topmast.yml."""

    total: Budget = field(default_factory=Budget)
    features: Mapping[str, Budget] = field(default_factory=dict)
    timezone: str = "UTC"


_LIMIT = {"type": "number", "minimum": 0, "maximum": 1e9}
SCHEMA: dict[str, Any] = {
    "type": "object",
    "additionalProperties": False,
    "properties": {
        "day_usd": _LIMIT,
        "month_usd": _LIMIT,
        "timezone": {"type": "string", "minLength": 1, "maxLength": 64},
        "features": {
            "type": "object",
            "maxProperties": 200,
            "propertyNames": {"minLength": 1, "maxLength": 128},
            "additionalProperties": {
                "type": "object",
                "additionalProperties": False,
                "properties": {"day_usd": _LIMIT, "month_usd": _LIMIT},
            },
        },
    },
}


def parse(section: Mapping[str, Any], where: str = "$.budgets") -> BudgetConfig:
    """Return the budgets of a section that SCHEMA let through. Raises ConfigError for an unknown time zone."""
    timezone = section.get("timezone", "UTC")
    try:
        ZoneInfo(timezone)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ConfigError(f"{where}.timezone: no such time zone: {timezone!r}") from error
    features = {name: Budget(**limits) for name, limits in section.get("features", {}).items()}
    return BudgetConfig(Budget(section.get("day_usd", 0.0), section.get("month_usd", 0.0)), features, timezone)


def window(name: str, now: float, timezone: ZoneInfo) -> tuple[float, float]:
    """Return the unix times at which the calendar day or month of `now` begins and ends."""
    here = datetime.fromtimestamp(now, timezone)
    start = here.replace(hour=0, minute=0, second=0, microsecond=0)
    if name == DAY:
        following = start + timedelta(days=1)  # the wall clock's: a day of 23 or 25 hours is one
    else:
        start = start.replace(day=1)
        following = (start + timedelta(days=32)).replace(day=1)
    return start.timestamp(), following.timestamp()


@dataclass
class _Window:
    start: float
    end: float
    spent: dict[str, int]
    rate: dict[str, float] = field(default_factory=dict)
    """pico-USD a second, by feature."""


class Budgets:
    """The state of the windows. `refresh` reads the ledger, `add` follows it from commit to commit."""

    def __init__(self, config: BudgetConfig, registry: Registry) -> None:
        self.config = config
        self._timezone = ZoneInfo(config.timezone)
        self._windows: dict[str, _Window] = {}
        self._burn: dict[str, float] = {}
        self._now = 0.0
        labels = ("window", "feature")
        for name, documentation, source in (
            ("llm_budget_usd", "The budget of a window; a budget that is not set is absent.", self._limits),
            ("llm_budget_spent_usd", "Spent in the calendar window so far.", self._spent),
            ("llm_budget_forecast_usd", "Spend at the window's end, at the recent rate.", self._forecast),
            (
                "llm_budget_burn_ratio",
                "Spend of the last hour against the even pace of the budget; above 1 it will not last.",
                self._burn_ratios,
            ),
        ):
            registry.gauge(name, documentation, labels).set_source(source)

    def refresh(self, costs: Costs, first: float | None, now: float) -> None:
        """Read spend and rates anew. `first` is when the ledger's spend begins."""
        self._now = now
        past = 0.0 if first is None else max(0.0, now - first)
        for name, rate_seconds in RATE_SECONDS.items():
            start, end = window(name, now, self._timezone)
            recent = rates(costs, now, max(LEAST_SECONDS, min(rate_seconds, past)))
            self._windows[name] = _Window(start, end, dict(costs(start, end)), recent)
        self._burn = rates(costs, now, BURN_SECONDS)

    def add(self, at: float, feature: str, cost: int) -> None:
        """Count a committed cost in the windows that its time is in."""
        for one in self._windows.values():
            if one.start <= at < one.end:
                one.spent[feature] = one.spent.get(feature, 0) + cost

    def states(self) -> list[dict[str, Any]]:
        """Return window, feature, limit and what is spent of it (USD) of every budget that is set."""
        return [
            {
                "window": name,
                "feature": feature,
                "limit_usd": budget.limit(name),
                "spent_usd": _of(one.spent, feature) / PICO,
            }
            for name, one in list(self._windows.items())
            for feature, budget in self._budgets()
            if budget.limit(name) > 0
        ]

    def over(self, now: float) -> bool:
        """Return whether a window has ended since the last refresh."""
        return any(now >= one.end or now < one.start for one in self._windows.values())

    def _limits(self) -> Iterator[tuple[tuple[str, ...], float]]:
        for name in RATE_SECONDS:
            for feature, budget in self._budgets():
                if budget.limit(name) > 0:
                    yield (name, feature), budget.limit(name)

    def _spent(self) -> Iterator[tuple[tuple[str, ...], float]]:
        for name, one in list(self._windows.items()):
            for feature, _ in self._budgets():
                yield (name, feature), _of(one.spent, feature) / PICO

    def _forecast(self) -> Iterator[tuple[tuple[str, ...], float]]:
        for name, one in list(self._windows.items()):
            for feature, _ in self._budgets():
                left = max(0.0, one.end - max(one.start, self._now))
                yield (name, feature), (_of(one.spent, feature) + _of(one.rate, feature) * left) / PICO

    def _burn_ratios(self) -> Iterator[tuple[tuple[str, ...], float]]:
        for name, one in list(self._windows.items()):
            for feature, budget in self._budgets():
                if budget.limit(name) > 0:
                    pace = budget.limit(name) * PICO / (one.end - one.start)
                    yield (name, feature), _of(self._burn, feature) / pace

    def _budgets(self) -> Iterator[tuple[str, Budget]]:
        yield ALL, self.config.total
        yield from self.config.features.items()


def rates(costs: Costs, now: float, seconds: float) -> dict[str, float]:
    """Return pico-USD a second by feature over the last `seconds`, whole quarters of an hour included."""
    since = (now - seconds) // QUARTER_SECONDS * QUARTER_SECONDS
    return {feature: cost / (now - since) for feature, cost in costs(since, now + QUARTER_SECONDS).items()}


def _of(values: Mapping[str, int] | Mapping[str, float], feature: str) -> float:
    # a copy first: the ledger may add a feature meanwhile
    return sum(list(values.values())) if feature == ALL else values.get(feature, 0)
