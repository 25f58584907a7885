"""Kibana by its status API: its level and how fast it answers. There is no kept exporter of the field's own.

API: `GET /api/status` (https://www.elastic.co/docs/api/doc/kibana/operation/operation-get-status, 7.17 to 9).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from topmast_exporter import http_json
from topmast_exporter.collector import Collector, Reading
from topmast_exporter.errors import CollectError
from topmast_exporter.http_json import PROPERTIES, OneAnswer, number, walk

LEVELS = ("available", "degraded", "unavailable", "critical")

# What 7.x called them.
COLOURS: Mapping[str, str] = {"green": "available", "yellow": "degraded", "red": "critical"}


@dataclass(frozen=True)
class Config(http_json.Config):
    """One Kibana."""

    url: str = "http://127.0.0.1:5601"


def parse(status: Any) -> Reading:
    """Return the metrics of `/api/status`; who is not logged in is told the level only. Raises CollectError."""
    overall = walk(status, "status.overall")
    level = walk(overall, "level") or COLOURS.get(str(walk(overall, "state")))
    if level not in LEVELS:
        raise CollectError("/api/status: not an answer of Kibana", "protocol")
    reading = Reading()
    for one in LEVELS:
        reading.gauge("kibana_status", "1 for the level that Kibana is at.", float(one == level), level=one)
    average = number(status, "metrics.response_times.avg_in_millis", 1e-3)
    reading.gauge("kibana_response_time_seconds", "Average time of the last answers.", average)
    longest = number(status, "metrics.response_times.max_in_millis", 1e-3)
    reading.gauge("kibana_response_time_max_seconds", "Longest time of the last answers.", longest)
    heap, limit = (number(status, f"metrics.process.memory.heap.{name}") for name in ("used_in_bytes", "size_limit"))
    reading.gauge("kibana_heap_used_bytes", "Used heap of the process.", heap)
    reading.gauge("kibana_heap_max_bytes", "Limit of the heap.", limit)
    connections = number(status, "metrics.concurrent_connections")
    reading.gauge("kibana_concurrent_connections", "Open connections.", connections)
    version = walk(status, "version.number")
    if isinstance(version, str):
        reading.gauge("kibana_info", "Version of Kibana.", 1, version=version)
    return reading


def build(config: Config) -> OneAnswer:
    # one that is unavailable says so with 503, and with the same body
    return OneAnswer(config, "/api/status", parse, accepted=(200, 503))


COLLECTOR = Collector(
    name="kibana",
    summary="Kibana: its level and how fast it answers, by its status API.",
    config=Config,
    properties=PROPERTIES,
    required=(),
    build=build,
    up="kibana_up",
    up_documentation="Whether the last refresh of this server succeeded.",
)
