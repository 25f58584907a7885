"""A model's prices for people: USD for a million tokens, from the compiled table and a configuration's overrides."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from fractions import Fraction
from typing import Any

from topmast_exporter.pricing.overrides import DISCOUNT, FREE, Overrides, Period
from topmast_exporter.pricing.price import PICO
from topmast_exporter.pricing.table import Model, PriceTable

# Units that a usage event carries; the others (searches, seconds, pages) are not in any sum.
_TOKENS = "_tokens"
_MILLION = 10**6


@dataclass(frozen=True)
class Line:
    """The price of one unit from so many input tokens on."""

    unit: str
    usd_per_million: float
    above_tokens: int = 0
    """0, or where a long context begins: then the whole request has this price."""


@dataclass(frozen=True)
class Prices:
    """What a model costs at a moment. `lines` is empty for one that is free, or that nobody knows."""

    provider: str
    model: str
    origin: str
    """`override`, the table's source, or why there is none (`unknown_model`, …)."""
    known: bool
    lines: tuple[Line, ...]
    tiers: tuple[str, ...] = ()
    """Service tiers that have prices of their own."""
    discount_percent: float | None = None
    """What topmast.yml takes off the list price; the lines are less by it."""


def find(table: PriceTable, overrides: Mapping[str, Any], provider: str, model: str, at: float) -> Prices:
    """Return the prices that hold for a request of this name at a unix time; overrides win."""
    period = Overrides(overrides).at(provider, model, at).period
    if period is not None and not period.off_list:
        own = tuple(line for unit, price in period.sheet.items() for line in _lines(unit, price))
        return Prices(provider, model, "override", True, own)
    found = table.find(provider, model)
    if not isinstance(found, Model):
        return Prices(provider, model, found, False, ())
    tiers = sorted({str(each["tier"]) for each in found.variants} - {"default", "standard"})
    sheet = found.sheet(found.select(at))
    off = None
    if period is not None:
        sheet, off = period.taken_off(sheet), float(period.said[DISCOUNT])
    tokens = tuple(line for unit, price in sheet.items() if unit.endswith(_TOKENS) for line in _lines(unit, price))
    return Prices(found.provider, found.id, table.source, True, tokens, tuple(tiers), off)


@dataclass(frozen=True)
class Held:
    """A price of topmast.yml and when it holds; ISO times of UTC, None without an end."""

    since: str | None
    until: str | None
    override: Mapping[str, Any] | str
    in_force: bool
    words: str


def periods(overrides: Mapping[str, Any], provider: str, model: str, at: float) -> list[Held]:
    """Return the prices that topmast.yml has for a model, the first one first."""
    found = Overrides(overrides)
    now = found.at(provider, model, at).period
    return [_held(period, period is now) for period in found.of(provider, model)]


def _held(period: Period, in_force: bool) -> Held:
    since, until = (
        None if math.isinf(when) else datetime.fromtimestamp(when, UTC).isoformat()
        for when in (period.since, period.until)
    )
    from_, to = (when and when.removesuffix("+00:00").removesuffix("T00:00:00") for when in (since, until))
    span = " ".join([*([f"from {from_}"] if from_ else []), *([f"until {to}"] if to else [])]) or "at all times"
    return Held(since, until, dict(period.said) or FREE, in_force, f"{span}: {_price(period)}")


def _price(period: Period) -> str:
    if period.off_list:
        return f"{period.said[DISCOUNT]:g}% off the list price"
    lines = [line for unit, price in period.sheet.items() for line in _lines(unit, price)]
    return ", ".join(f"${line.usd_per_million:,.6g} {line.unit.replace('_', ' ')}" for line in lines) or FREE


def off_nothing(table: PriceTable, overrides: Mapping[str, Any], now: float) -> dict[str, str]:
    """Return the models that have a discount, now or later, and no list price; and why they have none."""
    found = Overrides(overrides)
    idle = {}
    for name in overrides:
        provider, _, model = name.partition("/")
        listed = table.find(provider, model)
        if isinstance(listed, str) and any(one.off_list and one.until > now for one in found.of(provider, model)):
            idle[name] = listed
    return idle


@dataclass(frozen=True)
class Change:
    """A price that is another one in another table; USD for a million, None where there is none."""

    provider: str
    model: str
    unit: str
    before: float | None
    after: float | None


def changes(before: PriceTable, after: PriceTable, provider: str, model: str, at: float) -> list[Change]:
    """Return which prices of a model differ in two tables at a unix time."""
    old, new = (
        {(line.unit, line.above_tokens): line.usd_per_million for line in find(table, {}, provider, model, at).lines}
        for table in (before, after)
    )
    return [
        Change(provider, model, unit if not above else f"{unit} above {above:,}", old.get(key), new.get(key))
        for key in dict.fromkeys([*old, *new])
        for unit, above in [key]
        if old.get(key) != new.get(key)
    ]


def _lines(unit: str, price: Any) -> list[Line]:
    name = unit.removesuffix(_TOKENS)
    if not isinstance(price, Mapping):
        return [Line(name, _usd(price))]
    steps = [Line(name, _usd(each), int(start)) for start, each in price["steps"]]
    return [Line(name, _usd(price["base"])), *steps]


def _usd(pico_per_token: Any) -> float:
    """Return USD for a million, of an integer of pico-USD or of [numerator, denominator]."""
    exact = Fraction(*pico_per_token) if isinstance(pico_per_token, list) else Fraction(pico_per_token)
    return float(exact * _MILLION / PICO)
