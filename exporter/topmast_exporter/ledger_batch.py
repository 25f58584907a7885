"""A batch of usage events on its way into the ledger: priced, and added up by label set, before anything is stored.

Most events of a batch share their words (model, feature, outcome, …) with others. So they are put into cells of the
same words and quarter of an hour, and a cell is worked on as a whole, column by column.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial, reduce
from itertools import repeat
from operator import add, itemgetter, mul
from typing import Any, NamedTuple

from topmast_exporter.ledger_block import PLACES, UNSAID, Builder, Column
from topmast_exporter.ledger_corrections import price_of
from topmast_exporter.ledger_dimensions import Admission, Dimensions
from topmast_exporter.ledger_series import NANO, Delta, Labels, Totals
from topmast_exporter.ledger_spend import QUARTER_SECONDS, Spend, SpendKey
from topmast_exporter.pricing import many
from topmast_exporter.pricing.price import COMPONENTS, FREE, PRICED, UNPRICED, Price, Pricer
from topmast_exporter.pricing.tokens import FIELDS
from topmast_exporter.usage_event import WORDS, UsageEvent

# The caller's own reckoning may differ by this much before it is counted as a mismatch.
MISMATCH_RATIO = 0.01

FEW = 4

DETAILS = ("cache_read", "cache_write_5m", "cache_write_1h", "reasoning", "audio_in", "audio_out", "image_in")
RETRY_REASONS = ("error", "timeout", "rate_limited", "connection")

_DETAIL_PLACES = tuple((kind, FIELDS.index(kind)) for kind in DETAILS)
_NO_TOKENS: tuple[Column, ...] = (None,) * len(FIELDS)
_NO_PARTS: tuple[Column, ...] = (None,) * len(COMPONENTS)

Words = tuple[Any, ...]
"""WORDS of an event, as they were said."""
_words: Callable[[UsageEvent], Words] = itemgetter(WORDS)
_said = itemgetter(*(PLACES[name] for name in ("provider", "model", "feature", "outcome", "tier", "batch")))
_tried = itemgetter(*(PLACES[name] for name in ("stream", "attempt", "retry_reason")))


class _Cell(NamedTuple):
    """Events of the same words and quarter, whose prices have one status and one reason."""

    words: Words
    where: Dimensions
    events: Sequence[UsageEvent]
    status: str
    reason: str
    tokens: Sequence[Column] | None
    """In the order of FIELDS; None: the provider did not say."""
    parts: Sequence[Column]
    """pico-USD, in the order of COMPONENTS."""


class Batch:
    """Collects events whose ids are new. `finish` turns them into what is stored and shown."""

    def __init__(self, pricer: Pricer, totals: Totals, dimensions: Admission, counted_since: float) -> None:
        """`counted_since`: what is older changes everything but the counters."""
        self.delta = Delta()
        self.block = Builder()
        self.spend: dict[SpendKey, Spend] = {}
        self._pricer, self._totals, self._dimensions = pricer, totals, dimensions
        self._counted_since = counted_since
        self._alike: dict[Words, list[UsageEvent]] = {}

    def add(self, events: Sequence[UsageEvent]) -> int:
        """Take events; return how many of them are late. What is done here is done for each one."""
        alike = self._alike
        for event, words in zip(events, map(_words, events)):  # noqa: B905 one length
            try:
                alike[words].append(event)
            except KeyError:
                alike[words] = [event]
        since = self._counted_since
        return sum([event.at < since for event in events])

    def duplicate(self, event: UsageEvent, source: str) -> None:
        """Count an event that was known already."""
        labels = (event.provider, event.model, source)
        self._totals.count(self.delta, "llm_duplicate_events_total", labels)

    def finish(self) -> None:
        """Complete `delta`, `block` and `spend`."""
        for quarter, counted, words, events in self._cells():
            provider, model, feature, outcome, tier, batch = _said(words)
            family, labels = "llm_requests_total", (provider, model, feature, outcome)
            # as they are admitted: a stranger's million names must not become a million rows
            booked = self._totals.admit(self.delta, family, labels)[1]
            where = self._dimensions.of(events[0])
            key: SpendKey = (quarter, booked[0], booked[1], booked[2], *where)
            spend = self.spend.get(key)
            if spend is None:
                spend = self.spend[key] = Spend()
            if counted:
                self._totals.count(self.delta, family, labels, len(events))
                self._retries(words, len(events))
            for cell in _cells(self._pricer, (provider, model, tier, batch), quarter, words, where, events):
                self._book(cell, spend, counted)

    def _cells(self) -> Iterator[tuple[int, bool, Words, list[UsageEvent]]]:
        """Yield (quarter of an hour, whether it is counted, words, events)."""
        since = self._counted_since
        for words, events in self._alike.items():
            times = [event.at for event in events]
            first, last = min(times), max(times)
            quarter = first // QUARTER_SECONDS
            if quarter == last // QUARTER_SECONDS and (first >= since or last < since):  # nearly always
                yield int(quarter), first >= since, words, events
                continue
            cells: dict[tuple[int, bool], list[UsageEvent]] = {}
            for event, at in zip(events, times, strict=True):
                cells.setdefault((int(at // QUARTER_SECONDS), at >= since), []).append(event)
            for (each, counted), some in cells.items():
                yield each, counted, words, some

    def _retries(self, words: Words, count: int) -> None:
        _, attempt, said = _tried(words)
        if attempt > 1:
            reason = said if said in RETRY_REASONS else "other"
            self._totals.count(self.delta, "llm_retries_total", (words[0], words[1], reason), count)

    def _book(self, cell: _Cell, spend: Spend, counted: bool) -> None:
        """Add events to the spend, to the block and to the counters."""
        events, count = cell.events, len(cell.events)
        outcome = cell.words[PLACES["outcome"]]
        sums = [0 if column is None else sum(column) for column in cell.tokens or _NO_TOKENS]
        costs = [0 if column is None else sum(column) for column in cell.parts]
        used = [0] * len(FIELDS) if outcome == "cached" else sums
        spend.add([count, count if cell.status == UNPRICED else 0, *used, *costs])
        totals = _added(cell.parts, count)
        durations = _scaled([event.duration_seconds for event in events])
        firsts = _scaled([event.time_to_first_token_seconds for event in events])
        callers = [event.caller_cost for event in events]
        unsaid = callers.count(None)
        self.block.add(
            (*cell.words[: PLACES["key_alias"]], *cell.where, cell.status, cell.reason),
            [event.id for event in events],
            (
                [int(event.at * 1000) for event in events],
                durations,
                firsts,
                [UNSAID] * count if unsaid == count else [UNSAID if one is None else one for one in callers],
                *(cell.tokens or ([UNSAID] * count, *_NO_TOKENS[1:])),
                *cell.parts,
            ),
            max(totals),
        )
        if not counted or outcome == "cached":
            return
        self._count(cell, sums, costs)
        model = (cell.words[0], cell.words[1])
        if cell.status == PRICED:
            self._totals.observe(self.delta, "llm_request_cost_usd", model, totals)
        if cell.status != UNPRICED and unsaid < count:
            self._compare(model, callers, totals)
        if outcome == "ok":
            self._observe(model, durations, firsts, None if cell.tokens is None else cell.tokens[1])

    def _count(self, cell: _Cell, sums: Sequence[int], costs: Sequence[int]) -> None:
        delta, count, requests = self.delta, self._totals.count, len(cell.events)
        by_feature = cell.words[: PLACES["feature"] + 1]
        model = by_feature[:2]
        if cell.tokens is not None:
            count(delta, "llm_tokens_total", (*by_feature, "input"), sums[0])
            count(delta, "llm_tokens_total", (*by_feature, "output"), sums[1])
            for kind, place in _DETAIL_PLACES:
                if sums[place]:
                    count(delta, "llm_token_detail_total", (*model, kind), sums[place])
        elif cell.status == UNPRICED:
            stream = str(cell.words[PLACES["stream"]]).lower()
            count(delta, "llm_usage_missing_total", (*model, stream), requests)
        if cell.status == UNPRICED:
            count(delta, "llm_unpriced_requests_total", (*model, cell.reason), requests)
            return
        for component, cost in zip(COMPONENTS, costs, strict=True):
            count(delta, "llm_cost_usd_total", (*by_feature, component), cost)

    def _compare(self, model: Labels, callers: Sequence[int | None], totals: Sequence[int]) -> None:
        off = sum(_differs(one, ours) for one, ours in zip(callers, totals, strict=True) if one is not None)
        if off:
            self._totals.count(self.delta, "llm_cost_mismatch_total", model, off)

    def _observe(self, model: Labels, durations: Sequence[int], firsts: Sequence[int], outputs: Column) -> None:
        told = _told(durations), _told(firsts)
        if told[0]:
            self._totals.observe(self.delta, "llm_request_duration_seconds", model, told[0])
        if not told[1]:
            return
        self._totals.observe(self.delta, "llm_time_to_first_token_seconds", model, told[1])
        if outputs is None:
            return
        each = [
            (duration - first) // (output - 1)
            for duration, first, output in zip(durations, firsts, outputs, strict=True)
            if output > 1 and duration >= first >= 0
        ]
        if each:
            self._totals.observe(self.delta, "llm_time_per_output_token_seconds", model, each)


def _cells(
    pricer: Pricer,
    name: tuple[str, str, str, bool],
    quarter: int,
    words: Words,
    where: Dimensions,
    events: Sequence[UsageEvent],
) -> Iterator[_Cell]:
    """Price events of the same words and quarter; yield them by the status and reason of their prices."""
    tokens = [event.tokens for event in events]
    if not all(tokens):  # a tuple of nine is true
        unsaid = [event for event in events if event.tokens is None]
        price = price_of(pricer, unsaid[0])  # hangs on the outcome alone
        yield _Cell(words, where, unsaid, price.status, price.reason, None, _NO_PARTS)
        events = [event for event in events if event.tokens is not None]
        if not events:
            return
        tokens = [event.tokens for event in events]
    columns = _columns(tokens)  # type: ignore[arg-type]  # no None is in it
    if words[PLACES["outcome"]] == "cached":
        yield _Cell(words, where, events, FREE, "", columns, _NO_PARTS)
        return
    start = quarter * QUARTER_SECONDS
    few = len(events) < FEW  # one by one is cheaper then
    found = None if few else many.price(pricer, name, columns, start, start + QUARTER_SECONDS)
    if found is not None:
        yield _Cell(words, where, events, found.status, found.reason, columns, found.parts)
        return
    kinds: dict[tuple[str, str], list[tuple[UsageEvent, Price]]] = {}
    for event in events:
        price = price_of(pricer, event)
        kinds.setdefault((price.status, price.reason), []).append((event, price))
    for (status, reason), alike in kinds.items():
        parts = _columns([price.parts for _, price in alike])
        used = _columns([event.tokens for event, _ in alike if event.tokens is not None])
        yield _Cell(words, where, [event for event, _ in alike], status, reason, used, parts)


def _columns(rows: Sequence[Sequence[int]]) -> tuple[Column, ...]:
    return tuple(column if any(column) else None for column in zip(*rows, strict=True))


def _added(parts: Sequence[Column], count: int) -> Sequence[int]:
    """Return what each event cost."""
    some = [column for column in parts if column is not None]
    if not some:
        return [0] * count
    first: Iterable[int] = some[0]
    return list(reduce(partial(map, add), some[1:], first))


def _scaled(seconds: Sequence[float | None]) -> list[int]:
    if None in seconds:
        return [UNSAID if each is None else round(each * NANO) for each in seconds]
    return list(map(round, map(mul, seconds, repeat(float(NANO)))))  # no None is in it


def _told(column: Sequence[int]) -> Sequence[int]:
    return [each for each in column if each != UNSAID] if UNSAID in column else column


def _differs(theirs: int, ours: int) -> bool:
    return abs(theirs - ours) > MISMATCH_RATIO * max(theirs, ours)
