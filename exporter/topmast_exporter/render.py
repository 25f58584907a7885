"""The text of a scrape: text format 0.0.4, or OpenMetrics 1.0 when the scraper asks for it.

Formats: https://prometheus.io/docs/instrumenting/exposition_formats/ and the OpenMetrics 1.0 specification. A line is
a prefix that its record keeps and a number; nothing is escaped or formatted again from one scrape to the next.
"""

import time
from collections.abc import Iterator
from typing import Any, TypeVar

from topmast_exporter.families import CounterFamily, Family, GaugeFamily, HistogramFamily, escape_label
from topmast_exporter.registry import Registry
from topmast_exporter.series import Exemplar, HistogramSeries, number

T = TypeVar("T")

# Lines between two breaths (about 0.3 ms), and how long one takes at the least.
BREATHE_EVERY = 1_000
BREATH_SECONDS = 20e-6

TEXT = "text/plain; version=0.0.4; charset=utf-8"
OPENMETRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"

# 0.0.1 is what Prometheus 2.x lists as its second choice; the format it means is 1.0's draft.
_OPENMETRICS_VERSIONS = frozenset({"", "1.0.0", "0.0.1"})


def render(registry: Registry, accept: str = "", names: frozenset[str] = frozenset()) -> tuple[bytes, str]:
    """Return (body, content type) of a scrape.

    `accept` is the request's Accept header. `names` is its `name[]` filter: only families which have one of these
    names, or a sample of one, are exposed; empty exposes all.
    """
    openmetrics = wants_openmetrics(accept)
    asked = (family for family in registry.families() if _is_asked(family, names))
    # piece by piece: encoding megabytes at once would keep the interpreter for as long
    parts = [text.encode() for family in asked for text in _own(family, openmetrics)]
    if registry.foreign():
        parts.extend(text.encode() for text in _foreign(registry, openmetrics, names))
    if openmetrics:
        parts.append(b"# EOF\n")
    return b"".join(parts), OPENMETRICS if openmetrics else TEXT


def wants_openmetrics(accept: str) -> bool:
    """Return whether an Accept header prefers OpenMetrics 1.0 to text 0.0.4 (`*/*` does not)."""
    best = {"application/openmetrics-text": 0.0, "text/plain": 0.0}
    for choice in accept.split(","):
        kind, *pairs = (part.strip().lower() for part in choice.split(";"))
        parameters = dict(pair.split("=", 1) for pair in pairs if "=" in pair)
        if kind in best and (kind == "text/plain" or parameters.get("version", "") in _OPENMETRICS_VERSIONS):
            best[kind] = max(best[kind], _quality(parameters.get("q", "1")))
    return best["application/openmetrics-text"] > 0 and best["application/openmetrics-text"] >= best["text/plain"]


def _quality(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return 0.0


def _is_asked(family: Family[Any], names: frozenset[str]) -> bool:
    if not names or family.name in names or family.name.removesuffix("_total") in names:
        return True
    suffixes = ("_bucket", "_sum", "_count") if family.kind == "histogram" else ()
    return any(f"{family.name}{suffix}" in names for suffix in suffixes)


def _own(family: Family[Any], openmetrics: bool) -> Iterator[str]:
    name, kind = family.name, family.kind
    if openmetrics and kind == "counter":
        name, kind = (name.removesuffix("_total"), kind) if name.endswith("_total") else (name, "unknown")
    if openmetrics:
        yield f"# HELP {name} {escape_label(family.documentation)}\n# TYPE {name} {kind}\n"
    else:
        help_text = family.documentation.replace("\\", r"\\").replace("\n", r"\n")
        yield f"# HELP {name} {help_text}\n# TYPE {name} {kind}\n"
    if isinstance(family, CounterFamily):
        for some in _breathing(family.series()):
            if openmetrics and kind == "counter":
                yield "".join(
                    [
                        f"{one.prefix}{one.value!r}{'' if one.exemplar is None else _exemplar(one.exemplar)}\n"
                        for one in some
                    ]
                )
            else:
                # A counter's value is finite by construction, hence repr.
                yield "".join([f"{one.prefix}{one.value!r}\n" for one in some])
    elif isinstance(family, GaugeFamily):
        for readings in _breathing(list(family.samples())):
            yield "".join([f"{prefix}{number(value)}\n" for prefix, _, value in readings])
    elif isinstance(family, HistogramFamily):
        for histograms in _breathing(family.series(), BREATHE_EVERY // 10):
            yield from _histograms(family, histograms, openmetrics)


def _breathing(records: list[T], every: int = BREATHE_EVERY) -> Iterator[list[T]]:
    """Yield the records in pieces, and let the other threads run in between.

    A thread that only computes keeps the interpreter for 5 ms at a time, and whoever wants it waits that long at each
    of its turns; giving it away for a moment costs the render some microseconds. Zero seconds would not do: the
    interpreter would be taken again before anybody woke up.
    """
    for start in range(0, len(records), every):
        if start:
            time.sleep(BREATH_SECONDS)
        yield records[start : start + every]


def _histograms(family: HistogramFamily, records: list[HistogramSeries], openmetrics: bool) -> Iterator[str]:
    name, ends = family.name, family.ends
    for one in records:
        counts, total, exemplars = one.snapshot()
        prefix = one.prefix
        lines = []
        seen = 0
        if openmetrics and exemplars is not None:
            for end, count, exemplar in zip(ends, counts, exemplars, strict=True):
                seen += count
                lines.append(f"{prefix}{end}{seen}{'' if exemplar is None else _exemplar(exemplar)}\n")
        else:
            for end, count in zip(ends, counts, strict=True):
                seen += count
                lines.append(f"{prefix}{end}{seen}\n")
        lines.append(f"{name}_count{one.tail}{seen}\n{name}_sum{one.tail}{total!r}\n")
        yield "".join(lines)


def _exemplar(exemplar: Exemplar) -> str:
    trace_id, value, at = exemplar
    return f' # {{trace_id="{trace_id}"}} {number(value)} {at:.3f}'


def _foreign(registry: Registry, openmetrics: bool, names: frozenset[str]) -> Iterator[str]:
    # Here and not above: an app that registers nothing foreign need not import prometheus-client.
    from topmast_exporter.foreign import openmetrics_lines, sample_names, text_lines

    lines = openmetrics_lines if openmetrics else text_lines
    # A name twice is a scrape refused: ours comes first. Our registry may stand in a foreign one, which is no error.
    taken = {name for family in registry.families() for name in (family.name, family.name.removesuffix("_total"))}
    for collector in registry.foreign():
        try:
            metrics = list(collector.collect())
        except Exception:  # noqa: BLE001 a guard: one broken collector must not cost the scrape
            registry.count_internal_error("foreign_collector")
            continue
        for metric in metrics:
            asked = sample_names(metric)
            if metric.name in taken or (names and not names & asked):
                continue
            try:
                text = "".join(lines(metric))
            except Exception:  # noqa: BLE001 a guard: one malformed metric must not cost the others
                registry.count_internal_error("foreign_metric")
                continue
            taken.add(metric.name)
            yield text
