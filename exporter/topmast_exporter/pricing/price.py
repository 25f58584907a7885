"""What a request cost: integer pico-USD, split into components that add up exactly; or why nobody knows.

An unknown price is not a zero price: it has a reason, is counted, and adds to no sum.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

from topmast_exporter.pricing import formula
from topmast_exporter.pricing.formula import Charge
from topmast_exporter.pricing.overrides import UNITS, Overrides, Period
from topmast_exporter.pricing.table import MAX_REMEMBERED, Model, PriceTable, Selection, Sheet
from topmast_exporter.pricing.tokens import FIELDS, Tokens

COMPONENTS = ("input", "output", "cache_read", "cache_write", "other")
PICO = 10**12

PRICED, FREE, UNPRICED = "priced", "free", "unpriced"

# Why a request has no price. Each becomes a label value.
REASONS = (
    "no_price_table",
    "unknown_provider",
    "unknown_model",
    "no_price",
    "unknown_tier",
    "unit_not_measured",
    "ambiguous_usage",
    "inconsistent_usage",
    "usage_missing",
    "cancelled",
)

# What providers answer when nothing special was bought.
STANDARD_TIERS = frozenset({"", "default", "standard", "standard_only", "auto"})

# The table's usage keys -> the fields of Tokens that they count. All others (pages, searches, seconds) are not in a
# usage event.
_MEASURED: Mapping[str, tuple[str, ...]] = {
    "input_tokens": ("input",),
    "output_tokens": ("output",),
    "cache_read_tokens": ("cache_read",),
    "cache_write_tokens": ("cache_write_5m", "cache_write_1h"),
    "cache_write_5m_tokens": ("cache_write_5m",),
    "cache_write_1h_tokens": ("cache_write_1h",),
    "output_reasoning_tokens": ("reasoning",),
    "input_audio_tokens": ("audio_in",),
    "output_audio_tokens": ("audio_out",),
    "input_image_tokens": ("image_in",),
}
REQUESTS = "requests"


class Price(NamedTuple):
    """The price of one request."""

    status: str
    """priced, free (known to cost nothing) or unpriced."""
    parts: tuple[int, int, int, int, int] = (0, 0, 0, 0, 0)
    """pico-USD, in the order of COMPONENTS; all 0 when unpriced."""
    reason: str = ""
    """Why it is unpriced: one of REASONS."""

    @property
    def total(self) -> int:
        return sum(self.parts)


NO_PRICE = Price(UNPRICED)


@dataclass(frozen=True, slots=True)
class _Sheet:
    """A price sheet, ready to count with."""

    charges: tuple[Charge, ...]
    overlaps: tuple[tuple[int, int], ...]
    """Pairs of fields whose overlap it would price, which a usage event does not tell."""
    empty: bool
    price: Callable[[Tokens], Price]
    """Of a request without such an overlap."""


class Pricer:
    """Prices requests by a table and the configuration's overrides; without a table, only by these."""

    def __init__(self, table: PriceTable | None, overrides: Mapping[str, Any] | None = None) -> None:
        self.table = table
        self._overrides = Overrides(overrides or {})
        self._compiled: dict[tuple[Model, Selection, Period | None], _Sheet] = {}
        self._known: dict[tuple[str, str, str, bool], Known] = {}

    def price(
        self, provider: str, model: str, tokens: Tokens, at: float, tier: str = "", batch: bool = False
    ) -> Price:
        """Return the price of a request made at a unix time."""
        known = self.known(provider, model, tier, batch, at)
        return known.answer if known.sheet is None else _apply(known.sheet, tokens)

    def known(self, provider: str, model: str, tier: str, batch: bool, at: float) -> "Known":
        """Return what a name and a tier mean at a unix time, and how long they do."""
        key = (provider, model, tier, batch)
        known = self._known.get(key)
        if known is None or not known.since <= at < known.until:
            known = self._lookup(provider, model, at, tier, batch)
            if len(self._known) >= MAX_REMEMBERED:
                self._known.clear()
            self._known[key] = known
        return known

    def _lookup(self, provider: str, model: str, at: float, tier: str, batch: bool) -> "Known":
        own, since, until = self._overrides.at(provider, model, at)
        tiers = frozenset(_tiers(tier, batch))
        if own is None or own.off_list:
            return self._listed(provider, model, at, tiers, own, since, until)
        if own.free:
            return Known(None, Price(FREE), since, until)
        if tiers:
            return Known(None, Price(UNPRICED, reason="unknown_tier"), since, until)
        return Known(compile_sheet(own.sheet, UNITS), since=since, until=until)

    def _listed(
        self,
        provider: str,
        model: str,
        at: float,
        tiers: frozenset[str],
        discount: Period | None,
        since: float,
        until: float,
    ) -> "Known":
        """Return the table's price, less the discount, which is known to hold in [since, until)."""
        if self.table is None:
            return Known(None, Price(UNPRICED, reason="no_price_table"), since, until)
        found = self.table.find(provider, model)
        if isinstance(found, str):
            return Known(None, Price(UNPRICED, reason=found), since, until)
        first, last = found.steady(at)
        since, until = max(since, first), min(until, last)
        selection = found.select(at, tiers)
        if selection.tiers != tiers:
            # billing the standard rate for a tier nobody knows would be a guess, and often a double price
            return Known(None, Price(UNPRICED, reason="unknown_tier"), since, until)
        key = (found, selection, discount)
        sheet = self._compiled.get(key)
        if sheet is None:
            if len(self._compiled) >= MAX_REMEMBERED:
                self._compiled.clear()
            prices = found.sheet(selection)
            prices = prices if discount is None else discount.taken_off(prices)
            sheet = self._compiled[key] = compile_sheet(prices, self.table.units)
        return Known(sheet, since=since, until=until)


@dataclass(frozen=True, slots=True)
class Known:
    """What a name, a tier and a time mean: a sheet, or the answer to every usage; as long as that holds."""

    sheet: _Sheet | None = None
    answer: Price = NO_PRICE
    since: float = -math.inf
    until: float = math.inf


def _tiers(tier: str, batch: bool) -> list[str]:
    named = tier.lower().strip()
    return [*(["batch"] if batch else []), *([named] if named not in STANDARD_TIERS else [])]


def compile_sheet(sheet: Sheet, units: Mapping[str, Mapping[str, str]]) -> _Sheet:
    """Return a price sheet that is ready to count with."""
    charges, overlaps = charges_of(sheet, units)
    return _Sheet(charges, overlaps, not sheet, _function(charges))


def charges_of(
    sheet: Sheet, units: Mapping[str, Mapping[str, str]]
) -> tuple[tuple[Charge, ...], tuple[tuple[int, int], ...]]:
    """Return the charges of a price sheet, and the pairs of fields whose overlap it would price.

    A unit counts what its more specific units, where the sheet prices them, leave of it: cache reads are taken out of
    the input only if they have a price of their own.
    """
    leaves: dict[str, dict[int, int]] = {}
    charges: list[Charge] = []
    overlaps: set[tuple[int, int]] = set()
    ordered = sorted(sheet, key=lambda unit: (-len(units[unit]), unit))
    for unit in ordered:
        constant = int(unit == REQUESTS)
        if unit in _MEASURED:
            leaf = {FIELDS.index(field): 1 for field in _MEASURED[unit]}
            for other in leaves:
                if other != unit and units[unit].items() <= units[other].items():
                    for field, factor in leaves[other].items():
                        leaf[field] = leaf.get(field, 0) - factor
            leaves[unit] = leaf
        elif constant:
            leaf = {}
        else:
            overlaps |= _overlap(unit, sheet, units)
            continue
        price, steps = _prices(sheet[unit])
        terms = tuple((field, factor) for field, factor in sorted(leaf.items()) if factor)
        charges.append(Charge(COMPONENTS.index(_component(units[unit])), terms, constant, price, steps))
    return tuple(charges), tuple(sorted(overlaps))


def _overlap(joined: str, sheet: Sheet, units: Mapping[str, Mapping[str, str]]) -> set[tuple[int, int]]:
    """Return the measured fields of which `joined` (e.g. cached audio) is the overlap."""
    parents = [
        FIELDS.index(_MEASURED[unit][0])
        for unit in sheet
        if unit in _MEASURED and len(units[unit]) == 3 and units[unit].items() < units[joined].items()
    ]
    return {(first, second) for first in parents for second in parents if first < second}


def _component(dimensions: Mapping[str, str]) -> str:
    token_type = dimensions.get("token_type", "")
    if token_type in ("cache_read", "cache_write"):
        return token_type
    if dimensions.get("family") == "tokens" and dimensions.get("direction") in ("input", "output"):
        return dimensions["direction"]
    return "other"


@lru_cache(MAX_REMEMBERED)
def _function(charges: tuple[Charge, ...]) -> Callable[[Tokens], Price]:
    """Return the function of a sheet, one for all that charge the same: of numbers and of names of ours."""
    names: dict[str, Any] = {
        "Price": Price,
        "made": tuple.__new__,  # as Price(…) makes it, in a third of the time
        "half_even": half_even,
        "PRICED": PRICED,
        "FREE": FREE,
        "NOTHING": NO_PRICE.parts,
        "INCONSISTENT": Price(UNPRICED, reason="inconsistent_usage"),
        "NOT_MEASURED": Price(UNPRICED, reason="unit_not_measured"),
    }
    exec(formula.source(charges, len(COMPONENTS)), names)  # noqa: S102 its source is of numbers and of names of ours
    function: Callable[[Tokens], Price] = names["price"]
    return function


def _prices(price: Any) -> tuple[tuple[int, int], tuple[tuple[int, tuple[int, int]], ...]]:
    if isinstance(price, dict):
        steps = tuple((int(start), _ratio(step)) for start, step in reversed(price["steps"]))
        return _ratio(price["base"]), steps
    return _ratio(price), ()


def _ratio(price: Any) -> tuple[int, int]:
    return (int(price), 1) if isinstance(price, int) else (int(price[0]), int(price[1]))


def _apply(sheet: _Sheet, tokens: Tokens) -> Price:
    if sheet.empty:
        return Price(UNPRICED, reason="no_price")
    if sheet.overlaps and any(tokens[first] and tokens[second] for first, second in sheet.overlaps):
        return Price(UNPRICED, reason="ambiguous_usage")
    return sheet.price(tokens)


def half_even(numerator: int, denominator: int) -> int:
    """Return the quotient rounded to the nearest integer, a tie to the even one."""
    quotient, rest = divmod(numerator, denominator)
    twice = 2 * rest
    return quotient + (twice > denominator or (twice == denominator and quotient & 1))
