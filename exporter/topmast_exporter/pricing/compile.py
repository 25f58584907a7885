"""`python -m topmast_exporter.pricing.compile OUT`: genai-prices as one file of integers.

A short process of its own: the library costs 0.3 s and 30 MB, and no price is worth that in a resident exporter.
The file is JSON, one object a line: a header, then one line a provider, so that a reader parses only the providers it
meets. Prices are pico-USD (10^-12) per unit, exact: an integer, or [numerator, denominator] for the few which are not
whole (their list is the header's `fractions`).
"""

import json
import os
import sys
from collections.abc import Iterator
from datetime import UTC, date, datetime, time
from decimal import Decimal
from fractions import Fraction
from importlib.metadata import version
from pathlib import Path
from typing import Any

FORMAT = 1
PICO = 10**12
SOURCE = "genai-prices"

# genai-prices' request context, one name -> our tier. `route` and `search_type` are no part of a usage event.
TIER_CONTEXTS = {"processing": ("batch",), "service_tier": None, "speed": ("fast",)}


def main(argv: list[str]) -> int:
    """Write the table; return the exit code."""
    if len(argv) != 1:
        sys.stderr.write("usage: python -m topmast_exporter.pricing.compile OUT\n")
        return 2
    out = Path(argv[0])
    temporary = out.with_name(f".{out.name}.{os.getpid()}")
    temporary.write_text(
        "".join(f"{json.dumps(line, separators=(',', ':'))}\n" for line in table()), encoding="utf-8"
    )
    temporary.replace(out)
    return 0


def table() -> Iterator[dict[str, Any]]:
    """Yield the header and the providers of the installed genai-prices."""
    from genai_prices.data import providers
    from genai_prices.units import _get_registry

    units = {unit.price_key: unit for unit in _get_registry().units.values()}
    compiler = _Compiler(units)
    lines = [compiler.provider(provider) for provider in providers]
    used = {units[key].usage_key: dict(units[key].dimensions) for key in sorted(compiler.price_keys)}
    yield {
        "format": FORMAT,
        "source": f"{SOURCE} {version('genai-prices')}",
        "timestamp": max(compiler.dates, default=0),
        "models": sum(len(line["models"]) for line in lines),
        "units": used,
        "fractions": compiler.fractions,
        "providers": [
            {
                "id": provider.id,
                "match": _clause(provider.provider_match),
                "model_match": _clause(provider.model_match),
                "fallback": provider.fallback_model_providers or [],
            }
            for provider in providers
        ],
    }
    yield from lines


class _Compiler:
    """Turns the library's objects into plain JSON, and remembers what the header says of them."""

    def __init__(self, units: dict[str, Any]) -> None:
        self._units = units
        self._today = datetime.now(tz=UTC).date()
        self.price_keys: set[str] = set()
        self.dates: set[int] = set()
        """Start dates up to today: the newest is the age of what the table knows."""
        self.fractions: list[str] = []

    def provider(self, provider: Any) -> dict[str, Any]:
        return {"provider": provider.id, "models": [self._model(provider.id, model) for model in provider.models]}

    def _model(self, provider: str, model: Any) -> dict[str, Any]:
        where = f"{provider}/{model.id}"
        listed = model.prices if isinstance(model.prices, list) else None
        prices = (
            [{"sheet": self._sheet(where, model.prices)}]
            if listed is None
            else [{**self._when(one.constraint), "sheet": self._sheet(where, one.prices)} for one in listed]
        )
        variants = []
        for variant in model.price_variants or ():
            tier = _tier(variant.when)
            if tier is not None:
                sheet = self._sheet(where, variant.prices)
                variants.append({"tier": tier, **self._when(variant.constraint), "sheet": sheet})
        compiled = {"id": model.id, "match": _clause(model.match), "prices": prices}
        return {**compiled, "variants": variants} if variants else compiled

    def _sheet(self, where: str, prices: Any) -> dict[str, Any]:
        sheet = {}
        for key, price in prices.__dict__.items():
            if price is not None:
                self.price_keys.add(key)
                sheet[self._units[key].usage_key] = self._price(f"{where}: {key}", price, self._units[key].per)
        return sheet

    def _price(self, where: str, price: Any, per: int) -> Any:
        if isinstance(price, Decimal):
            return self._integer(where, price, per)
        steps = [[tier.start, self._integer(where, tier.price, per)] for tier in price.tiers]
        return {"base": self._integer(where, price.base, per), "steps": steps}

    def _integer(self, where: str, price: Decimal, per: int) -> int | list[int]:
        exact = Fraction(price) * PICO / per
        if exact.denominator == 1:
            return exact.numerator
        self.fractions.append(where)
        return [exact.numerator, exact.denominator]

    def _when(self, constraint: Any) -> dict[str, Any]:
        if constraint is None:
            return {}
        start_date = getattr(constraint, "start_date", None)
        if isinstance(start_date, date):
            at = int(datetime.combine(start_date, time(), tzinfo=UTC).timestamp())
            if start_date <= self._today:
                self.dates.add(at)
            return {"from": at}
        return {"daily": [_second_of_day(constraint.start_time), _second_of_day(constraint.end_time)]}


def _tier(when: dict[str, str]) -> str | None:
    if len(when) != 1:
        return None
    ((key, value),) = when.items()
    if key not in TIER_CONTEXTS:
        return None
    allowed = TIER_CONTEXTS[key]
    return value if allowed is None or value in allowed else None


def _second_of_day(at: time) -> int:
    if at.tzinfo is not None:
        at = datetime.combine(date(1970, 1, 1), at).astimezone(UTC).timetz()
    return at.hour * 3600 + at.minute * 60 + at.second


def _clause(clause: Any) -> Any:
    """Return a match clause as [operator, operand]; None stays None."""
    if clause is None:
        return None
    ((name, operand),) = vars(clause).items()
    operator = name.rstrip("_")
    if operator in ("or", "and"):
        return [operator, [_clause(one) for one in operand]]
    # regexes see the reference as it comes, which the lookup has lowered; the others compare without case
    return [operator, operand if operator == "regex" else operand.lower()]


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
