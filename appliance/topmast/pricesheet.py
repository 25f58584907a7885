"""A model's prices for people: USD for a million tokens, from the compiled table and a configuration's overrides."""

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

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


def find(table: PriceTable, overrides: Mapping[str, Any], provider: str, model: str, at: float) -> Prices:
    """Return the prices that hold for a request of this name at a unix time; overrides win."""
    override = {name.lower(): each for name, each in overrides.items()}.get(f"{provider}/{model}".lower())
    if override is not None:
        sheet = {} if override == "free" else override
        lines = tuple(Line(name.removesuffix("_usd_per_million"), float(usd)) for name, usd in sheet.items())
        return Prices(provider, model, "override", True, lines)
    found = table.find(provider, model)
    if not isinstance(found, Model):
        return Prices(provider, model, found, False, ())
    tiers = sorted({str(each["tier"]) for each in found.variants} - {"default", "standard"})
    sheet = found.sheet(found.select(at))
    tokens = (line for unit, price in sheet.items() if unit.endswith(_TOKENS) for line in _lines(unit, price))
    return Prices(found.provider, found.id, table.source, True, tuple(tokens), tuple(tiers))


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
