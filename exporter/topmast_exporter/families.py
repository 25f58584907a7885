"""The label sets of one metric: counters, gauges and histograms by their label values.

A family asks its registry whether a new label set is admitted; what is not is counted under `_other` (admission.py).
"""

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, ClassVar, Generic, TypeVar

from topmast_exporter import admission
from topmast_exporter.series import CounterSeries, GaugeSeries, HistogramSeries, number

if TYPE_CHECKING:
    from topmast_exporter.registry import Registry

S = TypeVar("S", CounterSeries, GaugeSeries, HistogramSeries)

_METRIC_NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
_LABEL_NAME = re.compile(r"(?!__)[a-zA-Z_][a-zA-Z0-9_]*")


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
            try:
                reading = series.read()
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


def escape_label(value: str) -> str:
    """Return a label value as both text formats quote it."""
    return value.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')
