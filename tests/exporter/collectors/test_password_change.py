"""A password that changes while the exporter runs, on real servers: told as the reason, and taken from its file.

Elasticsearch has no users in the node that can be had here: test_elasticsearch.py proves it on a stand-in.
"""

import contextlib
from pathlib import Path

import psycopg
import pymysql
import pytest
import redis
from topmast_exporter.collector import load
from topmast_exporter.errors import CollectError
from topmast_exporter.refresh import Targets
from topmast_exporter.registry import Registry
from topmast_exporter.testing import value


class Valkey:
    kind = "redis"

    def __init__(self, url):
        self.options = {"url": url.replace("redis://", "redis://changing@")}
        self._client = redis.Redis.from_url(url)

    def set(self, password):
        """Give the user this password and no other, and cut the connections that it has."""
        self._client.execute_command("ACL", "SETUSER", "changing", "on", "resetpass", f">{password}", "~*", "+@all")
        self._client.execute_command("CLIENT", "KILL", "USER", "changing")

    def close(self):
        self._client.acl_deluser("changing")
        self._client.close()


class Postgres:
    kind = "postgres"

    def __init__(self, server):
        self.options = {"dsn": server.url.replace("user=postgres", "user=changing")}
        self._connection = psycopg.connect(server.url, autocommit=True)
        (file,) = self._connection.execute("SHOW hba_file").fetchone()
        self._rules = Path(file)
        self._before = self._rules.read_text()
        self._rules.write_text(f"host all changing 127.0.0.1/32 scram-sha-256\n{self._before}")
        self._connection.execute("SELECT pg_reload_conf()")
        self._connection.execute("DROP ROLE IF EXISTS changing")
        self._connection.execute("CREATE ROLE changing LOGIN")

    def set(self, password):
        self._connection.execute(f"ALTER ROLE changing PASSWORD '{password}'")
        self._connection.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'changing'")

    def close(self):
        self._rules.write_text(self._before)
        self._connection.execute("SELECT pg_reload_conf()")
        self._connection.execute("DROP ROLE changing")
        self._connection.close()


class MariaDB:
    kind = "mysql"

    def __init__(self, port):
        self.options = {"port": port, "user": "changing"}
        self._connection = pymysql.connect(host="127.0.0.1", port=port, user="root", autocommit=True)

    def set(self, password):
        with self._connection.cursor() as cursor:
            cursor.execute("CREATE USER IF NOT EXISTS 'changing'@'127.0.0.1'")
            cursor.execute(f"ALTER USER 'changing'@'127.0.0.1' IDENTIFIED BY '{password}'")
            cursor.execute("SELECT id FROM information_schema.processlist WHERE user = 'changing'")
            for (number,) in cursor.fetchall():
                cursor.execute(f"KILL {number}")

    def close(self):
        with self._connection.cursor() as cursor:
            cursor.execute("DROP USER 'changing'@'127.0.0.1'")
        self._connection.close()


@pytest.fixture(
    params=[
        pytest.param("redis", id="Valkey"),
        pytest.param("postgres", id="PostgreSQL"),
        pytest.param("mysql", id="MariaDB", marks=pytest.mark.live),
    ]
)
def server(request):
    made = {
        "redis": lambda: Valkey(request.getfixturevalue("valkey")),
        "postgres": lambda: Postgres(request.getfixturevalue("postgres_server")),
        "mysql": lambda: MariaDB(request.getfixturevalue("mariadb_server").port),
    }
    with contextlib.closing(made[request.param]()) as one:
        yield one


def test_a_password_may_stand_in_the_environment(server, monkeypatch):
    server.set("of-the-environment")
    collector = load(server.kind)
    config = collector.config(target="main", password_env="THE_PASSWORD", **server.options)

    with contextlib.closing(collector.build(config)) as source:
        with pytest.raises(CollectError, match="THE_PASSWORD: no such variable") as refused:
            source.collect()
        monkeypatch.setenv("THE_PASSWORD", "of-the-environment")
        assert source.collect().metrics()

    assert refused.value.reason == "authentication"
    assert "of-the-environment" not in repr(config)


def test_a_password_that_changes_is_told_and_picked_up_from_its_file(server, tmp_path, eventually, caplog):
    password = tmp_path / "password"
    password.write_text("the-first\n")
    server.set("the-first")
    registry = Registry()
    targets = Targets(registry)
    collector = load(server.kind)
    fast = {"interval_seconds": 1.0, "timeout_seconds": 5.0}
    config = collector.config(target="main", password_file=str(password), **fast, **server.options)
    target = targets.add(collector, config)

    def refused():
        return value(registry, "exporter_collector_failures_total", collector=server.kind, reason="authentication")

    targets.start()
    try:
        eventually(lambda: target.snapshot().up, "it is read with the first password")
        server.set("the-second")
        eventually(lambda: refused() and not target.snapshot().up, "the first one is refused")
        password.write_text("the-second\n")
        eventually(lambda: target.snapshot().up, "it is read with the second password")
    finally:
        targets.stop()

    assert "the-first" not in caplog.text
    assert "the-second" not in caplog.text
