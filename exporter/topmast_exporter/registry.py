"""Families behind one endpoint, what they may hold together, and what the registry says about itself.

The model is prometheus-client's: a Registry is a collector like any other (`collect()`, `describe()`), so that it can
be registered in a CollectorRegistry, and any foreign collector can be registered here. The names and the admission
rules are METRICS.md's. Importing this module imports nothing of prometheus-client.
"""

import os
import threading
import weakref
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from topmast_exporter import admission
from topmast_exporter.families import CounterFamily, Family, GaugeFamily, HistogramFamily

if TYPE_CHECKING:
    from prometheus_client import Metric

    from topmast_exporter.workers.push import Pusher

__all__ = ["Collector", "CounterFamily", "GaugeFamily", "HistogramFamily", "Registry", "default_registry"]


class Collector(Protocol):
    """Anything that prometheus-client could register."""

    def collect(self) -> "Iterable[Metric]":
        """Return the metrics of now."""


class Pending(Protocol):
    """What an instrument has noted and not counted yet."""

    def fold(self) -> None:
        """Count it."""

    def forget(self) -> None:
        """Drop it: this is a forked child."""


class Registry:
    """Families and foreign collectors behind one endpoint."""

    def __init__(self, limits: admission.Limits | None = None) -> None:
        self.limits = limits or admission.Limits()
        self.lock = threading.Lock()  # of every record's numbers
        self.admission_lock = threading.Lock()  # of the families' label sets
        self.series_in_all = 0
        self.forks = 0  # how many forks lie between this process and the one that made the registry
        self._families: dict[str, Family[Any]] = {}
        self._foreign: list[Collector] = []
        self._pending: list[Pending] = []
        self.pusher: Pusher | None = None  # when this process is one of several workers (workers/push.py)
        sizes = self.gauge("exporter_series", "Label sets held, by metric family.", ("family",))
        sizes.set_source(lambda: [((name,), float(len(one))) for name, one in self._families.items()])
        self._overflow = self.counter(
            "exporter_label_overflow_total",
            "Events counted under _other because their label set was not admitted, by metric family.",
            ("family",),
        )
        self._internal_errors = self.counter(
            "exporter_internal_errors_total",
            "Errors that an instrument or a collector swallowed so that the application never sees them, by place.",
            ("site",),
        )
        _follow_forks(self)

    def counter(
        self, name: str, documentation: str, labelnames: Sequence[str] = (), open_labels: Sequence[str] = ()
    ) -> CounterFamily:
        """Return the counter family of this name, made when it is new.

        Raises ValueError when the name is taken by a family of another kind or with other labels.
        """
        return self._add(CounterFamily(self, name, documentation, labelnames, open_labels))

    def gauge(
        self, name: str, documentation: str, labelnames: Sequence[str] = (), open_labels: Sequence[str] = ()
    ) -> GaugeFamily:
        """Return the gauge family of this name, made when it is new. Raises ValueError as `counter`."""
        return self._add(GaugeFamily(self, name, documentation, labelnames, open_labels))

    def histogram(
        self,
        name: str,
        documentation: str,
        labelnames: Sequence[str],
        bounds: Sequence[float],
        open_labels: Sequence[str] = (),
    ) -> HistogramFamily:
        """Return the histogram family of this name, made when it is new. Raises ValueError as `counter`."""
        return self._add(HistogramFamily(self, name, documentation, labelnames, open_labels, bounds))

    def families(self) -> list[Family[Any]]:
        """Return our own families, in order of declaration, with everything counted that was noted."""
        for pending in self._pending:
            pending.fold()
        return list(self._families.values())

    def family(self, name: str) -> Family[Any] | None:
        """Return our own family of this name, with everything counted that was noted; None when there is none."""
        for pending in self._pending:
            pending.fold()
        return self._families.get(name)

    def forget(self, name: str) -> None:
        """Expose this family no longer, and give its place free; an unknown one is no error."""
        with self.admission_lock:
            family = self._families.pop(name, None)
            if family is not None and not name.startswith("exporter_"):
                self.series_in_all -= len(family)

    def add_pending(self, pending: Pending) -> None:
        """Ask `pending` to count what it noted, before any family is read."""
        self._pending.append(pending)

    def register(self, collector: Collector) -> None:
        """Expose what a foreign collector collects, after our own families. Registering twice is once."""
        if collector not in self._foreign:
            self._foreign.append(collector)

    def unregister(self, collector: Collector) -> None:
        """Expose it no longer; an unknown collector is no error."""
        if collector in self._foreign:
            self._foreign.remove(collector)

    def foreign(self) -> list[Collector]:
        """Return the foreign collectors, in order of registration."""
        return list(self._foreign)

    def count_internal_error(self, site: str) -> None:
        """Say that an error was swallowed at `site` (a fixed word, never a message)."""
        self._internal_errors.labels(site).inc()

    def count_overflow(self, family: str) -> None:
        """Say that an event of `family` went to `_other`."""
        self._overflow.labels(family).inc()

    def admits(self, family: Family[Any]) -> bool:
        """Return whether `family` may hold one more label set. What the registry says of itself always may."""
        own = family.name.startswith("exporter_")
        return own or (len(family) < self.limits.per_family and self.series_in_all < self.limits.in_all)

    def collect(self) -> "Iterator[Metric]":
        """Yield our own families as prometheus-client metrics. Foreign ones are left to their own registry."""
        from topmast_exporter.foreign import metric_of

        for family in self.families():
            yield metric_of(family)

    def describe(self) -> "Iterator[Metric]":
        """Yield our own families without samples: what a CollectorRegistry compares names with."""
        from topmast_exporter.foreign import empty_metric_of

        for family in self.families():
            yield empty_metric_of(family)

    def after_fork(self) -> None:
        """Start from 0 in a forked child: what the parent counted is the parent's."""
        self.forks += 1
        for pending in self._pending:
            pending.forget()
        for family in self._families.values():
            for series in family.series():
                series.reset()

    def _add(self, family: "F") -> "F":
        with self.admission_lock:
            known = self._families.setdefault(family.name, family)
        if known.signature() != family.signature():
            raise ValueError(f"{family.name} exists with another shape: {known.signature()!r}")
        if known is family:
            self._prepare(family)
        return known  # type: ignore[return-value]  # equal signatures have equal kinds

    def _prepare(self, family: Family[Any]) -> None:
        # A first increment is visible to increase() only when a 0 was scraped before it.
        if not family.labelnames and family.kind != "gauge":
            family.labels()
        if family.open_labels:
            self._overflow.labels(family.name)


F = TypeVar("F", bound=Family[Any])


_living: "weakref.WeakSet[Registry]" = weakref.WeakSet()
_living_lock = threading.Lock()
_held: list[Registry] = []
_follows_forks = False


def _follow_forks(registry: Registry) -> None:
    """Hold the locks over a fork, so that the child does not inherit them in the middle of somebody's update."""
    global _follows_forks
    with _living_lock:
        _living.add(registry)
        if _follows_forks or not hasattr(os, "register_at_fork"):
            return
        _follows_forks = True
        os.register_at_fork(before=_before_fork, after_in_parent=_release, after_in_child=_after_fork_in_child)


def _before_fork() -> None:
    _living_lock.acquire()
    _held.extend(_living)
    for registry in _held:
        registry.admission_lock.acquire()
        registry.lock.acquire()


def _release() -> None:
    for registry in _held:
        registry.lock.release()
        registry.admission_lock.release()
    _held.clear()
    _living_lock.release()


def _after_fork_in_child() -> None:
    for registry in _held:
        registry.after_fork()
    _release()


class _ClientsOwn:
    """prometheus-client's own registry, imported at the first scrape: an import costs an application 75 ms."""

    def collect(self) -> "Iterable[Metric]":
        """Return what the process registered there, and that registry's process and interpreter metrics."""
        from prometheus_client import REGISTRY

        return REGISTRY.collect()


_default: Registry | None = None
_default_lock = threading.Lock()


def default_registry() -> Registry:
    """Return the process's registry, made at the first call.

    It also exposes what the process registered in prometheus-client's own REGISTRY.
    """
    global _default
    with _default_lock:
        if _default is None:
            _default = Registry()
            _default.register(_ClientsOwn())
        return _default
