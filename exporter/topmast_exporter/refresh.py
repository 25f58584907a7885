"""Background refresh: every server is read by a thread of its own, and a scrape reads only what is known.

So a frozen server costs a scrape nothing: its `*_up` turns 0 when the deadline of the running refresh passes, its
values disappear after three intervals (never frozen, never 0 for unknown), and no second connection is opened while
the first one is busy.
"""

import logging
import random
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from prometheus_client.core import Metric

from topmast_exporter.collector import Collector, Reading, Source, TargetConfig
from topmast_exporter.errors import CollectError
from topmast_exporter.registry import Registry

log = logging.getLogger("topmast_exporter.refresh")

# Values are shown this many intervals after the last good refresh, then disappear.
STALE_AFTER_INTERVALS = 3
# The first retry after a failure; it doubles up to the interval, so a server that comes back is found soon.
FIRST_RETRY_SECONDS = 1.0
# Jitter keeps the targets of one exporter from refreshing in step.
JITTER = 0.1

Clock = Callable[[], float]


@dataclass(frozen=True)
class Snapshot:
    """What is known of a server at one moment."""

    up: bool
    age_seconds: float | None
    """Since the last good refresh; None before the first."""
    metrics: tuple[Metric, ...]
    generation: int
    """Changes with the metrics: a rendered answer may be kept as long as it stays."""


@dataclass
class _State:
    """What the refreshing thread writes and a scrape reads. Guarded by Target.lock."""

    metrics: tuple[Metric, ...] = ()
    generation: int = 0
    good_at: float | None = None
    ok: bool = False
    busy_since: float | None = None
    duration_seconds: float | None = None
    failures_in_a_row: int = 0
    said: set[str] = field(default_factory=set)
    """The parts that the last good refresh had to leave out."""


class Target:
    """One configured server. `refresh()` is the work; `start()` gives it a thread, `stop()` takes it away."""

    def __init__(
        self,
        collector: Collector,
        config: TargetConfig,
        source: Source,
        count_failure: Callable[[str, str], None] = lambda _collector, _reason: None,
        clock: Clock = time.monotonic,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self.collector = collector
        self.config = config
        self.lock = threading.Lock()
        self._source = source
        self._count_failure = count_failure
        self._clock = clock
        self._jitter = jitter
        self._state = _State()
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    @property
    def key(self) -> tuple[str, str]:
        return self.collector.name, self.config.target

    @property
    def stopped(self) -> bool:
        """Whether a reload or the end of the process took it away."""
        return self._stopping.is_set()

    @property
    def duration_seconds(self) -> float | None:
        """Of the last refresh that ended."""
        with self.lock:
            return self._state.duration_seconds

    @property
    def parts_refused(self) -> int:
        """How much of the server the last good refresh had to leave out."""
        with self.lock:
            return len(self._state.said)

    def take_over(self, old: "Target") -> None:
        """Show what `old`, the same name with other options, knew: a reload is no gap in anybody's chart."""
        with old.lock:
            metrics, good_at, ok = old._state.metrics, old._state.good_at, old._state.ok
        with self.lock:
            self._state.metrics, self._state.good_at, self._state.ok = metrics, good_at, ok

    def refresh(self) -> bool:
        """Read the server once; return whether it answered. Never raises."""
        started = self._clock()
        with self.lock:
            self._state.busy_since = started
        reading: Reading | None = None
        reason, message = "", ""
        try:
            reading = self._source.collect()
        except CollectError as error:
            reason, message = error.reason, str(error)
        except Exception as error:
            # The one guard around every collector: a fault of ours must not end the thread.
            log.exception("a collector failed", extra={"collector": self.key[0], "target": self.key[1]})
            reason, message = "other", type(error).__name__
        ended = self._clock()
        with self.lock:
            state = self._state
            state.busy_since = None
            state.duration_seconds = ended - started
            if reading is not None:
                state.metrics, state.good_at = tuple(reading.metrics()), ended
                state.generation += 1
                news = {what: why for what, why in reading.refused.items() if what not in state.said}
                state.said = set(reading.refused)  # what comes back and goes again is said again
            else:
                news = {}
            first_failure = reading is None and (state.ok or state.failures_in_a_row == 0)
            recovered = reading is not None and state.failures_in_a_row > 0
            state.ok = reading is not None
            state.failures_in_a_row = 0 if reading is not None else state.failures_in_a_row + 1
        where = {"collector": self.key[0], "target": self.key[1]}
        if reading is None:
            self._count_failure(self.key[0], reason)
            if first_failure:
                log.warning("a server cannot be read", extra={**where, "reason": reason, "error": message})
        for part_reason, _ in () if reading is None else reading.refused.values():
            self._count_failure(self.key[0], part_reason)
        for what, (part_reason, why) in news.items():
            said = {**where, "part": what, "reason": part_reason, "error": why}
            log.warning("a part of a server is left out", extra=said)
        if recovered:
            log.info("a server can be read again", extra=where)
        return reading is not None

    def snapshot(self) -> Snapshot:
        """Return what is known now. Waits for nobody."""
        now = self._clock()
        with self.lock:
            state = self._state
            overdue = state.busy_since is not None and now - state.busy_since > self.config.timeout_seconds
            age = None if state.good_at is None else now - state.good_at
            stale = age is None or age > STALE_AFTER_INTERVALS * self.config.interval_seconds
            metrics = () if stale else state.metrics
            return Snapshot(state.ok and not overdue and not stale, age, metrics, -1 if stale else state.generation)

    def wait_seconds(self) -> float:
        """Return how long to wait until the next refresh: the interval, or a back-off that grows to it."""
        with self.lock:
            failures = self._state.failures_in_a_row
        interval = self.config.interval_seconds
        if failures:
            interval = min(interval, FIRST_RETRY_SECONDS * 2.0 ** min(failures - 1, 16))
        return interval * (1 - JITTER * self._jitter())

    def start(self) -> None:
        name = f"refresh-{self.key[0]}-{self.key[1]}"
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Ask the thread to end and do not wait for a server that hangs: the thread is a daemon."""
        self._stopping.set()

    def _run(self) -> None:
        try:
            while not self._stopping.is_set():
                self.refresh()
                self._stopping.wait(self.wait_seconds())
        finally:
            self._source.close()


class Targets:
    """All configured servers, and what the exporter says about reading them."""

    def __init__(self, registry: Registry) -> None:
        self._targets: dict[tuple[str, str], Target] = {}
        self._failures = registry.counter(
            "exporter_collector_failures_total",
            "Refreshes of a server that failed, or parts of it that were refused, by reason.",
            ("collector", "reason"),
        )
        registry.gauge(
            "exporter_collector_up",
            "Whether the last refresh of this server succeeded within its deadline.",
            ("collector", "target"),
        ).set_source(self._up)
        registry.gauge(
            "exporter_collector_parts_refused",
            "Parts of a server (a command, a view) that it does not let be read; the log names each of them once.",
            ("collector", "target"),
        ).set_source(lambda: ((target.key, float(target.parts_refused)) for target in self.all()))
        registry.gauge(
            "exporter_collector_duration_seconds",
            "Time the last refresh took; the longest, of several targets of a collector.",
            ("collector",),
        ).set_source(lambda: self._most(lambda target: target.duration_seconds))
        registry.gauge(
            "exporter_collector_data_age_seconds",
            "Time since the last good refresh; the longest, of several targets of a collector.",
            ("collector",),
        ).set_source(lambda: self._most(lambda target: target.snapshot().age_seconds))

    def add(self, collector: Collector, config: TargetConfig) -> Target:
        """Return a new target; it is not started."""
        target = self._make(collector, config)
        self._targets[target.key] = target
        return target

    def _make(self, collector: Collector, config: TargetConfig) -> Target:
        for reason in CollectError.REASONS:
            self._failures.labels(collector.name, reason)  # at 0, so that a first failure is an increase
        return Target(collector, config, collector.build(config), self.count_failure)

    def count_failure(self, collector: str, reason: str) -> None:
        self._failures.labels(collector, reason).inc()

    def replace(self, wanted: Sequence[tuple[Collector, TargetConfig]]) -> None:
        """Have exactly these targets, started. An unchanged one keeps its connection, a changed one its values."""
        before, after, fresh = self._targets, dict[tuple[str, str], Target](), list[Target]()
        for collector, config in wanted:
            target = before.get((collector.name, config.target))
            if target is None or target.config != config:
                known, target = target, self._make(collector, config)
                if known is not None:
                    target.take_over(known)
                fresh.append(target)
            after[target.key] = target
        self._targets = after
        for target in before.values():
            if after.get(target.key) is not target:
                target.stop()
        for target in fresh:
            target.start()

    def get(self, kind: str, name: str) -> Target | None:
        return self._targets.get((kind, name))

    def all(self) -> list[Target]:
        return list(self._targets.values())

    def start(self) -> None:
        for target in self.all():
            target.start()

    def stop(self) -> None:
        for target in self.all():
            target.stop()

    def _up(self) -> Iterator[tuple[tuple[str, ...], float]]:
        for target in self.all():
            yield target.key, float(target.snapshot().up)

    def _most(self, value: Callable[[Target], float | None]) -> Iterator[tuple[tuple[str, ...], float]]:
        most: dict[str, float] = {}
        for target in self.all():
            one = value(target)
            if one is not None:
                most[target.key[0]] = max(one, most.get(target.key[0], 0.0))
        for kind, largest in most.items():
            yield (kind,), largest
