"""What a registry counted since it was last looked at.

Counters and histograms as what was added; gauges as they are. What prometheus-client's collectors expose (`foreign`)
goes sample by sample, the growing ones of counters, histograms and summaries as what was added.
"""

import math
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from topmast_exporter.families import CounterFamily, Family, GaugeFamily, HistogramFamily
from topmast_exporter.registry import Registry
from topmast_exporter.series import Exemplar

if TYPE_CHECKING:
    from prometheus_client import Metric

Values = tuple[str, ...]

# The application's own threads run in between, as with a render.
BREATHE_EVERY = 1_000

# What grows in a foreign metric of this type: the endings of its samples.
GROWING = {"counter": ("_total", ""), "histogram": ("_bucket", "_count", "_sum"), "summary": ("_count", "_sum")}

# A collector that goes wild must not fill a message.
MAX_FOREIGN_SAMPLES = 20_000

# Exemplars are samples by nature: those of one second beyond this many are left out.
MAX_EXEMPLARS = 1_000

Marks = dict[tuple[str, Values, int], Exemplar]


@dataclass(slots=True)
class Reading:
    """The numbers of one moment, by family and label values."""

    counters: dict[str, dict[Values, float]] = field(default_factory=dict)
    histograms: dict[str, dict[Values, tuple[list[int], float]]] = field(default_factory=dict)
    foreign: dict[str, dict[tuple[str, Values], float]] = field(default_factory=dict)
    exemplars: Marks = field(default_factory=dict)


def take(registry: Registry, before: Reading) -> tuple[dict[str, Any], dict[str, Any], Reading]:
    """Return (declarations by family, what was added since `before`, the reading of now)."""
    now = Reading()
    declared: dict[str, Any] = {}
    counters: dict[str, Any] = {}
    histograms: dict[str, Any] = {}
    gauges: dict[str, Any] = {}
    for family in registry.families():
        declared[family.name] = declaration(family)
        if isinstance(family, CounterFamily):
            counters[family.name] = list(_counted(family, before.counters.get(family.name, {}), now))
        elif isinstance(family, HistogramFamily):
            histograms[family.name] = list(_observed(family, before.histograms.get(family.name, {}), now))
        elif isinstance(family, GaugeFamily):
            gauges[family.name] = [[values, value] for _, values, value in family.samples() if math.isfinite(value)]
    delta = {
        "counters": {name: added for name, added in counters.items() if added},
        "histograms": {name: added for name, added in histograms.items() if added},
        "gauges": gauges,
        "foreign": dict(_foreign(registry, set(declared), before, now)),
        "exemplars": _marked(before.exemplars, now.exemplars),
    }
    return declared, delta, now


def declaration(family: Family[Any]) -> dict[str, Any]:
    """Return what makes the same family elsewhere."""
    told: dict[str, Any] = {
        "kind": family.kind,
        "help": family.documentation,
        "labels": family.labelnames,
        "open": sorted(family.open_labels),
    }
    return {**told, "bounds": family.bounds} if isinstance(family, HistogramFamily) else told


def _counted(family: CounterFamily, before: dict[Values, float], now: Reading) -> Iterator[list[Any]]:
    taken = now.counters[family.name] = {}
    for number, series in enumerate(family.series(), 1):
        value = taken[series.values] = series.value
        known = before.get(series.values)
        # one that is new is told at 0 as well: a first increment is visible only after it
        if known is None or value > known:
            yield [series.values, value - (known or 0.0)]
        if (exemplar := series.exemplar) is not None:
            now.exemplars[family.name, series.values, 0] = exemplar
        if number % BREATHE_EVERY == 0:
            time.sleep(0)


def _observed(
    family: HistogramFamily, before: dict[Values, tuple[list[int], float]], now: Reading
) -> Iterator[list[Any]]:
    taken = now.histograms[family.name] = {}
    for number, series in enumerate(family.series(), 1):
        counts, total, exemplars = series.snapshot()
        taken[series.values] = (counts, total)
        for place, exemplar in enumerate(exemplars or ()):
            if exemplar is not None:
                now.exemplars[family.name, series.values, place] = exemplar
        known = before.get(series.values)
        if known is None:
            yield [series.values, counts, total]
        elif counts != known[0]:
            added = [new - old for new, old in zip(counts, known[0], strict=True)]
            yield [series.values, added, max(0.0, total - known[1])]
        if number % BREATHE_EVERY == 0:
            time.sleep(0)


def _marked(before: Marks, now: Marks) -> list[list[Any]]:
    """Return [family, label values, place of the bucket, trace id, value, unix time] of what is marked anew."""
    fresh = [(key, one) for key, one in now.items() if before.get(key) is not one]
    return [[*key, *one] for key, one in fresh[:MAX_EXEMPLARS]]


def _foreign(registry: Registry, ours: set[str], before: Reading, now: Reading) -> Iterator[tuple[str, Any]]:
    room = MAX_FOREIGN_SAMPLES
    for collector in registry.foreign():
        try:
            metrics = list(collector.collect())
        except Exception:  # noqa: BLE001 a guard: one broken collector must not cost the others
            registry.count_internal_error("foreign_collector")
            continue
        for metric in metrics:
            # a registry of ours may stand in a foreign one: its families travel by themselves
            if metric.name in ours or f"{metric.name}_total" in ours or metric.name in now.foreign:
                continue
            samples = list(_samples(metric, before, now))
            room -= len(samples)
            if room < 0:
                registry.count_internal_error("foreign_too_many")
                return
            yield metric.name, {"type": metric.type, "help": metric.documentation, "samples": samples}


def _samples(metric: "Metric", before: Reading, now: Reading) -> Iterator[list[Any]]:
    """Yield [sample name, labels, number, whether it grows]."""
    grows = {f"{metric.name}{ending}" for ending in GROWING.get(metric.type, ())}
    known = before.foreign.get(metric.name, {})
    taken = now.foreign[metric.name] = {}
    for sample in metric.samples:
        value = float(sample.value)
        if sample.name == f"{metric.name}_created" or not math.isfinite(value):
            continue
        if sample.name not in grows:
            yield [sample.name, sample.labels, value, False]
            continue
        key = (sample.name, tuple(f"{name}\0{text}" for name, text in sorted(sample.labels.items())))
        taken[key] = value
        old = known.get(key, 0.0)
        # a metric that was cleared by its owner begins anew
        added = value - old if value >= old else value
        if added or key not in known:
            yield [sample.name, sample.labels, added, True]
