"""Ours and the field's own exporters say the same of the same server: names, labels, values.

Starts Debian's Redis, PostgreSQL and MariaDB and an Elasticsearch with something in them, lets Debian's exporters and
our collectors read them, and holds each of their series against ours. Needs no running appliance.
"""

import contextlib
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from typing import Any

import requests
from topmast_exporter import collector as collectors
from topmast_exporter.collector import Source

from topmast import debian_servers, elasticnode
from topmast.debian_servers import Running
from topmast.errors import PrerequisiteError
from topmast.measure import Measure, measure
from topmast.parity import Compared, Values, compare, read
from topmast.parity_explained import EXPLAINED
from topmast.proof import Proof, Trial

# Debian 12's; what they are held against.
VERSIONS = {
    "redis": "redis_exporter 1.45, Redis 7.0",
    "postgres": "postgres_exporter 0.11.1, PostgreSQL 15",
    "mysql": "mysqld_exporter 0.14, MariaDB 10.11",
    "elasticsearch": "elasticsearch_exporter 1.5, Elasticsearch 8.15 (9.0 where there is Java 21)",
}

# postgres_exporter 0.11.1 names the server in each series; it does no longer, and the target's labels do.
LABELS_OF_OLD = {"postgres": "server"}

# A statement, a key and a table of each kind, so that there is something to be equal about.
POSTGRES_WORK = (
    "CREATE EXTENSION IF NOT EXISTS pg_stat_statements",
    "CREATE TABLE things AS SELECT n, md5(n::text) AS name FROM generate_series(1, 1000) AS n",
    "ANALYZE things",
    "UPDATE things SET name = '' WHERE n < 100",
    "DELETE FROM things WHERE n > 900",
)
MYSQL_WORK = (
    "CREATE DATABASE shop",
    "CREATE TABLE shop.things (n INT PRIMARY KEY, name VARCHAR(40))",
    "INSERT INTO shop.things SELECT seq, MD5(seq) FROM (SELECT 1 AS seq UNION SELECT 2 UNION SELECT 3) AS rows_",
    "DELETE FROM shop.things WHERE n = 3",
)


def run(trial: Trial, kinds: Sequence[str] = tuple(VERSIONS)) -> Sequence[Measure]:
    found: dict[str, Compared | str] = {}
    for kind in kinds:
        trial.say(f"{kind}: {VERSIONS[kind]}")
        try:
            found[kind] = _compared(kind, trial)
        except PrerequisiteError as error:
            found[kind] = str(error)
    for kind, compared in found.items():
        if isinstance(compared, Compared):
            for difference in compared.unexplained:
                trial.say(f"{kind}: {difference}")
            for names in compared.stale:
                trial.say(f"{kind}: nothing differs in {names} any more: its explanation goes")
    return summary(found)


def _compared(kind: str, trial: Trial) -> Compared:
    with ExitStack() as stack:
        port = STARTS[kind](trial, stack)
        WORK[kind](port)
        peer = debian_servers.exporter(kind, trial.layout.state, trial.say, port)
        stack.callback(peer.stop)
        source = _source(kind, port)
        stack.callback(source.close)
        # once each before it counts: both have their connection, and know what they know from the second time on
        _fetch(peer.port)
        source.collect()
        before = _ours(kind, source)
        theirs = _without(read(_fetch(peer.port)), LABELS_OF_OLD.get(kind, ""))
        after = _ours(kind, source)
    return compare(kind, before, theirs, after, EXPLAINED)


def _source(kind: str, port: int) -> Source:
    options: dict[str, dict[str, Any]] = {
        "redis": {"url": f"redis://127.0.0.1:{port}/0"},
        "postgres": {"dsn": f"host=127.0.0.1 port={port} user=postgres dbname=postgres"},
        "mysql": {"port": port, "user": "root"},
        "elasticsearch": {"url": f"http://127.0.0.1:{port}"},
    }
    collector = collectors.load(kind)
    return collector.build(collector.config(target="proof", **options[kind]))


def _ours(kind: str, source: Source) -> Values:
    metrics = source.collect().metrics()
    found = {
        (sample.name, frozenset(sample.labels.items())): float(sample.value)
        for metric in metrics
        for sample in metric.samples
    }
    return {**found, (collectors.load(kind).up, frozenset()): 1.0}


def _without(values: Values, label: str) -> Values:
    return {
        (name, frozenset((key, text) for key, text in labels if key != label)): value
        for (name, labels), value in values.items()
    }


def _fetch(port: int) -> str:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=30) as answer:
        text: str = answer.read().decode()
    return text


def _work_redis(port: int) -> None:
    import redis

    with redis.Redis(port=port) as client:
        for number in range(200):
            client.set(f"llm:{number}", "x" * 100, ex=3600 if number % 2 else None)
        client.get("llm:1")
        client.get("nothing")
        with contextlib.suppress(redis.ResponseError):
            client.execute_command("NO SUCH COMMAND")


def _work_postgres(port: int) -> None:
    import psycopg

    with psycopg.connect(f"host=127.0.0.1 port={port} user=postgres dbname=postgres", autocommit=True) as connection:
        for statement in POSTGRES_WORK:
            connection.execute(statement)


def _work_mysql(port: int) -> None:
    import pymysql

    connection = pymysql.connect(host="127.0.0.1", port=port, user="root", autocommit=True)
    with connection, connection.cursor() as cursor:
        for statement in MYSQL_WORK:
            cursor.execute(statement)


def _work_elasticsearch(port: int) -> None:
    def ask(method: str, path: str, body: object = None) -> None:
        requests.request(method, f"http://127.0.0.1:{port}{path}", json=body, timeout=30).raise_for_status()

    ask("PUT", "/things", {"settings": {"number_of_replicas": 1}})  # on one node: a yellow cluster
    for number in range(20):
        ask("POST", "/things/_doc?refresh=true", {"n": number})
    ask("GET", "/things/_search")


def _of_debian(start: Callable[..., Running]) -> Callable[[Trial, ExitStack], int]:
    def begin(trial: Trial, stack: ExitStack) -> int:
        server = start(trial.layout.state, trial.say)
        stack.callback(server.stop)
        return server.port

    return begin


def _elasticsearch(trial: Trial, stack: ExitStack) -> int:
    installed = elasticnode.install(trial.layout, trial.say)
    return stack.enter_context(elasticnode.running(installed)).port


# Starts a server that the stack stops, and returns its port. Raises PrerequisiteError.
STARTS: Mapping[str, Callable[[Trial, ExitStack], int]] = {
    "redis": _of_debian(debian_servers.redis),
    "postgres": _of_debian(debian_servers.postgres),
    "mysql": _of_debian(debian_servers.mariadb),
    "elasticsearch": _elasticsearch,
}
WORK = {"redis": _work_redis, "postgres": _work_postgres, "mysql": _work_mysql, "elasticsearch": _work_elasticsearch}


def summary(found: Mapping[str, "Compared | str"]) -> list[Measure]:
    """Return the measures of the servers that could be compared; a text says why one could not."""
    taken = {kind: one for kind, one in found.items() if isinstance(one, Compared)}
    note = "; ".join(VERSIONS[kind] for kind in taken)
    missing = [kind for kind in found if kind not in taken]
    told = note + (f"; not taken: {', '.join(missing)}" if missing else "")

    def total(heap: str) -> float | None:
        return sum(len(getattr(one, heap)) for one in taken.values()) if taken else None

    measures = [
        measure("parity.equal", total("equal"), "series", ">= 1", note=told or "no server could be started"),
        measure("parity.explained", total("explained"), "series", ">= 0", note=told or "no server could be started"),
        measure(
            "parity.unexplained", total("unexplained"), "series", "== 0", note=told or "no server could be started"
        ),
        measure("parity.stale", total("stale"), "explanations", "== 0", note=told or "no server could be started"),
    ]
    for kind, one in found.items():
        if isinstance(one, str):
            measures.append(measure(f"parity.unexplained.{kind}", None, "series", "== 0", note=one))
            continue
        first = f"; first {one.unexplained[0]}" if one.unexplained else ""
        note = f"{VERSIONS[kind]}; {len(one.equal)} equal, {len(one.explained)} explained{first}"
        measures.append(measure(f"parity.unexplained.{kind}", len(one.unexplained), "series", "== 0", note=note))
    return measures


PROOF = Proof(
    "parity",
    "Ours and the field's own exporters say the same of Redis, PostgreSQL, MariaDB and Elasticsearch.",
    run,
)
