"""What the ledger exposes: integer totals by label set, shown as the correctly rounded float of exactly that integer.

Sums of floats drift, and after a restart a total that is one digit lower reads as a counter reset, which Prometheus
answers by counting everything once more. Hence integers (pico-USD, nanoseconds) that are divided only when shown.
Label sets are admitted here and stored with the totals, so that `_other` means the same after a restart.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from operator import add

from topmast_exporter import admission
from topmast_exporter.pricing.price import PICO
from topmast_exporter.registry import CounterFamily, HistogramFamily, Registry
from topmast_exporter.series import CounterSeries, HistogramSeries

NANO = 10**9

Labels = tuple[str, ...]
Key = tuple[str, Labels]


@dataclass(frozen=True)
class CounterSpec:
    """A counter family of METRICS.md."""

    documentation: str
    labels: Labels
    scale: int = 1
    """The total is divided by this when it is shown."""


@dataclass(frozen=True)
class HistogramSpec:
    """A histogram family of METRICS.md; `scale` is of the observed integers."""

    documentation: str
    labels: Labels
    bounds: tuple[float, ...]
    scale: int


# Set by whoever calls; everything else is one of a few fixed words.
OPEN = frozenset({"provider", "model", "feature"})

COUNTERS: Mapping[str, CounterSpec] = {
    "llm_requests_total": CounterSpec("Requests to models.", ("provider", "model", "feature", "outcome")),
    "llm_tokens_total": CounterSpec("Tokens, subsets included.", ("provider", "model", "feature", "direction")),
    "llm_token_detail_total": CounterSpec(
        "Tokens that are parts of llm_tokens_total.", ("provider", "model", "kind")
    ),
    "llm_cost_usd_total": CounterSpec(
        "What requests cost, in US dollars; the components add up.",
        ("provider", "model", "feature", "component"),
        PICO,
    ),
    "llm_unpriced_requests_total": CounterSpec(
        "Requests whose price nobody knows; they are in no cost.", ("provider", "model", "reason")
    ),
    "llm_usage_missing_total": CounterSpec(
        "Answered requests for which the provider did not say what they used.", ("provider", "model", "stream")
    ),
    "llm_retries_total": CounterSpec("Requests that repeat an earlier one.", ("provider", "model", "reason")),
    "llm_duplicate_events_total": CounterSpec(
        "Usage events that were known already and counted nothing.", ("provider", "model", "source")
    ),
    "llm_cost_mismatch_total": CounterSpec(
        "Requests whose caller reckons a cost more than 1 % away from ours.", ("provider", "model")
    ),
}

_SECONDS = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0, 30.0, 60.0, 120.0)

HISTOGRAMS: Mapping[str, HistogramSpec] = {
    "llm_request_duration_seconds": HistogramSpec(
        "Duration of successful requests.", ("provider", "model"), _SECONDS, NANO
    ),
    "llm_time_to_first_token_seconds": HistogramSpec(
        "Time to the first token of successful streams.", ("provider", "model"), _SECONDS[:10], NANO
    ),
    "llm_time_per_output_token_seconds": HistogramSpec(
        "Time per output token after the first one, of successful streams.",
        ("provider", "model"),
        (0.001, 0.0025, 0.005, 0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.5),
        NANO,
    ),
    "llm_request_cost_usd": HistogramSpec(
        "Cost of priced requests.",
        ("provider", "model"),
        (1e-5, 1e-4, 5e-4, 1e-3, 5e-3, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0),
        PICO,
    ),
}


def _step(bound: float, scale: int) -> int:
    """Return the largest integer that is in a bucket: shown, it is not above the bound."""
    step = round(bound * scale)
    while step / scale > bound:
        step -= 1
    while (step + 1) / scale <= bound:
        step += 1
    return step


_STEPS: Mapping[str, tuple[int, ...]] = {
    name: tuple(_step(bound, spec.scale) for bound in spec.bounds) for name, spec in HISTOGRAMS.items()
}
# From here on, sorting them and looking for the bounds is cheaper than looking for each one's bucket.
MANY = 24


@dataclass
class Buckets:
    """The state of one histogram: counts by bucket (the last is +Inf; not cumulative) and the scaled sum."""

    counts: list[int]
    sum: int = 0

    def plus(self, other: "Buckets") -> "Buckets":
        return Buckets(list(map(add, self.counts, other.counts)), self.sum + other.sum)


@dataclass
class Delta:
    """What a batch adds. Collected, stored in one transaction, and only then shown."""

    counters: dict[Key, int] = field(default_factory=dict)
    histograms: dict[Key, Buckets] = field(default_factory=dict)
    admitted: list[Key] = field(default_factory=list)
    overflowed: list[str] = field(default_factory=list)


class Totals:
    """The committed totals, and their series in the registry."""

    def __init__(self, registry: Registry, limits: admission.Limits | None = None) -> None:
        self._registry = registry
        self._limits = limits or admission.Limits()
        self._counter_families: dict[str, CounterFamily] = {}
        self._histogram_families: dict[str, HistogramFamily] = {}
        for name, spec in COUNTERS.items():
            open_labels = [label for label in spec.labels if label in OPEN]
            self._counter_families[name] = registry.counter(name, spec.documentation, spec.labels, open_labels)
        for name, shape in HISTOGRAMS.items():
            open_labels = [label for label in shape.labels if label in OPEN]
            family = registry.histogram(name, shape.documentation, shape.labels, shape.bounds, open_labels)
            self._histogram_families[name] = family
        self.counters: dict[Key, int] = {}
        self.histograms: dict[Key, Buckets] = {}
        self._counter_series: dict[Key, CounterSeries] = {}
        self._histogram_series: dict[Key, HistogramSeries] = {}
        self._admitted: set[Key] = set()
        self._overflow_sets: dict[str, int] = {}
        self._family_sizes: dict[str, int] = {}

    def restore(self, counters: Mapping[Key, int], histograms: Mapping[Key, Buckets]) -> None:
        """Take over stored totals as they stand. Called once, before anything is counted."""
        for key, total in counters.items():
            self._remember(key)
            self.counters[key] = total
            self._show_counter(key)
        for key, buckets in histograms.items():
            if len(buckets.counts) == len(HISTOGRAMS[key[0]].bounds) + 1:
                self._remember(key)
                self.histograms[key] = buckets
                self._show_histogram(key)

    def declare(self, provider: str, model: str, feature: str) -> None:
        """Show this model and feature at 0, so that a first increment is visible to increase()."""
        words: Mapping[str, Iterable[str]] = {
            "llm_requests_total": ("ok", "error", "timeout", "rate_limited", "cancelled", "cached"),
            "llm_tokens_total": ("input", "output"),
            "llm_cost_usd_total": ("input", "output", "cache_read", "cache_write", "other"),
        }
        delta = Delta()
        for family, closed in words.items():
            for word in closed:
                key = self.admit(delta, family, (provider, model, feature, word))
                delta.counters.setdefault(key, 0)
        self.commit(delta)

    def admit(self, delta: Delta, family: str, labels: Labels) -> Key:
        """Return the key that counts this label set, its open labels `_other` when the family is full."""
        key = (family, labels)
        if key in self._admitted:  # what is admitted is clean, so this is the way of nearly every event
            return key
        labels = tuple(admission.clean(label) for label in labels)
        key = (family, labels)
        if key in self._admitted:
            return key
        full = (
            self._family_sizes.get(family, 0) >= self._limits.per_family or len(self._admitted) >= self._limits.in_all
        )
        if full:
            names = (COUNTERS.get(family) or HISTOGRAMS[family]).labels
            other = admission.overflow(labels, names, OPEN, self._overflow_sets.get(family, 0))
            delta.overflowed.append(family)
            key = (family, other)
            if key in self._admitted:
                return key
            self._overflow_sets[family] = self._overflow_sets.get(family, 0) + 1
        self._remember(key)
        delta.admitted.append(key)
        return key

    def count(self, delta: Delta, family: str, labels: Labels, amount: int = 1) -> None:
        """Add to a counter of the batch. An amount of 0 declares the series."""
        key = self.admit(delta, family, labels)
        delta.counters[key] = delta.counters.get(key, 0) + amount

    def observe(self, delta: Delta, family: str, labels: Labels, amounts: Sequence[int]) -> None:
        """Add observations, scaled to integers, to the batch."""
        key = self.admit(delta, family, labels)
        spec = HISTOGRAMS[family]
        buckets = delta.histograms.get(key)
        if buckets is None:
            buckets = delta.histograms[key] = Buckets([0] * (len(spec.bounds) + 1))
        counts = buckets.counts
        steps = _STEPS[family]
        if len(amounts) > MANY:
            ordered, below = sorted(amounts), 0
            for place, step in enumerate(steps):
                until = bisect_right(ordered, step, below)
                counts[place] += until - below
                below = until
            counts[-1] += len(ordered) - below
        else:
            for amount in amounts:
                counts[bisect_left(steps, amount)] += 1
        buckets.sum += sum(amounts)

    def after(self, delta: Delta) -> tuple[dict[Key, int], dict[Key, Buckets]]:
        """Return the totals that will stand when `delta` is committed, of the series that it touches."""
        standing_counters = self.counters
        counters = {
            key: standing_counters.get(key, 0) + amount
            for key, amount in delta.counters.items()
            if amount or key not in standing_counters
        }
        histograms = {}
        for key, added in delta.histograms.items():
            standing = self.histograms.get(key)
            histograms[key] = added if standing is None else standing.plus(added)
        return counters, histograms

    def commit(self, delta: Delta, after: tuple[Mapping[Key, int], Mapping[Key, Buckets]] | None = None) -> None:
        """Show the batch: it is stored now. `after` is what after() returned of it, where it was asked."""
        counters, histograms = after or self.after(delta)
        self.counters.update(counters)
        self.histograms.update(histograms)
        for key in counters:
            self._show_counter(key)
        for key in histograms:
            self._show_histogram(key)
        for family in delta.overflowed:
            self._registry.count_overflow(family)

    def forget(self, delta: Delta) -> None:
        """Take back what the batch admitted: it could not be stored."""
        for key in delta.admitted:
            self._admitted.discard(key)
            self._family_sizes[key[0]] -= 1

    def _remember(self, key: Key) -> None:
        self._admitted.add(key)
        self._family_sizes[key[0]] = self._family_sizes.get(key[0], 0) + 1

    def _show_counter(self, key: Key) -> None:
        series = self._counter_series.get(key)
        if series is None:
            series = self._counter_series[key] = self._counter_families[key[0]].labels(*key[1])
        # int / int is correctly rounded, hence it never falls while the integer grows
        series.value = self.counters[key] / COUNTERS[key[0]].scale

    def _show_histogram(self, key: Key) -> None:
        series = self._histogram_series.get(key)
        if series is None:
            series = self._histogram_series[key] = self._histogram_families[key[0]].labels(*key[1])
        buckets = self.histograms[key]
        with series.lock:
            series.counts = list(buckets.counts)
            series.sum = buckets.sum / HISTOGRAMS[key[0]].scale
