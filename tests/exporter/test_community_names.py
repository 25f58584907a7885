"""What the community's own rules and dashboards read is on our output, or is a gap with a reason; so is our contract.

The names stand in community_names.yml; the servers are real: with a replica, where one says more than its master.
"""

import contextlib
from pathlib import Path

import psycopg
import pymysql
import pytest
import redis
import yaml
from topmast import debian_servers, metrics
from topmast.errors import PrerequisiteError
from topmast.suites import required
from topmast_exporter.collector import load

ROOT = Path(__file__).parents[2]
COMMUNITY = yaml.safe_load((Path(__file__).parent / "community_names.yml").read_text())


@pytest.fixture
def start():
    """Return a function that starts a server of Debian's until the test ends."""
    with contextlib.ExitStack() as stack:

        def started(kind, *options):
            try:
                server = kind(ROOT / ".topmast", lambda _: None, options)
            except PrerequisiteError as error:
                (pytest.fail if "live" in required() else pytest.skip)(str(error))
            stack.callback(server.stop)
            return server

        yield started


def shown(kind, **options):
    """Return metric name -> labels, as the collector shows them of one server."""
    collector = load(kind)
    source = collector.build(collector.config(target="community", **options))
    with contextlib.closing(source):
        reading = source.collect()
    assert reading.refused == {}
    found = {collector.up: set()}
    for metric in reading.metrics():
        for sample in metric.samples:
            found.setdefault(sample.name, set()).update(sample.labels)
    return found


def differences(kind, *outputs):
    """Return what is read and not there, but for the gaps; and the gaps that are none (any more)."""
    names = COMMUNITY[kind]
    have = {}
    for output in outputs:
        for name, labels in output.items():
            have.setdefault(name, set()).update(labels)
    missing = {name: set(labels) - have.get(name, set()) for name, labels in names["reads"].items()}
    lacking = {name for name in names["reads"] if name not in have or missing[name]}
    gaps = set(names["gaps"])
    return {"unexplained": sorted(lacking - gaps), "no gap": sorted(gaps - lacking)}


NONE = {"unexplained": [], "no gap": []}


def absent(prefix, *outputs):
    """Return what the contract (metrics.yml) names and none of the outputs has, with its labels."""
    have = {}
    for output in outputs:
        for name, labels in output.items():
            have.setdefault(name, set()).update(labels)
    return {
        name
        for name, one in metrics.load().families.items()
        if name.startswith(prefix)
        and (name not in have or not (one.labels or set()) - metrics.TARGET_LABELS <= have[name])
    }


def linked(port):
    with redis.Redis(port=port) as client:
        return client.info("replication")["master_link_status"] == "up" and client.dbsize() == 1


@pytest.mark.live
def test_what_the_redis_mixin_and_the_contract_read(start, eventually):
    master = start(debian_servers.redis)
    replica = start(debian_servers.redis, "--replicaof", "127.0.0.1", str(master.port))
    with redis.Redis(port=master.port) as client:
        client.set("one", "x", ex=3600)
    eventually(lambda: linked(replica.port), "the replica follows")

    outputs = [shown("redis", url=f"redis://127.0.0.1:{server.port}/0") for server in (master, replica)]

    assert differences("redis", *outputs) == NONE
    assert absent("redis_", *outputs) == set()


@pytest.mark.live
def test_what_the_postgres_mixin_and_the_contract_read(start):
    server = start(debian_servers.postgres, "wal_level=logical", "max_slot_wal_keep_size=1GB")
    dsn = f"host=127.0.0.1 port={server.port} user=postgres dbname=postgres"
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("CREATE TABLE orders (id int)")
        connection.execute("SELECT pg_create_logical_replication_slot('reader', 'pgoutput')")

    output = shown("postgres", dsn=dsn)

    assert differences("postgres", output) == NONE
    # 16 has the one; of the other, which only a slot that is read has, test_postgres_upkeep.py
    assert absent("pg_", output) == {
        "pg_settings_reserved_connections",
        "pg_replication_slot_slot_confirmed_flush_lsn",
    }


@pytest.mark.live
def test_what_the_mysqld_mixin_and_the_contract_read(start, eventually):
    master = start(debian_servers.mariadb, "--log-bin=bin", "--server-id=1")
    replica = start(debian_servers.mariadb, "--server-id=2")
    connection = pymysql.connect(host="127.0.0.1", port=replica.port, user="root", autocommit=True)
    with connection, connection.cursor(pymysql.cursors.DictCursor) as cursor:
        cursor.execute(
            f"CHANGE MASTER TO MASTER_HOST='127.0.0.1', MASTER_PORT={master.port}, MASTER_USER='root',"
            " MASTER_CONNECT_RETRY=1"
        )
        cursor.execute("START SLAVE")

        def follows():
            cursor.execute("SHOW SLAVE STATUS")
            return cursor.fetchone()["Seconds_Behind_Master"] is not None

        eventually(follows, "the replica follows")
        outputs = [shown("mysql", port=server.port, user="root") for server in (master, replica)]

    assert differences("mysql", *outputs) == NONE
    assert absent("mysql_", *outputs) == set()


@pytest.mark.elasticsearch
def test_what_the_elasticsearch_mixin_and_the_contract_read(elasticsearch):
    output = shown("elasticsearch", url=elasticsearch)

    assert differences("elasticsearch", output) == NONE
    assert absent("elasticsearch_", output) == set()


@pytest.mark.parametrize("kind", COMMUNITY)
def test_every_name_has_its_source_and_every_gap_is_a_name_that_is_read(kind):
    names = COMMUNITY[kind]

    assert all(set(source) == {"repository", "path", "commit"} for source in names["sources"])
    assert set(names["gaps"]) <= set(names["reads"])
    assert all(len(reason) > 20 for reason in names["gaps"].values())


def test_a_name_that_is_not_shown_is_unexplained_and_a_gap_that_is_shown_is_none():
    output = {name: set(labels) for name, labels in COMMUNITY["redis"]["reads"].items() if name != "redis_db_keys"}

    assert differences("redis", output) == {
        "unexplained": ["redis_db_keys"],
        "no gap": ["redis_memory_fragmentation_ratio"],
    }
