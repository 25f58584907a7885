"""Metric families, their label sets, and what the registry says about itself.

The model is prometheus-client's: a Registry is a collector like any other (`collect()`, `describe()`), so that it can
be registered in a CollectorRegistry, and any foreign collector can be registered here. The names and the admission
rules are METRICS.md's. Importing this module imports nothing of prometheus-client.
"""

import os
import re
import threading
import weakref
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Protocol, TypeVar

from topmast_exporter import admission
from topmast_exporter.series import CounterSeries, GaugeSeries, HistogramSeries, number

if TYPE_CHECKING:
    from prometheus_client import Metric

S = TypeVar("S", CounterSeries, GaugeSeries, HistogramSeries)

_METRIC_NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
_LABEL_NAME = re.compile(r"(?!__)[a-zA-Z_][a-zA-Z0-9_]*")


class Collector(Protocol):
    """Anything that prometheus-client could register."""

    def collect(self) -> "Iterable[Metric]":
        """Return the metrics of now."""


class Family(ABC, Generic[S]):
    """All label sets of one metric."""

    kind: ClassVar[str]

    def __init__(
        self,
        registry: "Registry",
        name: str,
        documentation: str,
        labelnames: Sequence[str],
        open_labels: Sequence[str],
    ) -> None:
        if not _METRIC_NAME.fullmatch(name):
            raise ValueError(f"{name!r} is not a metric name")
        for label in labelnames:
            if not _LABEL_NAME.fullmatch(label) or label in ("le", "quantile"):
                raise ValueError(f"{name}: {label!r} is not a label name of ours")
        if not set(open_labels) <= set(labelnames):
            raise ValueError(f"{name}: open labels {open_labels!r} are not among {labelnames!r}")
        self.name = name
        self.documentation = documentation
        self.labelnames = tuple(labelnames)
        self.open_labels = frozenset(open_labels)
        self._registry = registry
        self._series: dict[tuple[object, ...], S] = {}
        self._overflow_sets = 0
        self._of_ourselves = name.startswith("exporter_")

    def signature(self) -> tuple[object, ...]:
        """Return what two declarations of one name must agree on."""
        return (self.kind, self.labelnames, self.open_labels)

    def labels(self, *values: object) -> S:
        """Return the record of this label set, admitted or `_other`. Keep it: a second call costs a lookup."""
        series = self._series.get(values)
        return series if series is not None else self._admit(values)

    def series(self) -> list[S]:
        """Return the records of now, in order of admission."""
        return list(self._series.values())

    def __len__(self) -> int:
        return len(self._series)

    def _admit(self, values: tuple[object, ...]) -> S:
        if len(values) != len(self.labelnames):
            raise ValueError(f"{self.name}: takes the labels {self.labelnames!r}, not {len(values)} values")
        key = tuple(admission.clean(value) for value in values)
        refused = False
        with self._registry.admission_lock:
            series = self._series.get(key)
            if series is None and not self._registry.admits(self):
                refused = True
                key = admission.overflow(key, self.labelnames, self.open_labels, self._overflow_sets)
                series = self._series.get(key)
                self._overflow_sets += series is None
            if series is None:
                series = self._series[key] = self._make(key)
                self._registry.series_in_all += not self._of_ourselves
        if refused:
            self._registry.count_overflow(self.name)
        return series

    @abstractmethod
    def _make(self, values: tuple[str, ...]) -> S:
        """Return a new record of this label set."""

    def _pairs(self, values: tuple[str, ...]) -> str:
        return ",".join(
            f'{name}="{escape_label(value)}"' for name, value in zip(self.labelnames, values, strict=True)
        )


class CounterFamily(Family[CounterSeries]):
    """A family of counters."""

    kind = "counter"

    def _make(self, values: tuple[str, ...]) -> CounterSeries:
        pairs = self._pairs(values)
        return CounterSeries(values, f"{self.name}{{{pairs}}} " if pairs else f"{self.name} ", self._registry.lock)


class GaugeFamily(Family[GaugeSeries]):
    """A family of gauges: their label sets can be removed again, or come from a source at the scrape."""

    kind = "gauge"

    def __init__(
        self,
        registry: "Registry",
        name: str,
        documentation: str,
        labelnames: Sequence[str],
        open_labels: Sequence[str],
    ) -> None:
        super().__init__(registry, name, documentation, labelnames, open_labels)
        self._source: Callable[[], Iterable[tuple[tuple[str, ...], float]]] | None = None

    def set_source(self, source: Callable[[], Iterable[tuple[tuple[str, ...], float]]]) -> None:
        """Ask `source` at every scrape for all (label values, value) of the family, in place of what was set.

        The source bounds its own label sets. An exception is counted and yields no samples.
        """
        self._source = source

    def remove(self, *values: object) -> None:
        """Forget a label set; a set that does not exist is no error."""
        key = tuple(admission.clean(value) for value in values)
        with self._registry.admission_lock:
            if self._series.pop(key, None) is not None:
                self._registry.series_in_all -= not self._of_ourselves

    def samples(self) -> Iterator[tuple[str, tuple[str, ...], float]]:
        """Yield (line prefix, label values, value) of every gauge that has a value now."""
        if self._source is not None:
            try:
                sourced = list(self._source())
            except Exception:  # noqa: BLE001 a guard: one broken source must not cost the scrape
                self._registry.count_internal_error("gauge_source")
                sourced = []
            for raw, value in sourced:
                values = tuple(admission.clean(one) for one in raw)
                yield self._prefix(values), values, float(value)
        for series in self.series():
            reading = series.value
            if series.function is not None:
                try:
                    answer = series.function()
                    reading = None if answer is None else float(answer)
                except Exception:  # noqa: BLE001 a guard: one broken callback must not cost the scrape
                    self._registry.count_internal_error("gauge_callback")
                    reading = None
            if reading is not None:
                yield series.prefix, series.values, reading

    def _prefix(self, values: tuple[str, ...]) -> str:
        pairs = self._pairs(values)
        return f"{self.name}{{{pairs}}} " if pairs else f"{self.name} "

    def _make(self, values: tuple[str, ...]) -> GaugeSeries:
        return GaugeSeries(values, self._prefix(values), self._registry.lock)


class HistogramFamily(Family[HistogramSeries]):
    """A family of classic histograms with the same upper bounds."""

    kind = "histogram"

    def __init__(
        self,
        registry: "Registry",
        name: str,
        documentation: str,
        labelnames: Sequence[str],
        open_labels: Sequence[str],
        bounds: Sequence[float],
    ) -> None:
        super().__init__(registry, name, documentation, labelnames, open_labels)
        self.bounds = tuple(float(bound) for bound in bounds)
        if not self.bounds or any(low >= high for low, high in zip(self.bounds, self.bounds[1:], strict=False)):
            raise ValueError(f"{name}: bounds must grow, and +Inf is implied: {bounds!r}")
        # What follows the labels in each bucket's line.
        self.ends = tuple(f'{number(bound)}"}} ' for bound in (*self.bounds, float("inf")))

    def signature(self) -> tuple[object, ...]:
        return (*super().signature(), self.bounds)

    def _make(self, values: tuple[str, ...]) -> HistogramSeries:
        pairs = self._pairs(values)
        prefix = f'{self.name}_bucket{{{pairs},le="' if pairs else f'{self.name}_bucket{{le="'
        tail = f"{{{pairs}}} " if pairs else " "
        return HistogramSeries(values, prefix, tail, self._registry.lock, self.bounds)


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
        """Return our own families, in order of declaration."""
        return list(self._families.values())

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


def escape_label(value: str) -> str:
    """Return a label value as both text formats quote it."""
    return value.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')


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
