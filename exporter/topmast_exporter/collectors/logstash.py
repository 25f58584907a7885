"""Logstash by its monitoring API: events, queues, dead letters and heap. It has no exporter of the field's own.

API: `GET /_node/stats` (https://www.elastic.co/docs/api/doc/logstash/operation/operation-nodestats, 7.17 to 9).
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from topmast_exporter.collector import Collector, Reading
from topmast_exporter.errors import CollectError
from topmast_exporter.http_json import PROPERTIES, Access, HttpJson, number, walk

# A Logstash with more has a pipeline for each customer; their sum is what `_other` is for.
MAX_PIPELINES = 50


@dataclass(frozen=True)
class Config:
    """One Logstash."""

    target: str
    url: str = "http://127.0.0.1:9600"
    user: str = ""
    password_file: str = ""
    api_key_file: str = ""
    ca_file: str = ""
    interval_seconds: float = 15.0
    timeout_seconds: float = 5.0


def parse(stats: Any) -> Reading:
    """Return the metrics of `/_node/stats`. Raises CollectError when it is none."""
    pipelines = walk(stats, "pipelines")
    if not isinstance(pipelines, Mapping):
        raise CollectError("/_node/stats: not an answer of Logstash", "protocol")
    reading = Reading()
    for name, pipeline in list(pipelines.items())[:MAX_PIPELINES]:
        _pipeline(reading, str(name), pipeline)
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


def _pipeline(reading: Reading, name: str, stats: Any) -> None:
    for what in ("in", "filtered", "out"):
        value = number(stats, f"events.{what}")
        reading.counter(f"logstash_pipeline_events_{what}_total", f"Events {what}.", value, pipeline=name)
    duration = number(stats, "events.duration_in_millis", 1e-3)
    reading.counter(
        "logstash_pipeline_duration_seconds_total", "Time in filters and outputs.", duration, pipeline=name
    )
    failures = number(stats, "reloads.failures")
    reading.counter("logstash_pipeline_reloads_failures_total", "Failed reloads.", failures, pipeline=name)
    # A queue in memory has no numbers. 8 counts `events_count`, older ones `events`.
    events = _first(stats, "queue.events_count", "queue.events")
    size = _first(stats, "queue.queue_size_in_bytes", "queue.capacity.queue_size_in_bytes")
    most = _first(stats, "queue.max_queue_size_in_bytes", "queue.capacity.max_queue_size_in_bytes")
    if walk(stats, "queue.type") == "persisted":
        reading.gauge("logstash_pipeline_queue_events", "Events in the persistent queue.", events, pipeline=name)
        reading.gauge("logstash_pipeline_queue_bytes", "Size of the persistent queue.", size, pipeline=name)
        reading.gauge("logstash_pipeline_queue_max_bytes", "Limit of the persistent queue.", most, pipeline=name)
    dead = number(stats, "dead_letter_queue.queue_size_in_bytes")
    reading.gauge("logstash_pipeline_dead_letter_bytes", "Size of the dead letter queue.", dead, pipeline=name)


def _first(document: Any, *paths: str) -> float | None:
    return next((value for value in (number(document, path) for path in paths) if value is not None), None)


class LogstashSource:
    """One Logstash, one kept connection."""

    def __init__(self, config: Config) -> None:
        self._timeout = config.timeout_seconds
        self._http = HttpJson(
            Access(config.url, config.user, config.password_file, config.api_key_file, config.ca_file)
        )

    def collect(self) -> Reading:
        return parse(self._http.get("/_node/stats", time.monotonic() + self._timeout))

    def close(self) -> None:
        self._http.close()


COLLECTOR = Collector(
    name="logstash",
    summary="Logstash: events, queues, dead letters and heap by its monitoring API.",
    config=Config,
    properties=PROPERTIES,
    required=(),
    build=LogstashSource,
    up="logstash_up",
    up_documentation="Whether the last refresh of this server succeeded.",
)
