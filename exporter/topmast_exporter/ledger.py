"""The durable ledger of model spend: every event once, exact, and shown only when it is committed.

One thread writes. It takes what waits, prices it, and commits it as one transaction with one fsync; only then are the
senders answered and the counters moved. So an acknowledged event survives kill -9, a restart shows exactly the
committed totals, and a batch that could not be stored counted nothing and may be sent again.
"""

import logging
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from topmast_exporter.budgets import DAY, BudgetConfig, Budgets, window
from topmast_exporter.ledger_batch import Batch
from topmast_exporter.ledger_corrections import carry_out
from topmast_exporter.ledger_dimensions import Admission
from topmast_exporter.ledger_schema import LedgerError, LedgerStalledError
from topmast_exporter.ledger_series import Totals
from topmast_exporter.ledger_spend import QUARTER_SECONDS
from topmast_exporter.ledger_store import PURGE_EVENTS, Store
from topmast_exporter.pricing.price import Pricer
from topmast_exporter.registry import Registry
from topmast_exporter.usage_event import UsageEvent

log = logging.getLogger("topmast_exporter.ledger")

MAX_WAITING_EVENTS = 20_000
MAX_BATCH_EVENTS = 5_000
TICK_SECONDS = 15.0
# Fewer than this wait a moment for others: a commit costs what a hundred events do.
FEW_EVENTS = 100
GATHER_SECONDS = 0.002
# A disk that took nothing is tried again after this.
HOLD_SECONDS = 1.0
# At each tick, this many steps of deleting old events at most: commits wait meanwhile.
MAX_PURGES = 20
MAX_MERGES = 5

# After this, spend is kept by the day of the budgets' time zone: events and repricing reach 45 days back.
KEEP_QUARTERS_SECONDS = 92 * 86_400
MAX_ROLL_UPS = 20
# Steps of a correction at a time: batches wait meanwhile.
MAX_CORRECTIONS = 5

# An event later than this changes the ledger and the gauges but no counter: an import is not a jump of now's rate.
LATE_SECONDS = 3_600.0


class LedgerFullError(Exception):
    """Too many events wait: try again later."""


@dataclass(frozen=True)
class Result:
    """What became of a submission, once it was committed."""

    accepted: int
    duplicates: int
    late: int
    """Of the accepted ones: in the ledger, not in the counters."""


Settle = Callable[[Result | BaseException], None]
"""Is told in the ledger's thread, once, what became of a submission. Must not raise, nor take long."""


@dataclass
class _Submission:
    events: Sequence[UsageEvent]
    source: str
    settle: Settle


class Ledger:
    """Owns the file, the writing thread and all llm_* families."""

    def __init__(
        self,
        folder: Path,
        pricer: Pricer,
        registry: Registry,
        budgets: BudgetConfig | None = None,
        clock: Callable[[], float] = time.time,
        environment: str = "",
    ) -> None:
        self._pricer = pricer
        self._registry = registry
        self._clock = clock
        self._store = Store(folder)
        self._dimensions = Admission(
            self._store.salt(), self._store.dimensions(), self._store.keep_dimension, environment
        )
        self._totals = Totals(registry)
        self._totals.restore(self._store.counters(), self._store.histograms())
        self._budgets = Budgets(budgets or BudgetConfig(), registry)
        self._changed = threading.Condition()
        self._waiting: list[_Submission] = []
        self._waiting_events = 0
        self._held: set[str] | None = None
        """The ids that wait in memory while the disk takes nothing."""
        self._new_budgets: BudgetConfig | None = None
        self._stopping = False
        self._thread: threading.Thread | None = None
        self._refresh_budgets()
        waiting = registry.gauge("exporter_ledger_waiting_events", "Usage events that are not stored yet.")
        waiting.labels().set_function(lambda: float(self._waiting_events))
        stalled = registry.gauge("exporter_ledger_stalled", "Whether the disk takes nothing: events wait in memory.")
        stalled.labels().set_function(lambda: float(self._held is not None))

    def models(self) -> set[tuple[str, str]]:
        """Return (provider, model) of every model that was called or declared."""
        keys = list(self._totals.counters)  # a copy first: the writing thread adds to it
        return {(labels[0], labels[1]) for family, labels in keys if family == "llm_requests_total"}

    def declare(self, models: Sequence[tuple[str, str]], features: Sequence[str]) -> None:
        """Show these models and features at 0 before their first request. Call it before start()."""
        for provider, model in models:
            for feature in features:
                self._totals.declare(provider, model, feature)

    def start(self) -> None:
        self._thread = threading.Thread(target=self._run, name="ledger", daemon=True)
        self._thread.start()

    def stop(self, timeout_seconds: float = 10.0) -> None:
        """Commit what waits, end the thread and close the file."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
        if self._thread is not None:
            self._thread.join(timeout_seconds)
            if self._thread.is_alive():
                return  # a disk that hangs: the file stays open, the process ends without it
        self._store.close()

    def use(self, pricer: Pricer) -> None:
        """Price by another table from the next batch on."""
        self._pricer = pricer

    def use_budgets(self, budgets: BudgetConfig) -> None:
        """Watch other budgets, when they are others."""
        if budgets != self._budgets.config:
            with self._changed:
                self._new_budgets = budgets  # the writing thread alone reads the file
                self._changed.notify_all()

    def budgets(self) -> list[dict[str, Any]]:
        """Return the state of every budget that is set (Budgets.states)."""
        return self._budgets.states()

    def submit(self, events: Sequence[UsageEvent], source: str = "usage") -> "Future[Result]":
        """Return the future of the commit. Raises LedgerFullError; the future raises LedgerError."""
        future: Future[Result] = Future()

        def settle(outcome: Result | BaseException) -> None:
            if isinstance(outcome, BaseException):
                future.set_exception(outcome)
            else:
                future.set_result(outcome)

        self.hand_over(events, source, settle)
        return future

    def hand_over(self, events: Sequence[UsageEvent], source: str, settle: Settle) -> None:
        """Have `settle` told of the commit: what submit() does, without a future. Raises LedgerFullError."""
        with self._changed:
            if self._stopping:
                raise LedgerFullError("the ledger is stopping")
            if self._held is not None:
                # its sender was not answered and asks again: once is enough
                events = [event for event in events if event.id not in self._held]
                self._held.update(event.id for event in events)
            if self._waiting_events + len(events) > MAX_WAITING_EVENTS:
                raise LedgerFullError(f"{self._waiting_events} events wait")
            self._waiting.append(_Submission(events, source, settle))
            self._waiting_events += len(events)
            self._changed.notify()  # the writing thread: nobody else waits

    def _run(self) -> None:
        due, patience = 0.0, TICK_SECONDS
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting or self._stopping or self._new_budgets, patience)
                alone = 0 < self._waiting_events < FEW_EVENTS and not self._stopping
            if alone:
                time.sleep(GATHER_SECONDS)
            with self._changed:
                batch = self._take()
                if self._new_budgets is not None:
                    self._budgets = Budgets(self._new_budgets, self._registry)
                    self._new_budgets, due = None, 0.0
                if not batch and self._stopping:
                    return
            if batch:
                if not self._settle(batch):
                    self._hold(batch)
                    continue
                with self._changed:  # until now they were in memory: what waits is bounded with them
                    self._waiting_events -= sum(len(submission.events) for submission in batch)
            if time.monotonic() >= due or self._budgets.over(self._clock()):
                due = time.monotonic() + TICK_SECONDS
                self._tick()
                due, patience = (0.0, 0.0) if self._correct() else (due, TICK_SECONDS)

    def _take(self) -> list[_Submission]:
        taken: list[_Submission] = []
        count = 0
        while self._waiting and (not taken or count + len(self._waiting[0].events) <= MAX_BATCH_EVENTS):
            submission = self._waiting.pop(0)
            count += len(submission.events)
            taken.append(submission)
        return taken

    def _hold(self, batch: list[_Submission]) -> None:
        """Keep what the disk does not take in memory and wait a little; at the end, tell the senders."""
        with self._changed:
            self._waiting[:0] = batch
            self._held = {event.id for submission in self._waiting for event in submission.events}
            self._changed.wait_for(lambda: self._stopping, HOLD_SECONDS)
            if not self._stopping:
                return
            left, self._waiting, self._waiting_events = self._waiting, [], 0
        for submission in left:
            submission.settle(LedgerStalledError("the disk does not take it, and the exporter ends"))

    def _settle(self, batch: Sequence[_Submission]) -> bool:
        """Commit and answer the senders; return False when the disk cannot take it now."""
        try:
            results = self._commit(batch)
        except LedgerStalledError as error:
            self._registry.count_internal_error("ledger")
            if self._held is None:
                log.error("the disk takes nothing, events are kept in memory", extra={"error": str(error)})
            return False
        except LedgerError as error:
            self._registry.count_internal_error("ledger")
            log.error("a batch could not be stored", extra={"error": str(error)})
            for submission in batch:
                submission.settle(error)
            return True
        except Exception as error:
            # The guard of the writing thread: it must outlive a fault of ours, and the senders must be told.
            self._registry.count_internal_error("ledger")
            log.exception("a batch could not be counted")
            for submission in batch:
                submission.settle(LedgerError(f"internal error: {type(error).__name__}"))
            return True
        for submission, result in zip(batch, results, strict=True):
            submission.settle(result)
        if self._held is not None:
            with self._changed:
                self._held = None
            log.info("the disk takes events again, those kept in memory are stored")
        return True

    def _commit(self, batch: Sequence[_Submission]) -> list[Result]:
        book = Batch(self._pricer, self._totals, self._dimensions, self._clock() - LATE_SECONDS)
        try:
            with self._store.transaction():
                known = self._store.remember([event.id for submission in batch for event in submission.events])
                results = [self._sift(submission, known, book) for submission in batch]
                book.finish()
                self._store.insert(book.block)
                after = self._totals.after(book.delta)
                self._store.save(*after, book.spend)
        except BaseException:
            self._totals.forget(book.delta)
            self._dimensions.forget()
            raise
        self._totals.commit(book.delta, after)
        for key, spend in book.spend.items():
            self._budgets.add(key[0] * QUARTER_SECONDS, key[3], spend.cost)
        return results

    def _sift(self, submission: _Submission, known: set[str] | None, book: Batch) -> Result:
        """Add what is new of a submission to the book; `known` is None when all of it is."""
        events = submission.events
        if known is None:
            return Result(len(events), 0, book.add(events))
        fresh = []
        for event in events:
            if event.id in known:
                book.duplicate(event, submission.source)
            else:
                known.add(event.id)
                fresh.append(event)
        return Result(len(fresh), len(events) - len(fresh), book.add(fresh))

    def _tick(self) -> None:
        try:
            self._refresh_budgets()
            for _ in range(MAX_PURGES):
                if self._store.purge(self._clock()) < PURGE_EVENTS:
                    break
            for _ in range(MAX_MERGES):
                if not self._store.merge():
                    break
            self._roll_up()
        except LedgerError as error:
            self._registry.count_internal_error("ledger")
            log.error("the ledger cannot be read", extra={"error": str(error)})

    def _correct(self) -> bool:
        """Take a few steps of a correction that somebody asked for; return whether there may be more."""
        try:
            for _ in range(MAX_CORRECTIONS):
                if not carry_out(self._store, self._pricer):
                    return False
                self._refresh_budgets()
        except LedgerError as error:
            self._registry.count_internal_error("ledger")
            log.error("a correction could not be carried out", extra={"error": str(error)})
            return False
        return True

    def _roll_up(self) -> None:
        """Make the oldest day one row a group, when it is old enough: a year of quarters is 35,000 rows a group."""
        for _ in range(MAX_ROLL_UPS):
            first = self._store.first_unrolled()
            if first is None:
                return
            start, end = window(DAY, first * QUARTER_SECONDS, ZoneInfo(self._budgets.config.timezone))
            if end > self._clock() - KEEP_QUARTERS_SECONDS:
                return
            self._store.roll_up(int(start // QUARTER_SECONDS), int(end // QUARTER_SECONDS))

    def _refresh_budgets(self) -> None:
        self._budgets.refresh(self._store.cost_by_feature, self._store.first_quarter(), self._clock())
