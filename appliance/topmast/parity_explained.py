"""The differences that have a reason: the field's exporters in the versions that Debian 12 has, and ours."""

from topmast.parity import Explanation

_OWN = "redis_exporter 1.45 says how its own scrape went"
_CONNECTION = "theirs connects for each scrape, and is counted while it asks"

EXPLAINED = (
    Explanation("redis", "redis_target_scrape_request_errors_total", _OWN),
    Explanation("redis", "redis_last_key_groups_scrape_duration_milliseconds", _OWN),
    Explanation("redis", "redis_instance_info", "redis_exporter 1.45 has no label master_replid; 1.88 has it"),
    Explanation("redis", "redis_connected_clients", _CONNECTION),
    Explanation("redis", "redis_memory_used(_dataset)?_bytes", _CONNECTION),
    Explanation(
        "redis",
        "redis_latency_percentiles_usec",
        "a percentile moves both ways with each command that is asked between two readings",
    ),
    Explanation("redis", "redis_start_time_seconds", "both subtract whole seconds from a clock: one apart at most"),
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
    Explanation(
        "mysql",
        "mysql_global_status_buffer_pool_(dirty_pages|pages)",
        "mysqld_exporter 0.14 has dirty pages by themselves and the state old; the newest has dirty as a state",
    ),
)
