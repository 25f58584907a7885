# ruff: noqa: S608 every query is put together from names of ours alone, nothing comes from outside
"""What wears a PostgreSQL down unseen: slots that hold WAL, replicas behind, waits, vacuum, wraparound, connections.

Names and labels: postgres_exporter v0.20 (collectors replication_slot, stat_replication, stat_progress_vacuum,
database_wraparound, long_running_transactions); what it has not is `topmast_pg_*`. Each takes 0.05 to 0.1 ms.
"""

from collections.abc import Sequence

from topmast_exporter.collector import Reading
from topmast_exporter.postgres_group import Group, Row, bounded

# In the server's own numbering (commands/progress.h: PROGRESS_VACUUM_PHASE_*).
VACUUM_PHASES = (
    "initializing",
    "scanning heap",
    "vacuuming indexes",
    "vacuuming heap",
    "cleaning up indexes",
    "truncating heap",
    "performing final cleanup",
)
MAX_SLOTS = 100
MAX_VACUUMS = 50
_LSN = "CASE WHEN pg_is_in_recovery() THEN pg_last_wal_receive_lsn() ELSE pg_current_wal_lsn() END"


def _slots(reading: Reading, rows: Sequence[Row]) -> None:
    for row in rows:
        labels = {"slot_name": row["slot_name"], "slot_type": row["slot_type"]}
        name = "pg_replication_slot"
        reading.gauge(f"{name}_slot_current_wal_lsn", "Position of the WAL.", row["current_lsn"] or 0, **labels)
        if row["active"]:
            flushed = row["flushed_lsn"] or 0
            reading.gauge(f"{name}_slot_confirmed_flush_lsn", "Position that the slot has.", flushed, **labels)
        reading.gauge(f"{name}_slot_is_active", "Whether somebody reads the slot.", float(row["active"]), **labels)
        text = "Bytes that may be written before the slot is lost."
        reading.gauge(f"{name}_safe_wal_size_bytes", text, row.get("safe_wal_size"), **labels)
        if status := row.get("wal_status"):
            reading.gauge(f"{name}_wal_status", "State of the WAL that it needs.", 1, **labels, wal_status=status)
        text = "Bytes of WAL that the server keeps for the slot."
        reading.gauge("topmast_pg_replication_slot_retained_bytes", text, row["retained"], **labels)


def _replicas(reading: Reading, rows: Sequence[Row]) -> None:
    application = bounded(row["application_name"] or "" for row in rows)
    # Several of one name, address and state are one series: the one that is furthest behind.
    for row in sorted(rows, key=lambda row: -float(row["behind"] or 0)):
        labels = {
            "application_name": application(row["application_name"] or ""),
            "client_addr": row["client_addr"] or "",
            "state": row["state"] or "",
        }
        name = "pg_stat_replication"
        if reading.value(f"{name}_pg_current_wal_lsn_bytes", **labels) is not None:
            continue
        reading.gauge(f"{name}_pg_current_wal_lsn_bytes", "Position of the WAL.", row["current_lsn"], **labels)
        reading.gauge(f"{name}_pg_wal_lsn_diff", "Bytes that the replica is behind.", row["behind"], **labels)
        reading.gauge(f"{name}_reply_time", "Seconds since the replica's last word.", row["reply_seconds"], **labels)


def _vacuums(reading: Reading, rows: Sequence[Row]) -> None:
    for row in rows:
        labels = {"datname": row["datname"] or "unknown", "relname": row["relname"] or "unknown"}
        name = "pg_stat_progress_vacuum"
        for number, phase in enumerate(VACUUM_PHASES):
            now = float(number == row["phase"])
            reading.gauge(f"{name}_phase", "1 for the phase it is in.", now, **labels, phase=phase)
        for metric in ("heap_blks", "heap_blks_scanned", "heap_blks_vacuumed", "index_vacuums"):
            reading.gauge(f"{name}_{metric}", f"{metric} of pg_stat_progress_vacuum.", row[metric] or 0, **labels)


def _wraparound(reading: Reading, rows: Sequence[Row]) -> None:
    for row in rows:
        name, labels = "pg_database_wraparound", {"datname": row["datname"]}
        text = "Age of the oldest transaction id that is not frozen, in transactions."
        reading.gauge(f"{name}_age_datfrozenxid_seconds", text, row["age"], **labels)
        text = "Age of the oldest multixact id, in multixacts."
        reading.gauge(f"{name}_age_datminmxid_seconds", text, row["multi_age"], **labels)


def _waits(reading: Reading, rows: Sequence[Row]) -> None:
    for row in rows:
        text = "Backends that wait for a lock that another one has."
        reading.gauge("topmast_pg_backends_waiting_for_locks", text, row["blocked"])
        text = "Seconds that the longest of them has been waiting since its query began."
        reading.gauge("topmast_pg_longest_lock_wait_seconds", text, row["longest"])
        text = "Connections that ordinary roles may have: max_connections less those reserved."
        reading.gauge("topmast_pg_connections_usable", text, row["usable"])
        reading.gauge("topmast_pg_connections_used", "Connections of clients.", row["used"])
        text = "Transactions that run for more than 60 seconds."
        reading.gauge("pg_long_running_transactions", text, row["long_running"])
        text = "Seconds that the oldest transaction has been running."
        reading.gauge("pg_long_running_transactions_oldest_timestamp_seconds", text, row["oldest"])


def slots_sql(version: int) -> str:
    """Return the query; wal_status and safe_wal_size came with 13."""
    more = ", wal_status, safe_wal_size" if version >= 130000 else ""
    return (
        f"SELECT slot_name, slot_type, active, ({_LSN} - '0/0')::float AS current_lsn,"
        " (COALESCE(confirmed_flush_lsn, '0/0') - '0/0')::float AS flushed_lsn,"
        f" ({_LSN} - restart_lsn)::float AS retained{more}"
        f" FROM pg_replication_slots ORDER BY slot_name LIMIT {MAX_SLOTS}"
    )


def waits_sql(version: int) -> str:
    """Return the query; reserved_connections came with 16."""
    reserved = " - current_setting('reserved_connections')::int" if version >= 160000 else ""
    return (
        "SELECT count(*) FILTER (WHERE wait_event_type = 'Lock') AS blocked,"
        " COALESCE(max(EXTRACT(EPOCH FROM now() - query_start)) FILTER (WHERE wait_event_type = 'Lock'), 0)::float"
        " AS longest, count(*) FILTER (WHERE backend_type = 'client backend') AS used,"
        " count(*) FILTER (WHERE state <> 'idle' AND backend_type = 'client backend'"
        " AND now() - xact_start > interval '60 s') AS long_running,"
        " COALESCE(max(EXTRACT(EPOCH FROM now() - xact_start)) FILTER (WHERE state <> 'idle'"
        " AND backend_type = 'client backend'), 0)::float AS oldest,"
        " (current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int"
        f"{reserved}) AS usable FROM pg_stat_activity"
    )


GROUPS = (
    Group("replication_slots", slots_sql, _slots),
    Group(
        "replicas",
        lambda _: (
            "SELECT application_name, host(client_addr) AS client_addr, state,"
            f" ({_LSN} - '0/0')::float AS current_lsn, ({_LSN} - replay_lsn)::float AS behind,"
            " EXTRACT(EPOCH FROM now() - reply_time)::float AS reply_seconds FROM pg_stat_replication"
        ),
        _replicas,
    ),
    Group(
        "vacuum",
        lambda _: (
            "SELECT d.datname, COALESCE(CASE WHEN d.datname = current_database() THEN s.relid::regclass::text END,"
            " s.relid::text) AS relname, s.param1 AS phase, s.param2 AS heap_blks, s.param3 AS heap_blks_scanned,"
            " s.param4 AS heap_blks_vacuumed, s.param5 AS index_vacuums"
            " FROM pg_stat_get_progress_info('VACUUM') s LEFT JOIN pg_database d ON s.datid = d.oid"
            f" LIMIT {MAX_VACUUMS}"
        ),
        _vacuums,
    ),
    Group(
        "wraparound",
        lambda _: (
            "SELECT datname, age(datfrozenxid) AS age, mxid_age(datminmxid) AS multi_age FROM pg_database"
            " WHERE datallowconn"
        ),
        _wraparound,
    ),
    Group("waits", waits_sql, _waits),
)
