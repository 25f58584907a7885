"""Prices of the user's own, in place of the table's or a discount off them: which holds for a model, and how long.

openai/our-finetune: {input_usd_per_million: 3, output_usd_per_million: 12}
vllm/llama-3.3-70b: free
openai/gpt-4.1:                                    # one after the other; between them the list price counts
  - {discount_percent: 20, since: 2026-11-01, until: 2027-05-01}
  - {input_usd_per_million: 1.5, output_usd_per_million: 6, since: 2027-06-01T12:00}
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise
from typing import Any, NamedTuple

from topmast_exporter.pricing.table import Sheet

FREE = "free"
DISCOUNT = "discount_percent"
MAX_PERIODS = 100

_PICO_A_TOKEN = 10**6
"""Pico-USD for a token, of 1 USD for a million."""

# Option of an override -> the table's usage key and its dimensions.
_UNITS: Mapping[str, tuple[str, Mapping[str, str]]] = {
    "input_usd_per_million": ("input_tokens", {"family": "tokens", "direction": "input"}),
    "output_usd_per_million": ("output_tokens", {"family": "tokens", "direction": "output"}),
    "cache_read_usd_per_million": (
        "cache_read_tokens",
        {"family": "tokens", "direction": "input", "token_type": "cache_read"},
    ),
    "cache_write_usd_per_million": (
        "cache_write_tokens",
        {"family": "tokens", "direction": "input", "token_type": "cache_write"},
    ),
}
UNITS: Mapping[str, Mapping[str, str]] = dict(_UNITS.values())
_LEAST = "input_usd_per_million"

_PERIOD: Mapping[str, Any] = {
    "additionalProperties": False,
    "properties": {
        **{name: {"type": "number", "minimum": 0, "maximum": 1e6} for name in _UNITS},
        DISCOUNT: {"type": "number", "exclusiveMinimum": 0, "maximum": 100},
        "since": {"type": "string", "maxLength": 40},
        "until": {"type": "string", "maxLength": 40},
    },
}
# Each rule speaks of one type alone: what is refused is told by the rule, not as `none of these shapes`.
SCHEMA: Mapping[str, Any] = {
    "type": ["string", "object", "array"],
    "pattern": f"^{FREE}$",
    **_PERIOD,
    "items": {"type": "object", **_PERIOD},
    "minItems": 1,
    "maxItems": MAX_PERIODS,
}


@dataclass(
    frozen=True, slots=True, eq=False
)  # compared by identity: a place in the configuration, and a key of caches
class Period:
    """A price of the user's own, and the unix times [since, until) in which it holds."""

    said: Mapping[str, Any]
    """As the configuration has it; nothing when it is free."""
    since: float = -math.inf
    until: float = math.inf

    @property
    def free(self) -> bool:
        return not self.said

    @property
    def off_list(self) -> bool:
        """Whether it is a discount: the table's prices, less so much."""
        return DISCOUNT in self.said

    @property
    def sheet(self) -> Sheet:
        """The prices that stand in place of the table's, by usage key."""
        return {_UNITS[name][0]: _json(_usd(usd)) for name, usd in self.said.items() if name in _UNITS}

    def taken_off(self, listed: Sheet) -> Sheet:
        """Return the table's prices less the discount, exactly."""
        left = 1 - Fraction(Decimal(str(self.said[DISCOUNT]))) / 100
        return {unit: _scaled(price, left) for unit, price in listed.items()}


class Held(NamedTuple):
    """What holds for a model at a time, and in which unix times [since, until) around it."""

    period: Period | None
    """None: the table's price."""
    since: float = -math.inf
    until: float = math.inf


_LISTED = Held(None)


class Overrides:
    """The overrides of a configuration that was found right."""

    def __init__(self, section: Mapping[str, Any]) -> None:
        self._periods = {name.lower(): periods(override) for name, override in section.items()}

    def at(self, provider: str, model: str, at: float) -> Held:
        """Return what holds for this name at a unix time."""
        if not self._periods:
            return _LISTED
        since = -math.inf
        for period in self.of(provider, model):
            if at < period.since:
                return Held(None, since, period.since)
            if at < period.until:
                return Held(period, period.since, period.until)
            since = period.until
        return Held(None, since)

    def of(self, provider: str, model: str) -> Sequence[Period]:
        """Return all periods of this name, the first one first."""
        return self._periods.get(f"{provider}/{model}".lower(), ())

    def replaces(self, provider: str, model: str, at: float) -> bool:
        """Return whether the table's price means nothing for this name at a unix time."""
        period = self.at(provider, model, at).period
        return period is not None and not period.off_list


def periods(override: Any) -> Sequence[Period]:
    """Return the periods of one model's override, the first one first."""
    if override == FREE:
        return (Period({}),)
    found = [
        Period(
            {name: value for name, value in one.items() if name not in ("since", "until")},
            moment(one["since"]) if "since" in one else -math.inf,
            moment(one["until"]) if "until" in one else math.inf,
        )
        for one in _each(override)
    ]
    return tuple(sorted(found, key=lambda period: period.since))


def moment(text: str) -> float:
    """Return the unix time of an ISO date or time, UTC unless it says otherwise. Raises ValueError."""
    when = datetime.fromisoformat(text)
    if not 1970 <= when.year < 9999:
        raise ValueError(text)
    return (when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp()


def problems(section: Mapping[str, Any], where: str) -> Iterator[str]:
    """Yield what no schema says is wrong with overrides, `$.path: what, and the remedy`."""
    spelled: dict[str, str] = {}
    for name, override in section.items():
        place = f"{where}.{name}"
        other = spelled.setdefault(name.lower(), name)
        if other != name:
            yield f"{place}: is {other!r} again (upper and lower case are one): leave one of them"
        if override == FREE:
            continue
        listed = isinstance(override, list)
        places = [f"{place}[{number}]" if listed else place for number in range(len(_each(override)))]
        wrong = [problem for at, one in zip(places, _each(override), strict=True) for problem in _problems(one, at)]
        yield from wrong or _overlaps(_each(override), places)


def _problems(one: Mapping[str, Any], place: str) -> Iterator[str]:
    amounts = [name for name in _UNITS if name in one]
    for name in (*amounts, DISCOUNT):
        if not math.isfinite(one.get(name, 0)):
            yield f"{place}.{name}: is no number"
    if DISCOUNT in one and amounts:
        yield f"{place}: a discount is taken off the list price: say {DISCOUNT!r} or prices, not both"
    elif DISCOUNT not in one and _LEAST not in one:
        yield f"{place}: {_LEAST!r} is missing (or {DISCOUNT!r}, which is taken off the list price)"
    times: dict[str, float] = {}
    for name in ("since", "until"):
        try:
            times |= {name: moment(one[name])} if name in one else {}
        except ValueError:
            yield f"{place}.{name}: is no date: say 2026-11-01 or 2026-11-01T12:00 (UTC)"
    if len(times) == 2 and times["until"] <= times["since"]:
        yield f"{place}: its `until` ({one['until']}) is not after its `since` ({one['since']})"


def _overlaps(each: Sequence[Mapping[str, Any]], places: Sequence[str]) -> Iterator[str]:
    spans = sorted(
        (moment(one["since"]) if "since" in one else -math.inf, place, one)
        for one, place in zip(each, places, strict=True)
    )
    for (_, first, one), (since, second, other) in pairwise(spans):
        if "until" not in one or since < moment(one["until"]):
            begins = f"begins on {other['since']}" if "since" in other else "has no `since`"
            ends = f"ends on {one['until']}" if "until" in one else "has no `until`"
            number = first[first.rindex("[") :]
            yield f"{second}: overlaps {number}: it {begins}, the other {ends}: one price at a time"


def _each(override: Any) -> Sequence[Mapping[str, Any]]:
    return override if isinstance(override, list) else [override]


def _usd(per_million: float) -> Fraction:
    return Fraction(Decimal(str(per_million))) * _PICO_A_TOKEN  # 0.15 means 0.15, not its nearest binary float


def _scaled(price: Any, by: Fraction) -> Any:
    if isinstance(price, Mapping):
        steps = [[start, _scaled(step, by)] for start, step in price["steps"]]
        return {"base": _scaled(price["base"], by), "steps": steps}
    return _json(by * (Fraction(*price) if isinstance(price, list) else Fraction(price)))


def _json(exact: Fraction) -> int | list[int]:
    """Return a price as the table writes it."""
    return exact.numerator if exact.denominator == 1 else [exact.numerator, exact.denominator]
