"""The compiled price table: which model a name means, and the price sheet that held at a moment.

Lookup rules are genai-prices' own (`data_snapshot.py`, `types.py` of 0.2): first match in the provider's order, one
step of fallback to other providers, compact dates rewritten. A differential test holds them equal.
"""

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from topmast_exporter.errors import ExporterError
from topmast_exporter.pricing.compile import FORMAT

# A stranger may send any name: what was looked up is remembered for this many at most.
MAX_REMEMBERED = 4096
MAX_NAME = 256
SECONDS_A_DAY = 86_400

Sheet = Mapping[str, Any]


class PriceTableError(ExporterError):
    """The price table cannot be used; requests are unpriced until it can."""


@dataclass(frozen=True)
class Selection:
    """Which of a model's price sheets hold for a request."""

    standard: int
    """Index into Model.prices; -1 when there is none."""
    variants: tuple[int, ...]
    """Indices into Model.variants, the first one wins key by key."""
    tiers: frozenset[str]
    """The tiers that some variant has a price for."""


@dataclass(frozen=True, eq=False)  # compared by identity: a model is a place in the table, and a key of caches
class Model:
    """One model of the table."""

    provider: str
    id: str
    prices: Sequence[Mapping[str, Any]]
    variants: Sequence[Mapping[str, Any]]

    def select(self, at: float, tiers: frozenset[str] = frozenset()) -> Selection:
        """Return which prices hold at a unix time for these tiers."""
        standard = 0 if self.prices else -1
        for place in range(len(self.prices) - 1, -1, -1):  # the last one that is active wins
            if _active(self.prices[place], at):
                standard = place
                break
        if not tiers:
            return Selection(standard, (), tiers)
        chosen = tuple(
            place for place, variant in enumerate(self.variants) if variant["tier"] in tiers and _active(variant, at)
        )
        return Selection(standard, chosen, frozenset(self.variants[place]["tier"] for place in chosen))

    def steady(self, at: float) -> tuple[float, float]:
        """Return the unix times [since, until) around `at` in which every selection stays as it is."""
        dated = [*self.prices, *self.variants]
        if any("daily" in one for one in dated):
            return at, at  # by the time of day: asked each time
        starts = [float(one["from"]) for one in dated if "from" in one]
        return (
            max((start for start in starts if start <= at), default=-math.inf),
            min((start for start in starts if start > at), default=math.inf),
        )

    def sheet(self, selection: Selection) -> Sheet:
        """Return the prices of a selection."""
        merged: dict[str, Any] = {}
        for place in selection.variants:
            merged = {**self.variants[place]["sheet"], **merged}
        return {**(self.prices[selection.standard]["sheet"] if selection.standard >= 0 else {}), **merged}


class PriceTable:
    """A table file. Providers are parsed when they are first met."""

    def __init__(self, header: Mapping[str, Any], lines: Mapping[str, str]) -> None:
        self.source: str = header["source"]
        self.timestamp: float = float(header["timestamp"])
        self.model_count: int = int(header["models"])
        self.units: Mapping[str, Mapping[str, str]] = header["units"]
        self._providers: list[Mapping[str, Any]] = header["providers"]
        self._lines = dict(lines)
        self._models: dict[str, list[tuple[Any, Model]]] = {}
        self._found: dict[tuple[str, str], Model | str] = {}

    @classmethod
    def load(cls, path: Path) -> "PriceTable":
        """Return the table of a file. Raises PriceTableError: missing, cut off, of another format."""
        try:
            first, *rest = path.read_text(encoding="utf-8").splitlines()
            header = json.loads(first)
            if header["format"] != FORMAT:
                raise PriceTableError(f"{path}: format {header['format']!r}, this version reads {FORMAT}")
            listed = [str(provider["id"]) for provider in header["providers"]]
            if len(rest) != len(listed):
                raise PriceTableError(f"{path}: {len(listed)} providers are promised, {len(rest)} are there")
            return cls(header, dict(zip(listed, rest, strict=True)))
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise PriceTableError(f"{path}: not a price table: {error!r}") from error

    def find(self, provider: str, model: str) -> Model | str:
        """Return the model that this provider means by this name, else `unknown_provider` or `unknown_model`.

        An empty provider is guessed from the model's name, as far as the table says.
        """
        key = (provider[:MAX_NAME].lower().strip(), model[:MAX_NAME].lower())
        found = self._found.get(key)
        if found is None:
            if len(self._found) >= MAX_REMEMBERED:
                self._found.clear()
            found = self._found[key] = self._find(*key)
        return found

    def _find(self, provider: str, model: str) -> Model | str:
        if provider == "litellm":
            # litellm writes PROVIDER/MODEL; without a prefix that it knows, the name alone decides
            prefix, _, rest = model.partition("/")
            provider, model = (prefix, rest) if rest and self._provider(prefix) else ("", model)
        entry = self._provider(provider) if provider else self._provider_of(model)
        if entry is None:
            return "unknown_provider"
        for name in dict.fromkeys((model, _dashed_date(model))):
            for tried in (entry["id"], *entry["fallback"]):
                for clause, candidate in self._models_of(tried):
                    if matches(clause, name):
                        return candidate if tried == entry["id"] else _without_variants(candidate)
        return "unknown_model"

    def _provider(self, name: str) -> Mapping[str, Any] | None:
        for provider in self._providers:
            if provider["id"] == name:
                return provider
        return next((one for one in self._providers if one["match"] and matches(one["match"], name)), None)

    def _provider_of(self, model: str) -> Mapping[str, Any] | None:
        return next(
            (one for one in self._providers if one["model_match"] and matches(one["model_match"], model)), None
        )

    def _models_of(self, provider: str) -> list[tuple[Any, Model]]:
        models = self._models.get(provider)
        if models is None:
            line = json.loads(self._lines.pop(provider, '{"models": []}'))
            models = self._models[provider] = [
                (one["match"], Model(provider, one["id"], one["prices"], one.get("variants", ())))
                for one in line["models"]
            ]
        return models


def matches(clause: Any, text: str) -> bool:
    """Return whether a compiled match clause holds for a lowered name."""
    operator: str = clause[0]
    operand: Any = clause[1]
    if operator == "equals":
        return bool(text == operand)
    if operator == "starts_with":
        return text.startswith(operand)
    if operator == "ends_with":
        return text.endswith(operand)
    if operator == "contains":
        return str(operand) in text
    if operator == "regex":
        return re.search(operand, text) is not None
    if operator == "or":
        return any(matches(one, text) for one in operand)
    return all(matches(one, text) for one in operand)


def _without_variants(model: Model) -> Model:
    # what Azure takes for a batch is not what OpenAI takes: a borrowed model has its standard price only
    return Model(model.provider, model.id, model.prices, ())


def _active(dated: Mapping[str, Any], at: float) -> bool:
    if "from" in dated:
        return bool(at >= dated["from"])
    if "daily" in dated:
        start, end = (int(second) for second in dated["daily"])
        second = at % SECONDS_A_DAY
        return second >= start or second < end if end < start else start <= second < end
    return True


_COMPACT_DATE = re.compile(r"-(20\d{2})(0[1-9]|1[0-2])(0[1-9]|[12]\d|3[01])(?=-|:|$)")


def _dashed_date(model: str) -> str:
    """Return `gpt-5.2-20251211` as `gpt-5.2-2025-12-11`: routers write dates without dashes."""

    def dashed(found: re.Match[str]) -> str:
        year, month, day = found.groups()
        try:
            date(int(year), int(month), int(day))
        except ValueError:
            return found[0]
        return f"-{year}-{month}-{day}"

    return _COMPACT_DATE.sub(dashed, model)
