# ruff: noqa: S608 every query is put together from names of ours alone, nothing comes from outside
"""What the PostgreSQL collector asks, group by group, and the metrics of the answers.

Names, labels and values: https://github.com/prometheus-community/postgres_exporter (v0.20). Columns:
https://www.postgresql.org/docs/current/monitoring-stats.html. Costs (12 databases, 500 tables, 5,000 statements, in
ms): stat_database 0.25, activity 0.23, locks 0.11, statements at most 3.3 to 7, all sizes 14.7 (hence every 5 min).
They are prepared and asked together: postgres_session.py.
"""

import re
from collections.abc import Mapping, Sequence

from topmast_exporter import postgres_tables, postgres_upkeep
from topmast_exporter.collector import Reading
from topmast_exporter.postgres_group import Group, Row, bounded

STATES = (
    "active",
    "idle",
    "idle in transaction",
    "idle in transaction (aborted)",
    "fastpath function call",
    "disabled",
)
LOCK_MODES = (
    "accesssharelock",
    "rowsharelock",
    "rowexclusivelock",
    "shareupdateexclusivelock",
    "sharelock",
    "sharerowexclusivelock",
    "exclusivelock",
    "accessexclusivelock",
    "sireadlock",
)
DATABASE_COUNTERS = (
    "xact_commit",
    "xact_rollback",
    "blks_read",
    "blks_hit",
    "tup_returned",
    "tup_fetched",
    "tup_inserted",
    "tup_updated",
    "tup_deleted",
    "conflicts",
    "temp_files",
    "temp_bytes",
    "deadlocks",
    "blk_read_time",
    "blk_write_time",
)
BGWRITER = (
    "checkpoints_timed",
    "checkpoints_req",
    "checkpoint_write_time",
    "checkpoint_sync_time",
    "buffers_checkpoint",
    "buffers_clean",
    "maxwritten_clean",
    "buffers_backend",
    "buffers_backend_fsync",
    "buffers_alloc",
)


_RESET = "EXTRACT(EPOCH FROM stats_reset)::bigint AS stats_reset"
CONFLICTS = ("confl_tablespace", "confl_lock", "confl_snapshot", "confl_bufferpin", "confl_deadlock")


def parse(rows: Mapping[str, Sequence[Row]]) -> Reading:
    """Return the metrics of the rows of each group, by its name. Pure; a group that is missing is left out."""
    reading = Reading()
    for group in GROUPS:
        if group.name in rows:
            group.parse(reading, rows[group.name])
    return reading


def _server(reading: Reading, rows: Sequence[Row]) -> None:
    for row in rows:
        start = row["start_seconds"]
        reading.gauge("pg_postmaster_start_time_seconds", "Time at which postmaster started.", start)
        reading.gauge("pg_replication_is_replica", "Whether the server is a replica.", float(bool(row["is_replica"])))
        reading.gauge("pg_replication_lag_seconds", "Replication lag behind the primary.", row["lag_seconds"])
        short = f"{row['number'] // 10_000}.{row['number'] % 10_000}.0"
        reading.untyped("pg_static", "Version of the server.", 1, version=str(row["version"]), short_version=short)


def _settings(reading: Reading, rows: Sequence[Row]) -> None:
    for row in rows:
        value, suffix = _setting(row["setting"], row["unit"])
        name = row["name"].lower().replace(".", "_")
        reading.gauge(f"pg_settings_{name}{suffix}", f"Server parameter {row['name']}.", value)


def _setting(setting: str, unit: str | None) -> tuple[float | None, str]:
    if setting in ("on", "off"):
        return float(setting == "on"), ""
    count, scale, suffix = 1.0, 1.0, ""
    if matched := _UNIT.fullmatch(unit or ""):
        count = float(matched[1] or 1)
        scale, suffix = _UNITS[matched[2]]
    try:
        value = float(setting)
    except ValueError:
        return None, suffix
    return (value * count * scale if value > 0 else value), suffix  # -1 is a word, and no size


# pg_settings.unit, e.g. 8kB -> factor, suffix of the name
_UNIT = re.compile(r"([0-9]*)(B|kB|MB|GB|ms|s|min|h|d)")
_UNITS: Mapping[str, tuple[float, str]] = {
    "B": (1, "_bytes"),
    "kB": (2**10, "_bytes"),
    "MB": (2**20, "_bytes"),
    "GB": (2**30, "_bytes"),
    "ms": (0.001, "_seconds"),
    "s": (1, "_seconds"),
    "min": (60, "_seconds"),
    "h": (3600, "_seconds"),
    "d": (86_400, "_seconds"),
}


def _databases(reading: Reading, rows: Sequence[Row]) -> None:
    name = "pg_stat_database"
    labelled = [(row, {"datid": str(row["datid"]), "datname": row["datname"]}) for row in rows]
    backends = [(row["numbackends"], labels) for row, labels in labelled]
    reading.gauges(f"{name}_numbackends", "Backends connected to this database.", backends)
    for column in DATABASE_COUNTERS:
        reading.counters(
            f"{name}_{column}", f"{column} of pg_stat_database.", [(row[column], labels) for row, labels in labelled]
        )
    active = [
        (float(row["active_time"]) / 1000, labels) for row, labels in labelled if row.get("active_time") is not None
    ]  # since PostgreSQL 14
    reading.counters(f"{name}_active_time_seconds_total", "Time spent executing.", active)


def _activity(reading: Reading, rows: Sequence[Row]) -> None:
    application = bounded(row["application_name"] or "" for row in rows)
    user = bounded(row["usename"] or "" for row in rows)
    grouped: dict[tuple[str, ...], tuple[int, float]] = {}
    for row in rows:
        key: tuple[str, ...] = (
            row["datname"],
            row["state"],
            user(row["usename"] or ""),
            application(row["application_name"] or ""),
            row["backend_type"] or "",
            row["wait_event_type"] or "",
            row["wait_event"] or "",
        )
        count, longest = grouped.get(key, (0, 0.0))
        grouped[key] = (count + int(row["count"]), max(longest, float(row["max_tx_duration"] or 0)))
    names = ("datname", "state", "usename", "application_name", "backend_type", "wait_event_type", "wait_event")
    shown = [(found, dict(zip(names, key, strict=True))) for key, found in grouped.items()]
    counts = [(count, labels) for (count, _), labels in shown]
    reading.gauges("pg_stat_activity_count", "Connections in this state.", counts)
    durations = [(longest, labels) for (_, longest), labels in shown]
    reading.gauges("pg_stat_activity_max_tx_duration", "Longest transaction, in seconds.", durations)


def _locks(reading: Reading, rows: Sequence[Row]) -> None:
    counts = [(row["count"], {"datname": row["datname"], "mode": row["mode"]}) for row in rows]
    reading.gauges("pg_locks_count", "Locks held or waited for.", counts)


def _sizes(reading: Reading, rows: Sequence[Row]) -> None:
    for row in rows:
        reading.gauge("pg_database_size_bytes", "Disk space of a database.", row["bytes"], datname=row["datname"])


def _bgwriter(reading: Reading, rows: Sequence[Row]) -> None:
    for row in rows:
        for column in BGWRITER:
            reading.counter(f"pg_stat_bgwriter_{column}_total", f"{column} of pg_stat_bgwriter.", row.get(column))
        reset = row.get("stats_reset")
        reading.counter("pg_stat_bgwriter_stats_reset_total", "Unix time of the last reset.", reset)


def _conflicts(reading: Reading, rows: Sequence[Row]) -> None:
    labelled = [(row, {"datid": str(row["datid"]), "datname": row["datname"]}) for row in rows]
    for column in CONFLICTS:
        name = f"pg_stat_database_conflicts_{column}"
        samples = [(row[column], labels) for row, labels in labelled]
        reading.counters(name, f"{column} of pg_stat_database_conflicts.", samples)


def _archiver(reading: Reading, rows: Sequence[Row]) -> None:
    for row in rows:
        for column in ("archived_count", "failed_count"):
            reading.counter(f"pg_stat_archiver_{column}", f"{column} of pg_stat_archiver.", row[column])
        age = row["last_archive_age"]
        reading.gauge("pg_stat_archiver_last_archive_age", "Seconds since the last archived segment.", age)


def _bgwriter_sql(version: int) -> str:
    if version < 170000:
        return f"SELECT {', '.join(BGWRITER)}, {_RESET} FROM pg_stat_bgwriter"
    # 17 moved the checkpointer's columns to a view of their own and dropped buffers_backend*.
    return (
        "SELECT c.num_timed AS checkpoints_timed, c.num_requested AS checkpoints_req,"
        " c.write_time AS checkpoint_write_time, c.sync_time AS checkpoint_sync_time,"
        " c.buffers_written AS buffers_checkpoint, b.buffers_clean, b.maxwritten_clean, b.buffers_alloc,"
        " EXTRACT(EPOCH FROM b.stats_reset)::bigint AS stats_reset FROM pg_stat_bgwriter b, pg_stat_checkpointer c"
    )


def _values(values: Sequence[str]) -> str:
    return ", ".join(f"('{value}')" for value in values)


GROUPS: tuple[Group, ...] = (
    # The first: all are asked in one transaction, and what the others lock would be counted.
    Group(
        "locks",
        lambda _: (
            f"SELECT d.datname, m.mode, COALESCE(l.count, 0) AS count FROM (VALUES {_values(LOCK_MODES)}) AS m(mode)"
            " CROSS JOIN pg_database d LEFT JOIN (SELECT database, lower(mode) AS mode, count(*) AS count"
            " FROM pg_locks WHERE database IS NOT NULL GROUP BY 1, 2) AS l ON m.mode = l.mode AND d.oid = l.database"
        ),
        _locks,
    ),
    Group(
        "server",
        lambda _: (
            "SELECT version() AS version, current_setting('server_version_num')::int AS number,"
            " pg_is_in_recovery() AS is_replica,"
            " EXTRACT(EPOCH FROM pg_postmaster_start_time())::float AS start_seconds,"
            " CASE WHEN NOT pg_is_in_recovery() THEN 0"
            " WHEN pg_last_wal_receive_lsn() = pg_last_wal_replay_lsn() THEN 0"
            " ELSE GREATEST(0, EXTRACT(EPOCH FROM now() - pg_last_xact_replay_timestamp()))::float END"
            " AS lag_seconds"
        ),
        _server,
    ),
    Group(
        "settings",
        # reset_val: the server's, where our own session has another (its time limits, read only)
        lambda _: (
            "SELECT name, CASE WHEN source = 'session' OR name = 'transaction_read_only' THEN reset_val"
            " ELSE setting END AS setting, unit FROM pg_settings WHERE vartype IN ('bool', 'integer', 'real')"
        ),
        _settings,
        every_seconds=300.0,
    ),
    Group(
        "databases",
        lambda version: (
            f"SELECT datid, datname, numbackends, {', '.join(DATABASE_COUNTERS)}"
            + (", active_time" if version >= 140000 else "")
            + " FROM pg_stat_database WHERE datname IS NOT NULL AND datid <> 0"
        ),
        _databases,
    ),
    Group(
        "activity",
        # Every state of every database has a row, so that a count of 0 is a 0 and not an absence.
        lambda _: (
            "SELECT d.datname, s.state, a.usename, a.application_name, a.backend_type, a.wait_event_type,"
            " a.wait_event, COALESCE(a.count, 0) AS count, COALESCE(a.max_tx_duration, 0) AS max_tx_duration"
            f" FROM (VALUES {_values(STATES)}) AS s(state) CROSS JOIN pg_database d LEFT JOIN"
            " (SELECT datname, state, usename, application_name, backend_type, wait_event_type, wait_event,"
            " count(*) AS count, MAX(EXTRACT(EPOCH FROM now() - xact_start))::float AS max_tx_duration"
            " FROM pg_stat_activity GROUP BY 1, 2, 3, 4, 5, 6, 7) AS a"
            " ON s.state = a.state AND d.datname = a.datname"
        ),
        _activity,
    ),
    Group(
        "sizes",
        lambda _: (
            "SELECT datname, pg_database_size(oid) AS bytes FROM pg_database"
            " WHERE datconnlimit <> -2 AND has_database_privilege(oid, 'CONNECT')"
        ),
        _sizes,
        every_seconds=300.0,
    ),
    Group("bgwriter", _bgwriter_sql, _bgwriter),
    Group(
        "conflicts",
        lambda _: f"SELECT datid, datname, {', '.join(CONFLICTS)} FROM pg_stat_database_conflicts",
        _conflicts,
    ),
    Group(
        "archiver",
        lambda _: (
            "SELECT archived_count, failed_count,"
            " EXTRACT(EPOCH FROM now() - last_archived_time)::float AS last_archive_age FROM pg_stat_archiver"
        ),
        _archiver,
    ),
    *postgres_tables.GROUPS,
    *postgres_upkeep.GROUPS,
)
