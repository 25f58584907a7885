"""INFO of Redis and Valkey as metrics, under redis_exporter's names, labels and values.

Names: https://github.com/oliver006/redis_exporter (exporter.go, info.go, v1.88). Fields: https://redis.io/commands/info.
"""

from collections.abc import Iterator, Mapping

from topmast_exporter.collector import Reading

# INFO field -> name after `redis_`
GAUGES: Mapping[str, str] = {
    "uptime_in_seconds": "uptime_in_seconds",
    "process_id": "process_id",
    "io_threads_active": "io_threads_active",
    "connected_clients": "connected_clients",
    "blocked_clients": "blocked_clients",
    "maxclients": "max_clients",
    "tracking_clients": "tracking_clients",
    "clients_in_timeout_table": "clients_in_timeout_table",
    "pubsub_clients": "pubsub_clients",
    "client_recent_max_output_buffer": "client_recent_max_output_buffer_bytes",
    "client_recent_max_input_buffer": "client_recent_max_input_buffer_bytes",
    "allocator_active": "allocator_active_bytes",
    "allocator_allocated": "allocator_allocated_bytes",
    "allocator_resident": "allocator_resident_bytes",
    "allocator_frag_ratio": "allocator_frag_ratio",
    "allocator_frag_bytes": "allocator_frag_bytes",
    "allocator_rss_ratio": "allocator_rss_ratio",
    "allocator_rss_bytes": "allocator_rss_bytes",
    "used_memory": "memory_used_bytes",
    "used_memory_rss": "memory_used_rss_bytes",
    "used_memory_peak": "memory_used_peak_bytes",
    "used_memory_lua": "memory_used_lua_bytes",
    "used_memory_overhead": "memory_used_overhead_bytes",
    "used_memory_startup": "memory_used_startup_bytes",
    "used_memory_dataset": "memory_used_dataset_bytes",
    "used_memory_scripts": "memory_used_scripts_bytes",
    "maxmemory": "memory_max_bytes",
    "total_system_memory": "total_system_memory_bytes",
    "mem_fragmentation_ratio": "mem_fragmentation_ratio",
    "mem_fragmentation_bytes": "mem_fragmentation_bytes",
    "mem_clients_slaves": "mem_clients_slaves",
    "mem_clients_normal": "mem_clients_normal",
    "mem_not_counted_for_evict": "mem_not_counted_for_eviction_bytes",
    "expired_stale_perc": "expired_stale_percentage",
    "lazyfree_pending_objects": "lazyfree_pending_objects",
    "active_defrag_running": "active_defrag_running",
    "loading": "loading_dump_file",
    "async_loading": "async_loading",
    "rdb_changes_since_last_save": "rdb_changes_since_last_save",
    "rdb_bgsave_in_progress": "rdb_bgsave_in_progress",
    "rdb_last_save_time": "rdb_last_save_timestamp_seconds",
    "rdb_last_bgsave_status": "rdb_last_bgsave_status",
    "rdb_last_bgsave_time_sec": "rdb_last_bgsave_duration_sec",
    "rdb_current_bgsave_time_sec": "rdb_current_bgsave_duration_sec",
    "rdb_last_cow_size": "rdb_last_cow_size_bytes",
    "aof_enabled": "aof_enabled",
    "aof_rewrite_in_progress": "aof_rewrite_in_progress",
    "aof_rewrite_scheduled": "aof_rewrite_scheduled",
    "aof_last_rewrite_time_sec": "aof_last_rewrite_duration_sec",
    "aof_current_rewrite_time_sec": "aof_current_rewrite_duration_sec",
    "aof_last_cow_size": "aof_last_cow_size_bytes",
    "aof_current_size": "aof_current_size_bytes",
    "aof_base_size": "aof_base_size_bytes",
    "aof_buffer_length": "aof_buffer_length",
    "aof_delayed_fsync": "aof_delayed_fsync",
    "aof_last_bgrewrite_status": "aof_last_bgrewrite_status",
    "aof_last_write_status": "aof_last_write_status",
    "module_fork_in_progress": "module_fork_in_progress",
    "module_fork_last_cow_size": "module_fork_last_cow_size",
    "pubsub_channels": "pubsub_channels",
    "pubsub_patterns": "pubsub_patterns",
    "latest_fork_usec": "latest_fork_usec",
    "connected_slaves": "connected_slaves",
    "repl_backlog_size": "replication_backlog_bytes",
    "repl_backlog_active": "repl_backlog_is_active",
    "repl_backlog_first_byte_offset": "repl_backlog_first_byte_offset",
    "repl_backlog_histlen": "repl_backlog_history_bytes",
    "master_repl_offset": "master_repl_offset",
    "second_repl_offset": "second_repl_offset",
    "slave_expires_tracked_keys": "slave_expires_tracked_keys",
    "slave_priority": "slave_priority",
    "sync_full": "replica_resyncs_full",
    "sync_partial_ok": "replica_partial_resync_accepted",
    "sync_partial_err": "replica_partial_resync_denied",
    "cluster_enabled": "cluster_enabled",
    "cluster_connections": "cluster_connections",
    "tracking_total_keys": "tracking_total_keys",
    "tracking_total_items": "tracking_total_items",
    "tracking_total_prefixes": "tracking_total_prefixes",
    "number_of_cached_scripts": "number_of_cached_scripts",
    "migrate_cached_sockets": "migrate_cached_sockets_total",
    "active_defrag_hits": "defrag_hits",
    "active_defrag_misses": "defrag_misses",
    "active_defrag_key_hits": "defrag_key_hits",
    "active_defrag_key_misses": "defrag_key_misses",
}

COUNTERS: Mapping[str, str] = {
    "total_connections_received": "connections_received_total",
    "total_commands_processed": "commands_processed_total",
    "rejected_connections": "rejected_connections_total",
    "total_net_input_bytes": "net_input_bytes_total",
    "total_net_output_bytes": "net_output_bytes_total",
    "expired_keys": "expired_keys_total",
    "expired_time_cap_reached_count": "expired_time_cap_reached_total",
    "evicted_keys": "evicted_keys_total",
    "keyspace_hits": "keyspace_hits_total",
    "keyspace_misses": "keyspace_misses_total",
    "total_error_replies": "total_error_replies",
    "unexpected_error_replies": "unexpected_error_replies",
    "total_reads_processed": "total_reads_processed",
    "total_writes_processed": "total_writes_processed",
    "io_threaded_reads_processed": "io_threaded_reads_processed",
    "io_threaded_writes_processed": "io_threaded_writes_processed",
    "dump_payload_sanitizations": "dump_payload_sanitizations",
    "used_cpu_sys_main_thread": "cpu_sys_main_thread_seconds_total",
    "used_cpu_user_main_thread": "cpu_user_main_thread_seconds_total",
    "used_cpu_sys": "cpu_sys_seconds_total",
    "used_cpu_user": "cpu_user_seconds_total",
    "used_cpu_sys_children": "cpu_sys_children_seconds_total",
    "used_cpu_user_children": "cpu_user_children_seconds_total",
}

INSTANCE_LABELS = (
    "role",
    "redis_version",
    "redis_build_id",
    "redis_mode",
    "os",
    "maxmemory_policy",
    "tcp_port",
    "run_id",
    "process_id",
    "master_replid",
)
# Exposed only by servers which have them.
VALKEY_LABELS = ("valkey_version", "valkey_release_stage")

# More sections or fields than any server has mean that this is no INFO.
MAX_LINES = 20_000


def parse(info: str) -> Reading:
    """Return the metrics of one INFO answer. Pure; half an answer is half a reading."""
    reading = Reading()
    fields = dict(_fields(info))
    plain = {key: value for (section, key), value in fields.items() if section not in _KEYED_SECTIONS}
    for key, name in GAUGES.items():
        reading.gauge(f"redis_{name}", f"{key} of INFO.", number(plain.get(key)))
    for key, name in COUNTERS.items():
        reading.counter(f"redis_{name}", f"{key} of INFO.", number(plain.get(key)))
    _times(reading, plain)
    _latencies(reading, fields)
    for (section, key), value in fields.items():
        if section == "commandstats":
            _command(reading, key.removeprefix("cmdstat_"), pairs(value))
        elif section == "errorstats":
            count = number(pairs(value).get("count"))
            reading.counter(
                "redis_errors_total", "Error replies by error.", count, err=key.removeprefix("errorstat_")
            )
        elif section == "keyspace" and key.startswith("db"):
            _database(reading, key, pairs(value))
    _replication(reading, plain)
    if "redis_version" in plain or "run_id" in plain:
        values = {**plain, "redis_mode": plain.get("redis_mode") or plain.get("server_mode", "")}
        labels = {name: values.get(name, "") for name in INSTANCE_LABELS}
        labels |= {name: values[name] for name in VALKEY_LABELS if name in values}
        reading.gauge("redis_instance_info", "Information about the instance.", 1, **labels)
    return reading


def number(text: str | None) -> float | None:
    """Return a field as redis_exporter does: a number; `ok` is 1, `fail` and `err` are 0; else None, unknown."""
    if text is None:
        return None
    if text in ("ok", "true"):
        return 1.0
    if text in ("fail", "err", "false"):
        return 0.0
    try:
        return float(text)
    except ValueError:
        return None


def pairs(value: str) -> dict[str, str]:
    """Return `a=1,b=2` as a mapping."""
    return dict(part.split("=", 1) for part in value.split(",") if "=" in part)


_KEYED_SECTIONS = frozenset({"commandstats", "errorstats", "latencystats", "keyspace", "modules"})


def _fields(info: str) -> Iterator[tuple[tuple[str, str], str]]:
    section = ""
    for line in info.splitlines()[:MAX_LINES]:
        if line.startswith("# "):
            section = line[2:].strip().lower()
        elif ":" in line:
            key, value = line.split(":", 1)
            yield (section, key), value.strip()


def _command(reading: Reading, command: str, stats: Mapping[str, str]) -> None:
    usec = number(stats.get("usec"))
    reading.counter("redis_commands_total", "Calls by command.", number(stats.get("calls")), cmd=command)
    reading.counter(
        "redis_commands_duration_seconds_total",
        "Time spent by command.",
        None if usec is None else usec / 1e6,
        cmd=command,
    )
    # Since Redis 6.2.
    for field in ("rejected_calls", "failed_calls"):
        reading.counter(
            f"redis_commands_{field}_total", f"{field} by command.", number(stats.get(field)), cmd=command
        )


def _times(reading: Reading, plain: Mapping[str, str]) -> None:
    fork, now = number(plain.get("latest_fork_usec")), number(plain.get("server_time_usec"))
    reading.gauge("redis_latest_fork_seconds", "Length of the last fork.", None if fork is None else fork / 1e6)
    uptime = number(plain.get("uptime_in_seconds"))
    if now is not None and uptime is not None:
        reading.gauge("redis_start_time_seconds", "Unix time of the server's start.", now // 1_000_000 - uptime)


def _latencies(reading: Reading, fields: Mapping[tuple[str, str], str]) -> None:
    """Add the percentiles that Redis 7 keeps itself."""
    for (section, key), value in fields.items():
        if section != "latencystats":
            continue
        command = key.removeprefix("latency_percentiles_usec_")
        quantiles = {place.removeprefix("p"): number(text) for place, text in pairs(value).items()}
        stats = pairs(fields.get(("commandstats", f"cmdstat_{command}"), ""))
        reading.summary(
            "redis_latency_percentiles_usec",
            "Percentiles of each command's time, in microseconds, since the server's start.",
            {place: one for place, one in quantiles.items() if one is not None},
            number(stats.get("calls")),
            number(stats.get("usec")),
            cmd=command,
        )


def _database(reading: Reading, db: str, stats: Mapping[str, str]) -> None:
    ttl = number(stats.get("avg_ttl"))
    reading.gauge("redis_db_keys", "Keys by database.", number(stats.get("keys")), db=db)
    reading.gauge("redis_db_keys_expiring", "Keys with a TTL by database.", number(stats.get("expires")), db=db)
    seconds = None if ttl is None else ttl / 1000
    reading.gauge("redis_db_avg_ttl_seconds", "Average TTL by database.", seconds, db=db)


def _replication(reading: Reading, plain: Mapping[str, str]) -> None:
    if "master_link_status" in plain:  # only a replica has it
        master = {"master_host": plain.get("master_host", ""), "master_port": plain.get("master_port", "")}
        up = float(plain["master_link_status"] == "up")
        reading.gauge("redis_master_link_up", "Whether the replica's link to its master is up.", up, **master)
        for key in ("master_last_io_seconds_ago", "master_sync_in_progress", "slave_repl_offset"):
            reading.gauge(f"redis_{key}", f"{key} of INFO.", number(plain.get(key)), **master)
    for key, value in plain.items():
        stats = pairs(value) if key.startswith("slave") and key[5:].isdigit() else {}
        if "ip" in stats:
            slave = {
                "slave_ip": stats["ip"],
                "slave_port": stats.get("port", ""),
                "slave_state": stats.get("state", ""),
            }
            offset, lag = number(stats.get("offset")), number(stats.get("lag"))
            reading.gauge("redis_connected_slave_offset_bytes", "Offset of a replica.", offset, **slave)
            reading.gauge("redis_connected_slave_lag_seconds", "Lag of a replica.", lag, **slave)
