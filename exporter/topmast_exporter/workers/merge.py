"""One application as the sum of its workers, in a registry of its own.

Counters and histograms add up, a dead worker's past included. Gauges are of the living alone, and most add up too;
METRICS.md names the others (`RULES`).
"""

import math
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from enum import Enum
from typing import TYPE_CHECKING, Any

from topmast_exporter.families import CounterFamily, Family, GaugeFamily, HistogramFamily
from topmast_exporter.registry import Registry
from topmast_exporter.series import Exemplar, exemplar_of

if TYPE_CHECKING:
    from prometheus_client import Metric

# METRICS.md: 503 when no worker reported for so long; a worker that is silent for so long is not living.
SILENT_SECONDS = 15.0

# How the values of one gauge become one. What is not here adds up.
RULES: Mapping[str, Callable[[Iterable[float]], float]] = {
    "app_event_loop_lag_seconds": max,
    "app_start_time_seconds": max,
    "cache_last_success_timestamp_seconds": max,
    "cache_backend_up": min,
    "app_build_info": max,
    "exporter_push_age_seconds": max,
}

# Foreign gauges follow the conventions of names: a time is the newest, an info stays 1.
NEWEST_ENDINGS = ("_info", "_timestamp_seconds", "_start_time_seconds")

# What the merged registry says itself.
OWN = frozenset({"exporter_series"})

# Of one application, the dead included: their numbers tell what was counted already.
MAX_WORKERS = 2_000

# Of foreign metrics, which no admission limits.
MAX_FOREIGN_SAMPLES = 20_000

Values = tuple[str, ...]
# (family, label values, numbers): what the store keeps of one series, as JSON takes it
Row = tuple[str, Values, Any]


class RefusedError(Exception):
    """A message is not what a worker sends; the sentence says why."""


def rule_of(name: str) -> Callable[[Iterable[float]], float]:
    """Return how a gauge's values over the living workers become one."""
    return RULES.get(name) or (max if name.endswith(NEWEST_ENDINGS) else sum)


class Declared(Enum):
    """What became of a declaration."""

    KNOWN = "known"
    NEW = "new"
    REPLACED = "replaced"


class Worker:
    """One worker process as the exporter knows it."""

    def __init__(self, order: int) -> None:
        self.order = order
        """A worker that came later knows the newer shape of a family."""
        self.sequence = 0
        self.connected = False
        self.reported_at = float("-inf")
        self.shapes: dict[str, dict[str, Any]] = {}
        self.gauges: dict[str, list[tuple[Values, float]]] = {}
        self.levels: dict[str, list[tuple[str, dict[str, str], float]]] = {}


class App:
    """The merged numbers of one application. Not thread-safe but for reading: one thread applies."""

    def __init__(self, name: str, clock: Callable[[], float] = time.monotonic) -> None:
        self.name = name
        self.registry = Registry()
        self.workers: dict[str, Worker] = {}
        self._clock = clock
        self._shapes: dict[str, tuple[int, dict[str, Any]]] = {}
        self.foreign = ForeignSums(self)
        self.registry.register(self.foreign)

    def living(self) -> list[Worker]:
        """Return the workers that are connected and have reported lately."""
        since = self._clock() - SILENT_SECONDS
        return [one for one in list(self.workers.values()) if one.connected and one.reported_at >= since]

    def is_reported(self) -> bool:
        """Return whether any worker has reported within the last 15 s."""
        since = self._clock() - SILENT_SECONDS
        return any(one.reported_at >= since for one in list(self.workers.values()))

    def worker(self, identity: str) -> Worker:
        """Return the worker of that id, known or new."""
        if identity not in self.workers:
            if len(self.workers) >= MAX_WORKERS:
                dead = [one for one, worker in self.workers.items() if not worker.connected]
                for one in dead[: len(dead) // 2]:
                    del self.workers[one]
            order = max((one.order for one in self.workers.values()), default=0) + 1
            self.workers[identity] = Worker(order)
        return self.workers[identity]

    def declare(self, name: str, told: Mapping[str, Any], worker: Worker) -> Declared:
        """Make the family, in place of one of another shape that an older worker declared.

        Raises RefusedError when it is no declaration.
        """
        try:
            shape = {key: told[key] for key in ("kind", "labels", "open")} | {"bounds": told.get("bounds")}
            worker.shapes[name] = shape
            known = self._shapes.get(name)
            if known is not None and (known[1] == shape or known[0] > worker.order):
                if known[1] == shape:
                    self._shapes[name] = (max(worker.order, known[0]), shape)
                return Declared.KNOWN
            if known is not None:
                self.registry.forget(name)
            self._make(name, told)
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise RefusedError(f"not a family: {name[:80]!r}") from error
        self._shapes[name] = (worker.order, shape)
        return Declared.NEW if known is None else Declared.REPLACED

    def _make(self, name: str, told: Mapping[str, Any]) -> None:
        kind, text, labels, open_labels = told["kind"], str(told["help"]), told["labels"], told["open"]
        if name in OWN:
            return
        if kind == "counter":
            self.registry.counter(name, text, labels, open_labels)
        elif kind == "histogram":
            self.registry.histogram(name, text, labels, told["bounds"], open_labels)
        elif kind == "gauge":
            self.registry.gauge(name, text, labels, open_labels).set_source(lambda: self._levels_of(name))
        else:
            raise ValueError(kind)

    def _levels_of(self, name: str) -> list[tuple[Values, float]]:
        found: dict[Values, list[float]] = {}
        for worker in self.living():
            if worker.shapes.get(name) != self._shapes[name][1]:
                continue
            for values, value in worker.gauges.get(name, ()):
                found.setdefault(values, []).append(value)
        rule = rule_of(name)
        admitted = list(found.items())[: self.registry.limits.per_family]
        return [(values, rule(several)) for values, several in admitted]

    def apply(self, worker: Worker, delta: Mapping[str, Any]) -> list[Row]:
        """Add a worker's delta; return the rows to keep. Raises RefusedError, with nothing added, when it is none."""
        steps = [*self._counted(worker, delta), *self._observed(worker, delta)]
        gauges = {
            name: found
            for name, found in ((name, _gauges(rows)) for name, rows in _tables(delta, "gauges"))
            if self._known(worker, name, GaugeFamily) is not None
        }
        foreign, levels = self.foreign.parse(delta)
        marks = list(self._marked(worker, delta))
        touched = {family.name: family for family, _, _ in steps}
        rows = [_row(family, add(family, values, numbers)) for family, values, numbers in steps]
        rows.extend(self.foreign.add(foreign))
        for family, values, place, exemplar in marks:
            family.labels(*values).keep(place, exemplar)
        worker.gauges, worker.levels = gauges, levels
        worker.reported_at = self._clock()
        if touched:
            # an event that this registry itself sent to _other moved a counter of its own
            overflow = self.registry.counter("exporter_label_overflow_total", "", ("family",))
            rows.extend(_row(overflow, one) for one in overflow.series() if one.values[0] in touched)
        return rows

    def _counted(self, worker: Worker, delta: Mapping[str, Any]) -> Iterator[tuple[Family[Any], Values, Any]]:
        for name, rows in _tables(delta, "counters"):
            family = self._known(worker, name, CounterFamily)
            for values, added in _shaped(rows, 2):
                if not _is_number(added) or not 0.0 <= added <= 2.0**53:
                    raise RefusedError(f"{name[:80]!r}: a counter grows by a number")
                if family is not None:
                    yield family, _values(family, values), float(added)

    def _observed(self, worker: Worker, delta: Mapping[str, Any]) -> Iterator[tuple[Family[Any], Values, Any]]:
        for name, rows in _tables(delta, "histograms"):
            family = self._known(worker, name, HistogramFamily)
            for values, counts, total in _shaped(rows, 3):
                if not isinstance(counts, list) or not all(type(one) is int and one >= 0 for one in counts):
                    raise RefusedError(f"{name[:80]!r}: counts are whole numbers")
                if not _is_number(total) or not 0.0 <= total < float("inf"):
                    raise RefusedError(f"{name[:80]!r}: a sum is a number")
                if family is None:
                    continue
                if len(counts) != len(family.bounds) + 1:
                    raise RefusedError(f"{name[:80]!r}: a count for each bound is wanted")
                yield family, _values(family, values), (counts, float(total))

    def _marked(
        self, worker: Worker, delta: Mapping[str, Any]
    ) -> Iterator[tuple[CounterFamily | HistogramFamily, Values, int, Exemplar]]:
        rows = delta.get("exemplars", [])
        if not isinstance(rows, list):
            raise RefusedError("exemplars: a list is wanted")
        for row in rows:
            try:
                name, values, place, trace_id, value, at = row
                exemplar = exemplar_of(trace_id, float(value), float(at))
                kind = CounterFamily if worker.shapes[name]["kind"] == "counter" else HistogramFamily
                family = self._known(worker, name, kind)
                places = 1 if kind is CounterFamily or family is None else len(family.bounds) + 1
                if type(place) is not int or not 0 <= place < places or not math.isfinite(exemplar[1] + exemplar[2]):
                    raise ValueError(place)
            except (ValueError, TypeError, KeyError) as error:
                raise RefusedError("not an exemplar") from error
            if family is not None:
                yield family, _values(family, values), place, exemplar

    def _known(self, worker: Worker, name: str, kind: type[Any]) -> Any:
        """Return the family, or None when a newer worker gave it another shape: an old one's numbers fit nowhere."""
        told = worker.shapes.get(name)
        if told is None or told["kind"] != kind.kind:
            raise RefusedError(f"{name[:80]!r} was not declared as a {kind.kind}")
        return self.registry.family(name) if self._shapes[name][1] == told else None

    # --- what a restart finds again ---------------------------------------------------------------------------

    def restore(self, name: str, told: Mapping[str, Any], rows: Iterable[tuple[Values, Any]]) -> None:
        """Put a kept family back. Raises RefusedError when it is none."""
        if told.get("kind") == "foreign":
            self.foreign.restore(name, told, rows)
            return
        self.declare(name, told, Worker(0))
        family = self.registry.family(name)
        for values, numbers in rows:
            if isinstance(family, CounterFamily | HistogramFamily):
                add(family, _values(family, list(values)), numbers)


def add(family: Family[Any], values: Values, numbers: Any) -> Any:
    """Add to one series of a counter or histogram family; return the series."""
    series = family.labels(*values)
    if isinstance(family, CounterFamily):
        series.inc(numbers)
    else:
        counts, total = numbers
        with series.lock:
            series.counts = [old + new for old, new in zip(series.counts, counts, strict=True)]
            series.sum += total
    return series


def _row(family: Family[Any], series: Any) -> Row:
    if isinstance(family, CounterFamily):
        return family.name, series.values, series.value
    counts, total, _ = series.snapshot()
    return family.name, series.values, [counts, total]


class ForeignSums:
    """What the workers' prometheus-client collectors expose, merged; a collector of the merged registry."""

    def __init__(self, app: App) -> None:
        self._app = app
        self._lock = threading.Lock()
        self._told: dict[str, tuple[str, str]] = {}
        self._sums: dict[str, dict[tuple[str, Values], float]] = {}
        self._count = 0

    def collect(self) -> "Iterator[Metric]":
        """Yield the metrics of now, as prometheus-client has them."""
        from prometheus_client import Metric

        living = self._app.living()
        with self._lock:
            told = dict(self._told)
            sums = {name: dict(one) for name, one in self._sums.items()}
        for name, (kind, text) in told.items():
            metric = Metric(name, text, kind)
            for (sample, pairs), value in sums.get(name, {}).items():
                metric.add_sample(sample, _labels(pairs), value)
            levels: dict[tuple[str, Values], list[float]] = {}
            for worker in living:
                for sample, labels, value in worker.levels.get(name, ()):
                    levels.setdefault((sample, _pairs(labels)), []).append(value)
            rule = max if kind == "info" else rule_of(name)
            for (sample, pairs), several in levels.items():
                metric.add_sample(sample, _labels(pairs), rule(several))
            if metric.samples:
                yield metric

    def parse(self, delta: Mapping[str, Any]) -> tuple[list[Any], dict[str, Any]]:
        """Return (what grew, the levels by metric). Raises RefusedError."""
        grown: list[Any] = []
        levels: dict[str, Any] = {}
        found = delta.get("foreign", {})
        if not isinstance(found, dict):
            raise RefusedError("foreign: an object is wanted")
        for name, told in found.items():
            try:
                kind, text, samples = str(told["type"]), str(told["help"]), told["samples"]
                for sample, labels, value, grows in samples:
                    if not (isinstance(sample, str) and isinstance(labels, dict) and _is_number(value)):
                        raise RefusedError(f"{name[:80]!r}: not a sample")
                    if grows and not 0.0 <= value < float("inf"):
                        raise RefusedError(f"{name[:80]!r}: a counter grows by a number")
                    named = {str(key): str(one) for key, one in labels.items()}
                    if grows:
                        grown.append((name, sample, _pairs(named), float(value)))
                    else:
                        levels.setdefault(name, []).append((sample, named, float(value)))
            except (KeyError, TypeError, ValueError, IndexError) as error:
                raise RefusedError(f"{str(name)[:80]!r}: not a foreign metric") from error
            with self._lock:
                if len(self._told) < self._app.registry.limits.per_family:
                    self._told[name] = (kind, text)
        return grown, levels

    def add(self, grown: Sequence[tuple[str, str, Values, float]]) -> list[Row]:
        """Add what grew; return the rows to keep."""
        rows: list[Row] = []
        with self._lock:
            for name, sample, pairs, value in grown:
                sums = self._sums.setdefault(name, {})
                key = (sample, pairs)
                if key not in sums:
                    if self._count >= MAX_FOREIGN_SAMPLES:
                        continue
                    self._count += 1
                sums[key] = sums.get(key, 0.0) + value
                rows.append((name, (sample, *pairs), sums[key]))
        return rows

    def declaration(self, name: str) -> dict[str, Any]:
        """Return what the store keeps of a metric beside its numbers."""
        kind, text = self._told.get(name, ("unknown", ""))
        return {"kind": "foreign", "type": kind, "help": text}

    def restore(self, name: str, told: Mapping[str, Any], rows: Iterable[tuple[Values, Any]]) -> None:
        """Put a kept metric back."""
        with self._lock:
            self._told[name] = (str(told.get("type", "unknown")), str(told.get("help", "")))
        self.add([(name, values[0], tuple(values[1:]), float(number)) for values, number in rows])


def _pairs(labels: Mapping[str, str]) -> Values:
    return tuple(f"{key}\0{value}" for key, value in sorted(labels.items()))


def _labels(pairs: Values) -> dict[str, str]:
    return {key: value for key, _, value in (pair.partition("\0") for pair in pairs)}


def _tables(delta: Mapping[str, Any], kind: str) -> list[tuple[str, list[Any]]]:
    tables = delta.get(kind, {})
    if not isinstance(tables, dict) or not all(isinstance(rows, list) for rows in tables.values()):
        raise RefusedError(f"{kind}: an object of lists is wanted")
    return list(tables.items())


def _shaped(rows: Sequence[Any], length: int) -> Iterator[Any]:
    for row in rows:
        if not isinstance(row, list) or len(row) != length or not isinstance(row[0], list):
            raise RefusedError("a row is label values and numbers")
        yield row


def _values(family: Family[Any], values: list[Any]) -> Values:
    if len(values) != len(family.labelnames) or not all(isinstance(one, str) for one in values):
        raise RefusedError(f"{family.name}: a text for each label is wanted")
    return tuple(values)


def _gauges(rows: Sequence[Any]) -> list[tuple[Values, float]]:
    found: list[tuple[Values, float]] = []
    for values, value in _shaped(rows, 2):
        if not _is_number(value) or not all(isinstance(one, str) for one in values):
            raise RefusedError("a gauge is label values and a number")
        found.append((tuple(values), float(value)))
    return found


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
