"""How far a second price table is from the one that calls are priced with: a wrong price shows before the invoice.

The second table is LiteLLM's list, compiled and kept beside this module (MIT, see litellm.LICENSE), or a file of the
user's own: LiteLLM's JSON of a newer day, or a compiled table of before. Which of two is right no table can say;
that they differ, both can.
"""

import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any

from topmast_exporter.pricing.overrides import Overrides
from topmast_exporter.pricing.refresh import COMPILE_SECONDS
from topmast_exporter.pricing.table import Model, PriceTable, PriceTableError, Sheet
from topmast_exporter.registry import Registry

BUNDLED = Path(__file__).with_name("litellm.ndjson")
FILE = "second-prices.ndjson"
# What both tables have words for. Cache writes are not compared by lifetime: the second table has one price for them.
COMPARED = ("input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens")
REFRESH_SECONDS = 15.0

Names = Iterable[tuple[str, str]]
"""(provider, model), as calls name them."""


def load(folder: Path, second: str = "") -> PriceTable:
    """Return the second table: the bundled one, or that of a file. Raises PriceTableError."""
    if not second:
        return PriceTable.load(BUNDLED)
    path = Path(second)
    try:
        with path.open(encoding="utf-8") as file:
            first = file.readline(2**16)
    except (OSError, UnicodeDecodeError) as error:
        raise PriceTableError(f"{path}: cannot be read: {error}") from error
    return PriceTable.load(path) if _is_table(first) else _compiled(path, folder / FILE)


def _is_table(first_line: str) -> bool:
    try:
        return "format" in json.loads(first_line)
    except (ValueError, TypeError):
        return False


def _compiled(source: Path, out: Path) -> PriceTable:
    """Return LiteLLM's JSON as a table; a short process parses it, a resident one should not hold its megabytes."""
    argv = [sys.executable, "-m", "topmast_exporter.pricing.litellm", str(source), str(out)]
    try:
        done = subprocess.run(argv, capture_output=True, text=True, timeout=COMPILE_SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise PriceTableError(f"{source}: cannot be compiled: {error}") from error
    if done.returncode != 0:
        raise PriceTableError((done.stderr.strip().splitlines() or [f"{source}: cannot be compiled"])[-1][:300])
    return PriceTable.load(out)


def ratio(first: PriceTable, second: PriceTable, provider: str, model: str, at: float) -> float | None:
    """Return the largest difference of a price, relative to the first table's; None when one does not know the model.

    Compared are the units that both have, at every length of context where either changes its price. 0.1 is a
    difference of a tenth; a price where the first table has 0 counts as 1.
    """
    ours = first.find(provider, model)
    if not isinstance(ours, Model):
        return None
    theirs = second.find(ours.provider, model)
    if not isinstance(theirs, Model):
        theirs = second.find(ours.provider, ours.id)
    if not isinstance(theirs, Model):
        return None
    return difference(ours.sheet(ours.select(at)), theirs.sheet(theirs.select(at)))


def difference(ours: Sheet, theirs: Sheet) -> float | None:
    """Return the largest relative difference of two price sheets; None when they have no unit in common."""
    found = None
    for unit in COMPARED:
        if unit not in ours or unit not in theirs:
            continue
        for context in {0, *_starts(ours[unit]), *_starts(theirs[unit])}:
            mine, its = _price(ours[unit], context), _price(theirs[unit], context)
            apart = abs(its - mine) / mine if mine else Fraction(its != 0)
            found = apart if found is None else max(found, apart)
    return None if found is None else float(found)


def _starts(price: Any) -> list[int]:
    # well above it: whether a step begins at 200,000 tokens or after them is no drift
    return [int(start) * 11 // 10 for start, _ in price["steps"]] if isinstance(price, Mapping) else []


def _price(price: Any, context: int) -> Fraction:
    """Return pico-USD a token for a request of so many input tokens."""
    if isinstance(price, Mapping):
        reached = [step for start, step in price["steps"] if context > start]
        price = reached[-1] if reached else price["base"]
    return Fraction(*price) if isinstance(price, list) else Fraction(price)


class Drift:
    """The gauges of the tables: their age, and how far apart they are on the models that were called."""

    def __init__(
        self, names: Callable[[], Names], registry: Registry, clock: Callable[[], float] = time.time
    ) -> None:
        self._names = names
        self._clock = clock
        self._lock = threading.Lock()  # two scrapers ask at once, and a table parses its lines as they are met
        self._first: PriceTable | None = None
        self._second: PriceTable | None = None
        self._overrides = Overrides({})
        self._due = 0.0
        self._values: list[tuple[tuple[str, ...], float]] = []
        registry.gauge(
            "llm_price_table_timestamp_seconds",
            "Date of the newest price in the table that has one, by source.",
            ("source",),
        ).set_source(self.tables)
        registry.gauge(
            "llm_price_drift_ratio",
            "Largest difference of a model's price in the second table, relative to the one in use.",
            ("provider", "model"),
        ).set_source(self.samples)

    def use(self, first: PriceTable | None, overrides: Mapping[str, Any], second: PriceTable | None) -> None:
        """Compare these from now on. A model with a price of the user's own is left out: it is meant so."""
        with self._lock:
            self._first, self._second, self._due = first, second, 0.0
            self._overrides = Overrides(overrides)

    def samples(self) -> list[tuple[tuple[str, ...], float]]:
        """Return ((provider, model), ratio), reckoned anew a few times a minute."""
        with self._lock:
            now = self._clock()
            if not 0 <= self._due - now <= REFRESH_SECONDS:
                self._due = now + REFRESH_SECONDS
                self._values = list(self._reckon(now))
            return self._values

    def tables(self) -> list[tuple[tuple[str, ...], float]]:
        """Return ((source,), unix time) of both tables."""
        listed = [one for one in (self._first, self._second) if one is not None]
        return list({(one.source.split()[0],): one.timestamp for one in reversed(listed)}.items())

    def _reckon(self, now: float) -> Iterator[tuple[tuple[str, ...], float]]:
        if self._first is None or self._second is None:
            return
        for provider, model in sorted(set(self._names())):
            if not self._overrides.replaces(provider, model, now):
                value = ratio(self._first, self._second, provider, model, now)
                if value is not None:
                    yield (provider, model), value
