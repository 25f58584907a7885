"""A batch of usage events on its way into the ledger: priced, and added up by label set, before anything is stored.

Most events of a batch share their labels with others. So each is added to the group of its labels, in plain integers,
and only the groups are turned into counters, histograms and spend.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from topmast_exporter.ledger_corrections import price_of
from topmast_exporter.ledger_dimensions import Admission
from topmast_exporter.ledger_series import NANO, Delta, Labels, Totals
from topmast_exporter.ledger_store import QUARTER_SECONDS, Row, Spend, SpendKey, row
from topmast_exporter.pricing.price import COMPONENTS, PRICED, UNPRICED, Price, Pricer
from topmast_exporter.pricing.tokens import FIELDS
from topmast_exporter.usage_event import UsageEvent

# The caller's own reckoning may differ by this much before it is counted as a mismatch.
MISMATCH_RATIO = 0.01

DETAILS = ("cache_read", "cache_write_5m", "cache_write_1h", "reasoning", "audio_in", "audio_out", "image_in")
RETRY_REASONS = ("error", "timeout", "rate_limited", "connection")

_NOTHING = (0,) * len(FIELDS)
_DETAIL_PLACES = tuple((kind, FIELDS.index(kind)) for kind in DETAILS)


@dataclass(slots=True)
class _Group:
    """What the events of one label set add up to."""

    model: Labels
    by_feature: Labels
    outcome: str
    booked: tuple[str, str, str]
    """(provider, model, feature) as they were admitted: a stranger's million names must not become a million rows."""
    requests: int = 0
    tokens: list[tuple[int, ...]] = field(default_factory=list)
    parts: list[tuple[int, ...]] = field(default_factory=list)
    observed: dict[str, list[int]] = field(
        default_factory=lambda: {
            "llm_request_cost_usd": [],
            "llm_request_duration_seconds": [],
            "llm_time_to_first_token_seconds": [],
            "llm_time_per_output_token_seconds": [],
        }
    )
    rare: dict[tuple[str, Labels], int] = field(default_factory=dict)
    """Counters that few events move."""

    def count(self, event: UsageEvent, price: Price, counts: tuple[int, ...]) -> None:
        """Add an event that moves the counters."""
        self.requests += 1
        if event.attempt > 1:
            reason = event.retry_reason if event.retry_reason in RETRY_REASONS else "other"
            self._rare("llm_retries_total", (*self.model, reason))
        if self.outcome == "cached":
            return
        status = price.status
        if event.tokens is not None:
            self.tokens.append(counts)
        elif status == UNPRICED:
            self._rare("llm_usage_missing_total", (*self.model, str(event.stream).lower()))
        if status == UNPRICED:
            self._rare("llm_unpriced_requests_total", (*self.model, price.reason))
        else:
            self.parts.append(price.parts)
            if status == PRICED:
                self.observed["llm_request_cost_usd"].append(sum(price.parts))
            if event.caller_cost is not None and _differs(event.caller_cost, price.total):
                self._rare("llm_cost_mismatch_total", self.model)
        if self.outcome == "ok":
            self._observe(event, counts[1])

    def _observe(self, event: UsageEvent, output: int) -> None:
        duration, first = event.duration_seconds, event.time_to_first_token_seconds
        if duration is not None:
            self.observed["llm_request_duration_seconds"].append(round(duration * NANO))
        if first is None:
            return
        self.observed["llm_time_to_first_token_seconds"].append(round(first * NANO))
        if duration is not None and output > 1 and duration >= first:
            each = (duration - first) / (output - 1)
            self.observed["llm_time_per_output_token_seconds"].append(round(each * NANO))

    def _rare(self, family: str, labels: Labels) -> None:
        self.rare[family, labels] = self.rare.get((family, labels), 0) + 1

    def into(self, totals: Totals, delta: Delta) -> None:
        """Add the sums to what the batch adds to the totals."""
        if self.requests:
            totals.count(delta, "llm_requests_total", (*self.by_feature, self.outcome), self.requests)
        if self.tokens:
            sums = [sum(column) for column in zip(*self.tokens, strict=True)]
            totals.count(delta, "llm_tokens_total", (*self.by_feature, "input"), sums[0])
            totals.count(delta, "llm_tokens_total", (*self.by_feature, "output"), sums[1])
            for kind, place in _DETAIL_PLACES:
                if sums[place]:
                    totals.count(delta, "llm_token_detail_total", (*self.model, kind), sums[place])
        if self.parts:
            for component, column in zip(COMPONENTS, zip(*self.parts, strict=True), strict=True):
                totals.count(delta, "llm_cost_usd_total", (*self.by_feature, component), sum(column))
        for family, amounts in self.observed.items():
            if amounts:
                totals.observe(delta, family, self.model, amounts)
        for (family, labels), amount in self.rare.items():
            totals.count(delta, family, labels, amount)


class Batch:
    """Collects events whose ids are new. `finish` turns them into what is stored and shown."""

    def __init__(self, pricer: Pricer, totals: Totals, dimensions: Admission) -> None:
        self.delta = Delta()
        self.rows: list[Row] = []
        self.costs: list[tuple[float, str, int]] = []
        """(time, feature, pico-USD) of each event, for the budgets."""
        self._pricer, self._totals, self._dimensions = pricer, totals, dimensions
        self._groups: dict[tuple[str, str, str, str], _Group] = {}
        self._spend: dict[SpendKey, list[tuple[int, ...]]] = {}

    def add(self, event: UsageEvent, counted: bool) -> None:
        """Price an event and add it: to the counters only if it is `counted`, to everything else in any case."""
        price = price_of(self._pricer, event)
        where = self._dimensions.of(event)
        tokens, parts, unpriced = event.tokens, price.parts, price.status == UNPRICED
        counts = _NOTHING if tokens is None else tokens.astuple()
        self.rows.append(row(event, price, counts, where))
        labels = (event.provider, event.model, event.feature, event.outcome)
        group = self._groups.get(labels) or self._group(labels)
        key: SpendKey = (int(event.at // QUARTER_SECONDS), *group.booked, *where)
        used = _NOTHING if event.outcome == "cached" else counts
        amounts = (1, int(unpriced), *used, *parts)
        standing = self._spend.get(key)
        if standing is None:
            self._spend[key] = [amounts]
        else:
            standing.append(amounts)
        self.costs.append((event.at, group.booked[2], sum(parts)))
        if counted:
            group.count(event, price, counts)

    def duplicate(self, event: UsageEvent, source: str) -> None:
        """Count an event that was known already."""
        labels = (event.provider, event.model, source)
        self._totals.count(self.delta, "llm_duplicate_events_total", labels)

    def finish(self) -> Mapping[SpendKey, Spend]:
        """Complete `delta`; return the spend."""
        for group in self._groups.values():
            group.into(self._totals, self.delta)
        return {
            key: Spend([sum(column) for column in zip(*amounts, strict=True)]) for key, amounts in self._spend.items()
        }

    def _group(self, labels: tuple[str, str, str, str]) -> _Group:
        provider, model, feature, outcome = labels
        admitted = self._totals.admit(self.delta, "llm_requests_total", labels)[1]
        booked = (admitted[0], admitted[1], admitted[2])
        group = self._groups[labels] = _Group((provider, model), (provider, model, feature), outcome, booked)
        return group


def _differs(theirs: int, ours: int) -> bool:
    return abs(theirs - ours) > MISMATCH_RATIO * max(theirs, ours)
