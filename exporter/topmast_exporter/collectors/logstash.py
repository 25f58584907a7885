"""Logstash by its monitoring API: events, queues, dead letters and heap. It has no exporter of the field's own.

API: `GET /_node/stats` (https://www.elastic.co/docs/api/doc/logstash/operation/operation-nodestats, 7.17 to 9).
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from topmast_exporter import http_json
from topmast_exporter.collector import Collector, Reading
from topmast_exporter.errors import CollectError
from topmast_exporter.http_json import PROPERTIES, OneAnswer, number, walk

# A Logstash with more has a pipeline for each customer; their sum is what `_other` is for.
MAX_PIPELINES = 50


@dataclass(frozen=True)
class Config(http_json.Config):
    """One Logstash."""

    url: str = "http://127.0.0.1:9600"


def parse(stats: Any) -> Reading:
    """Return the metrics of `/_node/stats`. Raises CollectError when it is none."""
    pipelines = walk(stats, "pipelines")
    if not isinstance(pipelines, Mapping):
        raise CollectError("/_node/stats: not an answer of Logstash", "protocol")
    reading = Reading()
    read = [(str(name), _pipeline(pipeline)) for name, pipeline in pipelines.items()]
    for name, values in read[:MAX_PIPELINES]:
        _show(reading, name, values)
    if rest := [values for _, values in read[MAX_PIPELINES:]]:
        _show(reading, "_other", {metric: _sum(one[metric] for one in rest) for metric in FAMILIES})
    used, most = number(stats, "jvm.mem.heap_used_in_bytes"), number(stats, "jvm.mem.heap_max_in_bytes")
    if used is not None and most:
        reading.gauge("logstash_jvm_heap_used_ratio", "Share of the JVM's heap that is used.", used / most)
    reading.counter("logstash_reloads_failures_total", "Failed reloads.", number(stats, "reloads.failures"))
    uptime = number(stats, "jvm.uptime_in_millis", 1e-3)
    reading.gauge("logstash_uptime_seconds", "Time since the JVM's start.", uptime)
    version = walk(stats, "version")
    if isinstance(version, str):
        reading.gauge("logstash_info", "Version of Logstash.", 1, version=version)
    return reading


# Of each pipeline, in the order in which they are shown.
FAMILIES: Mapping[str, str] = {
    "logstash_pipeline_events_in_total": "Events in.",
    "logstash_pipeline_events_filtered_total": "Events filtered.",
    "logstash_pipeline_events_out_total": "Events out.",
    "logstash_pipeline_duration_seconds_total": "Time in filters and outputs.",
    "logstash_pipeline_reloads_failures_total": "Failed reloads.",
    "logstash_pipeline_queue_events": "Events in the persistent queue.",
    "logstash_pipeline_queue_bytes": "Size of the persistent queue.",
    "logstash_pipeline_queue_max_bytes": "Limit of the persistent queue.",
    "logstash_pipeline_dead_letter_bytes": "Size of the dead letter queue.",
}


def _pipeline(stats: Any) -> Mapping[str, float | None]:
    """Return each of FAMILIES of one pipeline, None where it says nothing of it."""
    persisted = walk(stats, "queue.type") == "persisted"  # a queue in memory has no numbers
    # 7 and later count `events_count`, 6 `events`
    events = _first(stats, "queue.events_count", "queue.events")
    size = _first(stats, "queue.queue_size_in_bytes", "queue.capacity.queue_size_in_bytes")
    most = _first(stats, "queue.max_queue_size_in_bytes", "queue.capacity.max_queue_size_in_bytes")
    values = (
        number(stats, "events.in"),
        number(stats, "events.filtered"),
        number(stats, "events.out"),
        number(stats, "events.duration_in_millis", 1e-3),
        number(stats, "reloads.failures"),
        *((events, size, most) if persisted else (None, None, None)),
        number(stats, "dead_letter_queue.queue_size_in_bytes"),
    )
    return dict(zip(FAMILIES, values, strict=True))


def _sum(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) if known else None


def _show(reading: Reading, pipeline: str, values: Mapping[str, float | None]) -> None:
    for name, value in values.items():
        add = reading.counter if name.endswith("_total") else reading.gauge
        add(name, FAMILIES[name], value, pipeline=pipeline)


def _first(document: Any, *paths: str) -> float | None:
    return next((value for value in (number(document, path) for path in paths) if value is not None), None)


def build(config: Config) -> OneAnswer:
    return OneAnswer(config, "/_node/stats", parse)


COLLECTOR = Collector(
    name="logstash",
    summary="Logstash: events, queues, dead letters and heap by its monitoring API.",
    config=Config,
    properties=PROPERTIES,
    required=(),
    build=build,
    up="logstash_up",
    up_documentation="Whether the last refresh of this server succeeded.",
)
