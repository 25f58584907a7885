"""Elasticsearch: elasticsearch_exporter's names for the cluster's health and its nodes, over one kept connection.

What is asked: `/_cluster/health`, and `/_nodes/stats` or, with `nodes: _local`, the one node's. Rights that are
enough: the cluster privilege `monitor` (an API key with `{"cluster": ["monitor"]}`).
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from topmast_exporter import http_json
from topmast_exporter.collector import Collector, Reading
from topmast_exporter.elasticsearch_nodes import read_health, read_nodes
from topmast_exporter.errors import CollectError
from topmast_exporter.http_json import HttpJson, walk

# Of the statistics only what becomes a metric: a node's ingest pipelines and scripts alone can be megabytes.
SECTIONS = "indices,os,process,jvm,thread_pool,fs,transport,http,breaker"

_FILTER = "-nodes.*.http.clients,-nodes.*.http.routes,-nodes.*.indices.shard_stats"


@dataclass(frozen=True)
class Config(http_json.Config):
    """One cluster, asked through one of its nodes."""

    url: str = "http://127.0.0.1:9200"
    nodes: str = "_all"
    """Whose statistics: `_all`, `_local`, or a node's name."""
    timeout_seconds: float = 10.0


PROPERTIES: Mapping[str, Any] = {
    **http_json.PROPERTIES,
    "nodes": {"type": "string", "pattern": "^[A-Za-z0-9_.-]{1,128}$"},
}


def parse(health: Any, stats: Any) -> Reading:
    """Return the metrics of the two answers; `stats` is None when it was refused. Raises CollectError."""
    cluster = walk(health, "cluster_name")
    if not isinstance(cluster, str):
        raise CollectError("/_cluster/health: not an answer of Elasticsearch", "protocol")
    reading = Reading()
    read_health(reading, health, cluster)
    if stats is not None:
        read_nodes(reading, stats)
    return reading


class ElasticsearchSource:
    """One cluster, one kept connection."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._http = HttpJson(config)

    def collect(self) -> Reading:
        deadline = time.monotonic() + self._config.timeout_seconds
        health = self._http.get("/_cluster/health", deadline)
        path = "/_nodes/stats" if self._config.nodes == "_all" else f"/_nodes/{self._config.nodes}/stats"
        refused: CollectError | None = None
        stats = None
        try:
            stats = self._http.get(f"{path}/{SECTIONS}?filter_path={_FILTER}", deadline)
        except CollectError as error:
            if error.reason != "permission":
                raise
            refused = error
        reading = parse(health, stats)
        if refused is not None:
            reading.leave_out("nodes", str(refused))
        return reading

    def close(self) -> None:
        self._http.close()


COLLECTOR = Collector(
    name="elasticsearch",
    summary="Elasticsearch: elasticsearch_exporter's names for the cluster's health and its nodes.",
    config=Config,
    properties=PROPERTIES,
    required=(),
    build=ElasticsearchSource,
    up="elasticsearch_up",
    up_documentation="Whether the last refresh of this server succeeded.",
)
