"""What wears a real PostgreSQL down: a replica and its slot, a lock that is waited for, ages."""

import os
import shutil
import subprocess
import tempfile
import threading
from pathlib import Path

import psycopg
import pytest
from topmast_exporter.collectors.postgres import Config, PostgresSource
from topmast_exporter.postgres_queries import parse
from topmast_exporter.postgres_upkeep import VACUUM_PHASES


def read(dsn):
    source = PostgresSource(Config(target="main", dsn=dsn))
    try:
        return source.collect()
    finally:
        source.close()


@pytest.fixture(scope="module")
def replica(postgres_server, eventually):
    """The DSN of a streaming replica of the shared server, with a slot of its own."""
    from topmast.debian_servers import free_port

    binaries = Path(postgres_server.process.args[0]).parent
    folder = Path(tempfile.mkdtemp(prefix="pg-"))
    account = {}
    if os.geteuid() == 0:  # PostgreSQL refuses to run as root
        shutil.chown(folder, "nobody", "nogroup")
        account = {"user": "nobody", "group": "nogroup"}
    data, port = folder / "data", free_port()
    argv = [binaries / "pg_basebackup", "-h", "127.0.0.1", "-p", str(postgres_server.port), "-U", "postgres"]
    argv += ["-D", data, "-R", "-C", "-S", "reader", "--checkpoint=fast", "--no-sync"]
    subprocess.run(argv, check=True, cwd=folder, env={"LC_ALL": "C"}, **account)
    argv = [binaries / "postgres", "-D", data, "-p", str(port), "-h", "127.0.0.1", "-k", folder]
    argv += ["-c", "shared_preload_libraries=pg_stat_statements", "-c", "fsync=off", "-c", "cluster_name=reader"]
    log = (folder / "log").open("wb")
    process = subprocess.Popen(argv, stdout=log, stderr=log, cwd=folder, env={"LC_ALL": "C"}, **account)
    dsn = f"host=127.0.0.1 port={port} user=postgres dbname=postgres"

    def answers():
        try:
            with psycopg.connect(dsn, connect_timeout=2):
                return True
        except psycopg.OperationalError:
            return False

    eventually(answers, "the replica")
    yield dsn
    process.terminate()
    process.wait(30)
    log.close()
    with psycopg.connect(postgres_server.url, autocommit=True) as connection:
        eventually(
            lambda: not connection.execute("SELECT active FROM pg_replication_slots").fetchone()[0],
            "the slot is free",
        )
        connection.execute("SELECT pg_drop_replication_slot('reader')")
    shutil.rmtree(folder)


def test_a_replica_is_told_from_its_primary(postgres, replica, eventually):
    streams = {"application_name": "reader", "client_addr": "127.0.0.1", "state": "streaming"}
    eventually(lambda: read(postgres).value("pg_stat_replication_pg_wal_lsn_diff", **streams) is not None, "streams")

    primary, reader = read(postgres), read(replica)

    assert (primary.refused, reader.refused) == ({}, {})
    assert primary.value("pg_replication_is_replica") == 0
    assert reader.value("pg_replication_is_replica") == 1
    assert reader.value("pg_replication_lag_seconds") >= 0
    assert reader.value("pg_stat_replication_pg_wal_lsn_diff", **streams) is None


def test_its_slot_is_read(postgres, replica):
    reading = read(postgres)

    slot = {"slot_name": "reader", "slot_type": "physical"}
    assert reading.value("pg_replication_slot_slot_is_active", **slot) == 1
    assert reading.value("pg_replication_slot_slot_current_wal_lsn", **slot) > 0
    assert reading.value("pg_replication_slot_slot_confirmed_flush_lsn", **slot) == 0  # a physical slot confirms none
    assert reading.value("pg_replication_slot_wal_status", **slot, wal_status="reserved") == 1
    assert reading.value("topmast_pg_replication_slot_retained_bytes", **slot) >= 0


def test_a_lock_that_is_waited_for_is_seen(postgres, eventually):
    def wait():
        with psycopg.connect(postgres) as second:
            second.execute("LOCK TABLE held")

    with psycopg.connect(postgres) as first:
        first.execute("CREATE TABLE IF NOT EXISTS held ()")
        first.commit()
        first.execute("LOCK TABLE held")
        waiting = threading.Thread(target=wait)
        waiting.start()
        try:
            eventually(lambda: read(postgres).value("topmast_pg_backends_waiting_for_locks") == 1, "one waits")
            longest = read(postgres).value("topmast_pg_longest_lock_wait_seconds")
        finally:
            first.rollback()
            waiting.join()

    assert longest > 0
    assert read(postgres).value("topmast_pg_backends_waiting_for_locks") == 0


def test_connections_are_held_against_those_that_a_role_may_have(postgres):
    reading = read(postgres)

    assert reading.value("topmast_pg_connections_usable") == 100 - 3
    assert 1 <= reading.value("topmast_pg_connections_used") <= 97


def test_connections_reserved_for_a_role_are_not_usable(start_postgres):
    server = start_postgres("max_connections=30", "reserved_connections=5")

    reading = read(server.url)

    assert reading.value("topmast_pg_connections_usable") == 30 - 3 - 5
    assert reading.value("pg_settings_reserved_connections") == 5


def test_ages_before_wraparound_are_those_of_each_database(postgres):
    reading = read(postgres)

    assert reading.value("pg_database_wraparound_age_datfrozenxid_seconds", datname="postgres") > 0
    assert reading.value("pg_database_wraparound_age_datminmxid_seconds", datname="template1") >= 0


def test_a_running_vacuum_has_one_phase():
    vacuum = {"datname": "shop", "relname": "orders", "phase": 1, "heap_blks": 100, "heap_blks_scanned": 40}

    reading = parse({"vacuum": [{**vacuum, "heap_blks_vacuumed": 10, "index_vacuums": 0}]})

    labels = {"datname": "shop", "relname": "orders"}
    phases = {phase: reading.value("pg_stat_progress_vacuum_phase", **labels, phase=phase) for phase in VACUUM_PHASES}
    assert [phase for phase, value in phases.items() if value] == ["scanning heap"]
    assert reading.value("pg_stat_progress_vacuum_heap_blks_scanned", **labels) == 40


def test_of_replicas_of_one_name_the_one_furthest_behind_is_shown():
    row = {"application_name": "r", "client_addr": "10.0.0.2", "state": "streaming", "current_lsn": 9.0}
    rows = [{**row, "behind": behind, "reply_seconds": 0.1} for behind in (5.0, 70.0)]

    reading = parse({"replicas": rows})

    labels = {"application_name": "r", "client_addr": "10.0.0.2", "state": "streaming"}
    assert reading.value("pg_stat_replication_pg_wal_lsn_diff", **labels) == 70
