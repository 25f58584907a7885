"""The seam to prometheus-client: our families as its metrics, and its metrics as text.

The text formats are those of prometheus-client's two `exposition` modules, with two differences that Topmast needs:
`_created` samples are left out (they double the lines of every counter), and a counter whose community name lacks
`_total` (`pg_stat_database_xact_commit`) keeps its name: `counter` in text 0.0.4, `unknown` in OpenMetrics, which
knows no such counter.
"""

import re
from collections.abc import Iterable
from typing import Any

from prometheus_client.core import Metric
from prometheus_client.samples import Exemplar, Sample

from topmast_exporter.families import CounterFamily, Family, GaugeFamily, HistogramFamily, escape_label
from topmast_exporter.series import Exemplar as OurExemplar
from topmast_exporter.series import number

_NOT_IN_NAMES = re.compile(r"[^a-zA-Z0-9_:]")


def empty_metric_of(family: Family[Any]) -> Metric:
    """Return a family without samples."""
    name, kind = family.name, family.kind
    if kind == "counter":
        name, kind = (name.removesuffix("_total"), kind) if name.endswith("_total") else (name, "unknown")
    return Metric(name, family.documentation, kind)


def metric_of(family: Family[Any]) -> Metric:
    """Return a family with its samples of now."""
    metric = empty_metric_of(family)
    names = family.labelnames
    if isinstance(family, CounterFamily):
        for counter in family.series():
            labels = dict(zip(names, counter.values, strict=True))
            metric.add_sample(family.name, labels, counter.value, exemplar=_exemplar(counter.exemplar))
    elif isinstance(family, GaugeFamily):
        for _, values, value in family.samples():
            metric.add_sample(family.name, dict(zip(names, values, strict=True)), value)
    elif isinstance(family, HistogramFamily):
        for histogram in family.series():
            labels = dict(zip(names, histogram.values, strict=True))
            counts, total, exemplars = histogram.snapshot()
            seen = 0
            for place, bound in enumerate((*family.bounds, float("inf"))):
                seen += counts[place]
                exemplar = None if exemplars is None else _exemplar(exemplars[place])
                bucket = {**labels, "le": number(bound)}
                metric.add_sample(f"{family.name}_bucket", bucket, seen, exemplar=exemplar)
            metric.add_sample(f"{family.name}_count", labels, seen)
            metric.add_sample(f"{family.name}_sum", labels, total)
    return metric


def sample_names(metric: Metric) -> set[str]:
    """Return every name that a `name[]=` filter may mean by this metric."""
    return {metric.name, *(sample.name for sample in metric.samples)}


def text_lines(metric: Metric) -> Iterable[str]:
    """Yield the lines of one metric in text 0.0.4."""
    kind = {"unknown": "untyped", "stateset": "gauge", "info": "gauge", "gaugehistogram": "histogram"}.get(
        metric.type, metric.type
    )
    name = _name(metric.name)
    if metric.type == "counter" and any(sample.name == f"{metric.name}_total" for sample in metric.samples):
        name += "_total"
    elif metric.type == "info":
        name += "_info"
    help_text = metric.documentation.replace("\\", r"\\").replace("\n", r"\n")
    yield f"# HELP {name} {help_text}\n# TYPE {name} {kind}\n"
    apart: dict[str, list[str]] = {}
    for sample in _exposed(metric):
        time = "" if sample.timestamp is None else f" {int(float(sample.timestamp) * 1000):d}"
        line = f"{_name(sample.name)}{_labels(sample)} {number(float(sample.value))}{time}\n"
        if sample.name in (f"{metric.name}_gsum", f"{metric.name}_gcount"):
            apart.setdefault(_name(sample.name), []).append(line)  # text 0.0.4 has no such suffix: gauges at the end
        else:
            yield line
    for name, lines in sorted(apart.items()):
        yield f"# HELP {name} {help_text}\n# TYPE {name} gauge\n"
        yield from lines


def openmetrics_lines(metric: Metric) -> Iterable[str]:
    """Yield the lines of one metric in OpenMetrics 1.0, without the `# EOF`."""
    name, kind = _name(metric.name), metric.type
    if kind == "counter" and any(sample.name == metric.name for sample in metric.samples):
        kind = "unknown"
    yield f"# HELP {name} {escape_label(metric.documentation)}\n# TYPE {name} {kind}\n"
    if metric.unit:
        yield f"# UNIT {name} {metric.unit}\n"
    for sample in _exposed(metric):
        time = "" if sample.timestamp is None else f" {sample.timestamp}"
        exemplar = "" if sample.exemplar is None or kind == "unknown" else _exemplar_text(sample.exemplar)
        yield f"{_name(sample.name)}{_labels(sample)} {number(float(sample.value))}{time}{exemplar}\n"


def _exposed(metric: Metric) -> list[Sample]:
    created = f"{metric.name}_created"
    return [one for one in metric.samples if one.name != created and one.value is not None]


def _labels(sample: Sample) -> str:
    if not sample.labels:
        return ""
    return (
        "{" + ",".join(f'{_name(key)}="{escape_label(value)}"' for key, value in sorted(sample.labels.items())) + "}"
    )


def _exemplar(exemplar: OurExemplar | None) -> Exemplar | None:
    if exemplar is None:
        return None
    trace_id, value, at = exemplar
    return Exemplar({"trace_id": trace_id}, value, at)


def _exemplar_text(exemplar: Exemplar) -> str:
    labels = ",".join(f'{key}="{escape_label(value)}"' for key, value in sorted(exemplar.labels.items()))
    time = "" if exemplar.timestamp is None else f" {exemplar.timestamp}"
    return f" # {{{labels}}} {number(float(exemplar.value))}{time}"


def _name(name: str) -> str:
    return _NOT_IN_NAMES.sub("_", name)
