"""`/_nodes/stats` and `/_cluster/health` of Elasticsearch as metrics, under elasticsearch_exporter's names.

Names: https://github.com/prometheus-community/elasticsearch_exporter (collector/nodes.go, cluster_health.go, v1.9).
What a version does not say is absent; elasticsearch_exporter says 0 there.
"""

from collections.abc import Mapping
from typing import Any

from topmast_exporter.collector import Reading
from topmast_exporter.http_json import number, walk

# A cluster with more has an exporter of its own.
MAX_NODES = 100
MAX_POOLS = 100

COLOURS = ("green", "yellow", "red")

# What the field's exporter shows of a node's roles; `client` is a node that answers HTTP.
_TIERS = frozenset({"data_hot", "data_warm", "data_cold", "data_frozen", "data_content"})
ROLES = _TIERS | {"master", "data", "ml", "remote_cluster_client", "transform", "ingest"}

# name after `elasticsearch_cluster_health_` -> field
HEALTH: Mapping[str, str] = {
    "active_primary_shards": "active_primary_shards",
    "active_shards": "active_shards",
    "delayed_unassigned_shards": "delayed_unassigned_shards",
    "initializing_shards": "initializing_shards",
    "number_of_data_nodes": "number_of_data_nodes",
    "number_of_in_flight_fetch": "number_of_in_flight_fetch",
    "number_of_nodes": "number_of_nodes",
    "number_of_pending_tasks": "number_of_pending_tasks",
    "relocating_shards": "relocating_shards",
    "task_max_waiting_in_queue_millis": "task_max_waiting_in_queue_millis",
    "unassigned_shards": "unassigned_shards",
}

# name after `elasticsearch_` -> path in a node's stats. Times there are milliseconds, and seconds here (`_seconds`).
GAUGES: Mapping[str, str] = {
    "os_load1": "os.cpu.load_average.1m",
    "os_load5": "os.cpu.load_average.5m",
    "os_load15": "os.cpu.load_average.15m",
    "os_cpu_percent": "os.cpu.percent",
    "os_mem_free_bytes": "os.mem.free_in_bytes",
    "os_mem_used_bytes": "os.mem.used_in_bytes",
    "indices_fielddata_memory_size_bytes": "indices.fielddata.memory_size_in_bytes",
    "indices_query_cache_memory_size_bytes": "indices.query_cache.memory_size_in_bytes",
    "indices_query_cache_cache_size": "indices.query_cache.cache_size",
    "indices_request_cache_memory_size_bytes": "indices.request_cache.memory_size_in_bytes",
    "indices_docs": "indices.docs.count",
    "indices_docs_deleted": "indices.docs.deleted",
    "indices_store_size_bytes": "indices.store.size_in_bytes",
    "indices_segments_count": "indices.segments.count",
    "indices_segments_memory_bytes": "indices.segments.memory_in_bytes",
    "indices_segments_terms_memory_in_bytes": "indices.segments.terms_memory_in_bytes",
    "indices_segments_index_writer_memory_in_bytes": "indices.segments.index_writer_memory_in_bytes",
    "indices_segments_norms_memory_in_bytes": "indices.segments.norms_memory_in_bytes",
    "indices_segments_stored_fields_memory_in_bytes": "indices.segments.stored_fields_memory_in_bytes",
    "indices_segments_doc_values_memory_in_bytes": "indices.segments.doc_values_memory_in_bytes",
    "indices_segments_fixed_bit_set_memory_in_bytes": "indices.segments.fixed_bit_set_memory_in_bytes",
    "indices_segments_term_vectors_memory_in_bytes": "indices.segments.term_vectors_memory_in_bytes",
    "indices_segments_points_memory_in_bytes": "indices.segments.points_memory_in_bytes",
    "indices_segments_version_map_memory_in_bytes": "indices.segments.version_map_memory_in_bytes",
    "indices_merges_current": "indices.merges.current",
    "indices_merges_current_size_in_bytes": "indices.merges.current_size_in_bytes",
    "process_cpu_percent": "process.cpu.percent",
    "process_mem_virtual_size_bytes": "process.mem.total_virtual_in_bytes",
    "process_open_files_count": "process.open_file_descriptors",
    "process_max_files_descriptors": "process.max_file_descriptors",
}

COUNTERS: Mapping[str, str] = {
    "indices_fielddata_evictions": "indices.fielddata.evictions",
    "indices_completion_size_in_bytes": "indices.completion.size_in_bytes",
    "indices_query_cache_evictions": "indices.query_cache.evictions",
    "indices_query_cache_total": "indices.query_cache.total_count",
    "indices_query_cache_cache_total": "indices.query_cache.cache_count",
    "indices_request_cache_evictions": "indices.request_cache.evictions",
    "indices_translog_operations": "indices.translog.operations",
    "indices_translog_size_in_bytes": "indices.translog.size_in_bytes",
    "indices_get_time_seconds": "indices.get.time_in_millis",
    "indices_get_total": "indices.get.total",
    "indices_get_missing_time_seconds": "indices.get.missing_time_in_millis",
    "indices_get_missing_total": "indices.get.missing_total",
    "indices_get_exists_time_seconds": "indices.get.exists_time_in_millis",
    "indices_get_exists_total": "indices.get.exists_total",
    "indices_refresh_time_seconds_total": "indices.refresh.total_time_in_millis",
    "indices_refresh_total": "indices.refresh.total",
    "indices_search_query_time_seconds": "indices.search.query_time_in_millis",
    "indices_search_query_total": "indices.search.query_total",
    "indices_search_fetch_time_seconds": "indices.search.fetch_time_in_millis",
    "indices_search_fetch_total": "indices.search.fetch_total",
    "indices_search_suggest_time_seconds": "indices.search.suggest_time_in_millis",
    "indices_search_suggest_total": "indices.search.suggest_total",
    "indices_search_scroll_time_seconds": "indices.search.scroll_time_in_millis",
    "indices_search_scroll_total": "indices.search.scroll_total",
    "indices_flush_time_seconds": "indices.flush.total_time_in_millis",
    "indices_flush_total": "indices.flush.total",
    "indices_warmer_time_seconds_total": "indices.warmer.total_time_in_millis",
    "indices_warmer_total": "indices.warmer.total",
    "indices_indexing_index_time_seconds_total": "indices.indexing.index_time_in_millis",
    "indices_indexing_index_total": "indices.indexing.index_total",
    "indices_indexing_delete_time_seconds_total": "indices.indexing.delete_time_in_millis",
    "indices_indexing_delete_total": "indices.indexing.delete_total",
    "indices_indexing_throttle_time_seconds_total": "indices.indexing.throttle_time_in_millis",
    "indices_merges_total": "indices.merges.total",
    "indices_merges_docs_total": "indices.merges.total_docs",
    "indices_merges_total_size_bytes_total": "indices.merges.total_size_in_bytes",
    "indices_merges_total_time_seconds_total": "indices.merges.total_time_in_millis",
    "indices_merges_total_throttled_time_seconds_total": "indices.merges.total_throttled_time_in_millis",
    "process_cpu_seconds_total": "process.cpu.total_in_millis",
    "transport_rx_packets_total": "transport.rx_count",
    "transport_rx_size_bytes_total": "transport.rx_size_in_bytes",
    "transport_tx_packets_total": "transport.tx_count",
    "transport_tx_size_bytes_total": "transport.tx_size_in_bytes",
}

# (name after `elasticsearch_`, path, label, its value)
LABELLED_GAUGES = (
    ("jvm_memory_used_bytes", "jvm.mem.heap_used_in_bytes", "area", "heap"),
    ("jvm_memory_used_bytes", "jvm.mem.non_heap_used_in_bytes", "area", "non-heap"),
    ("jvm_memory_max_bytes", "jvm.mem.heap_max_in_bytes", "area", "heap"),
    ("jvm_memory_committed_bytes", "jvm.mem.heap_committed_in_bytes", "area", "heap"),
    ("jvm_memory_committed_bytes", "jvm.mem.non_heap_committed_in_bytes", "area", "non-heap"),
    ("jvm_buffer_pool_used_bytes", "jvm.buffer_pools.direct.used_in_bytes", "type", "direct"),
    ("jvm_buffer_pool_used_bytes", "jvm.buffer_pools.mapped.used_in_bytes", "type", "mapped"),
    # the label has no meaning; the field's exporter has it
    ("jvm_uptime_seconds", "jvm.uptime_in_millis", "type", "mapped"),
)
LABELLED_COUNTERS = (
    ("indices_query_cache_count", "indices.query_cache.hit_count", "cache", "hit"),
    ("indices_query_miss_count", "indices.query_cache.miss_count", "cache", "miss"),
    ("indices_request_cache_count", "indices.request_cache.hit_count", "cache", "hit"),
    ("indices_request_miss_count", "indices.request_cache.miss_count", "cache", "miss"),
)

_BREAKERS = {"estimated_size_bytes": "estimated_size_in_bytes", "limit_size_bytes": "limit_size_in_bytes"}
_THREADS = {"active_count": "active", "largest_count": "largest", "queue_count": "queue", "threads_count": "threads"}
_DISKS = {"available_bytes": "available_in_bytes", "free_bytes": "free_in_bytes", "size_bytes": "total_in_bytes"}
_DEVICES = {
    "operations_count": "operations",
    "read_operations_count": "read_operations",
    "write_operations_count": "write_operations",
    "read_size_kilobytes_sum": "read_kilobytes",
    "write_size_kilobytes_sum": "write_kilobytes",
}


def read_health(reading: Reading, health: Any, cluster: str) -> None:
    """Add `/_cluster/health`."""
    status = walk(health, "status")
    for colour in COLOURS:
        name = "elasticsearch_cluster_health_status"
        reading.gauge(
            name, "1 for the colour of the cluster.", float(status == colour), cluster=cluster, color=colour
        )
    for name, path in HEALTH.items():
        value = number(health, path)
        reading.gauge(f"elasticsearch_cluster_health_{name}", f"{path} of the health.", value, cluster=cluster)


def read_nodes(reading: Reading, stats: Any) -> None:
    """Add `/_nodes/stats`."""
    cluster = str(walk(stats, "cluster_name") or "")
    nodes = walk(stats, "nodes")
    for node in list((nodes if isinstance(nodes, Mapping) else {}).values())[:MAX_NODES]:
        where = {"cluster": cluster, "host": str(walk(node, "host") or ""), "name": str(walk(node, "name") or "")}
        listed = walk(node, "roles")
        roles = {str(one) for one in listed} if isinstance(listed, list) else set()
        of = {**where, **{f"es_{role}_node": str(role in roles).lower() for role in ("master", "data", "ingest")}}
        of["es_client_node"] = str(bool(walk(node, "http"))).lower()
        for role in sorted((roles & ROLES) | ({"client"} if walk(node, "http") else set())):
            reading.gauge("elasticsearch_nodes_roles", "1 for each role of a node.", 1, **where, role=role)
        _plain(reading, node, of)
        _many(reading, node, of)


def _plain(reading: Reading, node: Any, of: dict[str, str]) -> None:
    for name, path in GAUGES.items():
        reading.gauge(f"elasticsearch_{name}", f"{path} of a node.", _value(node, path), **of)
    for name, path in COUNTERS.items():
        reading.counter(f"elasticsearch_{name}", f"{path} of a node.", _value(node, path), **of)
    for name, path, label, value in LABELLED_GAUGES:
        reading.gauge(f"elasticsearch_{name}", f"{path} of a node.", _value(node, path), **of, **{label: value})
    for name, path, label, value in LABELLED_COUNTERS:
        reading.counter(f"elasticsearch_{name}", f"{path} of a node.", _value(node, path), **of, **{label: value})
    throttled = walk(node, "indices.indexing.is_throttled")
    if isinstance(throttled, bool):
        name = "elasticsearch_indices_indexing_is_throttled"
        reading.gauge(name, "Whether indexing is throttled.", float(throttled), **of)


def _value(node: Any, path: str) -> float | None:
    return number(node, path, 1e-3 if path.endswith("_in_millis") else 1.0)


def _many(reading: Reading, node: Any, of: dict[str, str]) -> None:
    for pool, stats in _items(node, "jvm.mem.pools"):
        of_pool = {**of, "pool": pool}
        used = number(stats, "used_in_bytes")
        reading.gauge("elasticsearch_jvm_memory_pool_used_bytes", "Used memory of a pool.", used, **of_pool)
        for name in ("max", "peak_used", "peak_max"):
            value = number(stats, f"{name}_in_bytes")
            reading.counter(f"elasticsearch_jvm_memory_pool_{name}_bytes", f"{name} of a pool.", value, **of_pool)
    for gc, stats in _items(node, "jvm.gc.collectors"):
        count, seconds = number(stats, "collection_count"), number(stats, "collection_time_in_millis", 1e-3)
        reading.counter("elasticsearch_jvm_gc_collection_seconds_count", "Garbage collections.", count, **of, gc=gc)
        reading.counter("elasticsearch_jvm_gc_collection_seconds_sum", "Time in them.", seconds, **of, gc=gc)
    for breaker, stats in _items(node, "breakers"):
        of_breaker = {**of, "breaker": breaker}
        for name, path in _BREAKERS.items():
            value = number(stats, path)
            reading.gauge(f"elasticsearch_breakers_{name}", f"{path} of a breaker.", value, **of_breaker)
        for name in ("tripped", "overhead"):
            value = number(stats, name)
            reading.counter(f"elasticsearch_breakers_{name}", f"{name} of a breaker.", value, **of_breaker)
    for pool, stats in _items(node, "thread_pool"):
        for name, path in _THREADS.items():
            value = number(stats, path)
            reading.gauge(f"elasticsearch_thread_pool_{name}", f"{path} of a thread pool.", value, **of, type=pool)
        for name in ("completed", "rejected"):
            value = number(stats, name)
            reading.counter(f"elasticsearch_thread_pool_{name}_count", f"{name} of a pool.", value, **of, type=pool)
    for disk in _list(node, "fs.data"):
        place = {"mount": str(walk(disk, "mount") or ""), "path": str(walk(disk, "path") or "")}
        for name, path in _DISKS.items():
            value = number(disk, path)
            reading.gauge(f"elasticsearch_filesystem_data_{name}", f"{path} of a data path.", value, **of, **place)
    for device in _list(node, "fs.io_stats.devices"):
        named = str(walk(device, "device_name") or "")
        for name, path in _DEVICES.items():
            full = f"elasticsearch_filesystem_io_stats_device_{name}"
            reading.counter(full, f"{path} of a device.", number(device, path), **of, device=named)


def _items(node: Any, path: str) -> list[tuple[str, Any]]:
    found = walk(node, path)
    return [(str(key), value) for key, value in list(found.items())[:MAX_POOLS]] if isinstance(found, Mapping) else []


def _list(node: Any, path: str) -> list[Any]:
    found = walk(node, path)
    return found[:MAX_POOLS] if isinstance(found, list) else []
