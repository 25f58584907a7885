"""The differences that have a reason: the field's exporters in the versions that Debian 12 has, and ours."""

from topmast.parity import Explanation

_OWN = "redis_exporter 1.45 says how its own scrape went"
_ES_OWN = "elasticsearch_exporter 1.5 says how its own scrape went; ours says it in exporter_collector_*"
_ES_OLD = "0 in elasticsearch_exporter 1.5 for what Elasticsearch has left out since 2.0; unknown is absent in ours"
_ES_ROOT = "elasticsearch_exporter 1.5 asks `GET /`, which a node out of the bare jars does not answer"
_CONNECTION = "theirs connects for each scrape, and is counted while it asks"

EXPLAINED = (
    Explanation("redis", "redis_target_scrape_request_errors_total", _OWN),
    Explanation("redis", "redis_last_key_groups_scrape_duration_milliseconds", _OWN),
    Explanation("redis", "redis_instance_info", "redis_exporter 1.45 has no label master_replid; 1.88 has it"),
    Explanation("redis", "redis_connected_clients", _CONNECTION),
    Explanation("redis", "redis_memory_used(_dataset)?_bytes|redis_mem_clients_normal", _CONNECTION, sometimes=True),
    Explanation(
        "redis",
        "redis_latency_percentiles_usec",
        "a percentile moves both ways with each command that is asked between two readings",
        sometimes=True,
    ),
    Explanation(
        "redis",
        "redis_start_time_seconds",
        "both subtract whole seconds from a clock: one apart at most",
        sometimes=True,
    ),
    Explanation(
        "postgres",
        "pg_stat_activity_(count|max_tx_duration)",
        "postgres_exporter 0.11.1 has datname and state; 0.20 has the five labels more that ours has",
    ),
    Explanation(
        "postgres",
        "pg_stat_database_(active_time|checksum_failures|checksum_last_failure|idle_in_transaction_time|session_time"
        "|sessions|sessions_abandoned|sessions_fatal|sessions_killed|stats_reset)",
        "postgres_exporter 0.11.1 exports every column of the view; 0.20 has its own list, which ours follows",
    ),
    Explanation(
        "postgres",
        "pg_stat_archiver_last_archive_age",
        "NaN for never in postgres_exporter; unknown is absent in ours",
    ),
    Explanation(
        "postgres",
        "pg_stat_database_.*",
        "postgres_exporter 0.11.1 shows the shared relations as a database without a name; 0.20 leaves that row out",
        (("datname", ""),),
    ),
    Explanation(
        "postgres",
        "pg_settings_extra_float_digits",
        "its driver (lib/pq) sets it, and theirs reads its own session's",
    ),
    Explanation("mysql", "mysql_global_status_threads_connected", _CONNECTION),
    Explanation("mysql", "mysql_global_status_threads_cached", _CONNECTION, sometimes=True),
    Explanation(
        "mysql",
        "mysql_global_status_buffer_pool_(dirty_pages|pages)",
        "mysqld_exporter 0.14 has dirty pages by themselves and the state old; the newest has dirty as a state",
    ),
    Explanation(
        "elasticsearch",
        "elasticsearch_(cluster_health_json_parse_failures|cluster_health_total_scrapes|cluster_health_up"
        "|node_stats_json_parse_failures|node_stats_total_scrapes|node_stats_up|scrape_duration_seconds"
        "|scrape_success)",
        _ES_OWN,
    ),
    Explanation(
        "elasticsearch", "elasticsearch_(version|clusterinfo_up|clusterinfo_last_retrieval_failure_ts)", _ES_ROOT
    ),
    Explanation(
        "elasticsearch",
        "elasticsearch_(indices_filter_cache_evictions|indices_filter_cache_memory_size_bytes"
        "|indices_store_throttle_time_seconds_total|os_mem_actual_free_bytes|os_mem_actual_used_bytes"
        "|process_mem_resident_size_bytes|process_mem_share_size_bytes)",
        _ES_OLD,
    ),
    Explanation(
        "elasticsearch",
        "elasticsearch_thread_pool_active_count",
        "a node answers for statistics in this pool, and elasticsearch_exporter 1.5 asks for several at once",
        (("type", "management"),),
        sometimes=True,
    ),
)
