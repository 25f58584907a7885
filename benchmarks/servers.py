"""What it costs a server, and who scrapes it, to be read by our exporter, beside the field's own exporters.

Starts Debian's Redis, PostgreSQL and MariaDB, fills them, and lets ours and Debian's exporters read them in one run.
Answers are timed over a kept connection; processor time is the kernel's account of the server's process.
"""

import gc
import http.client
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from topmast import debian_servers, installation
from topmast.benchmark import Benchmark, Run
from topmast.debian_servers import Running, free_port
from topmast.errors import PrerequisiteError, TopmastError
from topmast.measure import Measure, measure
from topmast.processes import cpu_seconds
from topmast_exporter.collectors.postgres import Config as PostgresConfig
from topmast_exporter.collectors.postgres import PostgresSource
from topmast_exporter.collectors.redis import Config as RedisConfig
from topmast_exporter.collectors.redis import RedisSource

NAMESPACES = {name: f"{name}:*" for name in ("llm", "emb", "sem", "sess", "rag", "rate")}
REDIS_EXPORTER, POSTGRES_EXPORTER = "redis_exporter 1.45", "postgres_exporter 0.11.1"
SCAN_INTERVAL_SECONDS = 30.0
REFRESHES_AN_HOUR = 240

# name -> (unit, goal): what is said of it when it could not be taken
GOALS = {
    "servers.redis.answer": ("ms", "<= 2"),
    "servers.redis.cpu_share": ("%", "<= 0.5"),
    "servers.redis.first_estimate": ("s", "<= 0.1"),
    "servers.redis.keys_off": ("keys", "== 0"),
    "servers.postgres.refresh": ("ms", "<= 15"),
    "servers.postgres.answer": ("ms", "<= 2"),
    "servers.frozen": ("ms", "<= 5"),
    "servers.frozen.up_is_0": ("intervals", "<= 1"),
    "servers.frozen.connections": ("connections", "<= 1"),
    "servers.frozen.others": ("failed answers", "== 0"),
    "servers.memory": ("MB", "<= 90"),
}


# kind -> (what starts it, its options)
STARTS: Mapping[str, tuple[Callable[..., Running], Sequence[str]]] = {
    "redis": (debian_servers.redis, ("--enable-debug-command", "local")),
    "postgres": (debian_servers.postgres, ("pg_stat_statements.max=10000", "max_locks_per_transaction=1024")),
    "mysql": (debian_servers.mariadb, ()),
}


def run(bench: Run, starts: Mapping[str, tuple[Callable[..., Running], Sequence[str]]] = STARTS) -> Sequence[Measure]:
    state = Path(os.environ.get("TOPMAST_STATE", bench.home / ".topmast"))
    try:
        with ExitStack() as stack:
            servers = {}
            for kind, (start, options) in starts.items():
                servers[kind] = start(state, bench.say, options)
                stack.callback(servers[kind].stop)
            return [
                *_redis(bench, state, servers["redis"]),
                *_postgres(bench, state, servers["postgres"]),
                *_frozen(bench, state, servers),
                _memory(bench, state, servers),
            ]
    except PrerequisiteError as error:
        return [measure(name, None, unit, goal, note=str(error)) for name, (unit, goal) in GOALS.items()]


def _taken(name: str, value: float, note: str, **peer: Any) -> Measure:
    unit, goal = GOALS[name]
    return measure(name, value, unit, goal, note=note, **peer)


# --- redis ------------------------------------------------------------------------------------------------------


def _redis(bench: Run, state: Path, server: Running) -> Iterator[Measure]:
    import redis

    each = (1_000_000 if bench.full else 200_000) // len(NAMESPACES)
    keys = each * len(NAMESPACES)
    bench.say(f"redis: {keys} keys in {len(NAMESPACES)} namespaces")
    with redis.Redis(port=server.port, socket_timeout=120) as client:
        for name in NAMESPACES:
            client.execute_command("DEBUG", "POPULATE", each, name, 100)

    url = f"redis://127.0.0.1:{server.port}/0"
    for _ in range(2):  # the first one imports the library
        source = RedisSource(RedisConfig("bench", url, namespaces=NAMESPACES, scan_budget_calls=1))
        source.collect()
        source.close()
    source = RedisSource(RedisConfig("bench", url, namespaces=NAMESPACES))
    began = time.perf_counter()
    estimate = source.collect().value("cache_keys", namespace="llm") or 0
    first = time.perf_counter() - began
    source.close()
    off = abs(estimate - each) / each
    yield _taken(
        "servers.redis.first_estimate", first, f"connect, INFO and 100 SCANs; {off:.1%} off for 1/6 of the keys"
    )
    whole = RedisConfig("bench", url, namespaces=NAMESPACES, timeout_seconds=60.0, scan_interval_seconds=0.0)
    source = RedisSource(whole)
    swept = source.collect()
    while not source.swept():  # a slow SCAN ends a tick early: the server is busy
        swept = source.collect()
    source.close()
    counted = sum(abs((swept.value("cache_keys", namespace=name) or 0) - each) for name in NAMESPACES)
    yield _taken("servers.redis.keys_off", counted, f"one whole sweep of {keys} keys, summed over the namespaces")

    patterns = ",".join(f"db0={pattern}" for pattern in NAMESPACES.values())
    peer = debian_servers.exporter("redis", state, bench.say, server.port, [f"-count-keys={patterns}"])
    try:
        before = cpu_seconds(server.process.pid)
        theirs = _answers(peer.port, "/metrics", 3)
        their_cpu = (cpu_seconds(server.process.pid) - before) / 3
    finally:
        peer.stop()

    window = 120.0 if bench.full else 60.0
    bench.say(f"redis: what reading costs it, twice {window:g} s")
    idle = _share(server.process.pid, window)
    with _exporter([{"redis": {"target": "bench", "url": url, "namespaces": NAMESPACES}}]) as (port, _):
        _until_up(port, "redis", "redis_up")
        ours = _answers(port, "/probe?module=redis&target=bench", 200)
        busy = _share(server.process.pid, window)
    share, their_share = max(0.0, busy - idle) * 100, their_cpu / SCAN_INTERVAL_SECONDS * 100
    note = f"{keys} keys, six namespaces; theirs counts the keys at each scrape"
    yield _taken("servers.redis.answer", ours, note, peer=REDIS_EXPORTER, peer_value=theirs, ratio=theirs / ours)
    yield _taken(
        "servers.redis.cpu_share",
        share,
        f"of one processor over {window:g} s, above {idle * 100:.2f} % without; theirs at a scrape each 30 s",
        peer=REDIS_EXPORTER,
        peer_value=their_share,
        ratio=their_share / share if share else None,
    )


# --- postgres ---------------------------------------------------------------------------------------------------


def _postgres(bench: Run, state: Path, server: Running) -> Iterator[Measure]:
    tables, shapes = (500, 10) if bench.full else (200, 5)
    bench.say(f"postgres: 12 databases, {tables} tables, {tables * shapes} statements")
    _fill_postgres(server.port, tables, shapes)
    dsn = f"host=127.0.0.1 port={server.port} user=postgres dbname=postgres"
    # An hour's schedule without its waiting: what is read seldom is due as often as it is for a user.
    hour = [0.0]
    source = PostgresSource(PostgresConfig("bench", dsn), clock=lambda: hour[0])
    source.collect()  # connects
    gc.freeze()  # as the exporter does: no collection walks what start-up made
    took = []
    for number in range(1, REFRESHES_AN_HOUR + 1):
        hour[0] = number * PostgresConfig("bench", dsn).interval_seconds
        began = time.perf_counter()
        source.collect()
        took.append((time.perf_counter() - began) * 1000)
    gc.unfreeze()
    source.close()
    peer = debian_servers.exporter("postgres", state, bench.say, server.port)
    try:
        theirs = _answers(peer.port, "/metrics", 11)
    finally:
        peer.stop()
    refresh = statistics.fmean(took)
    size = f"12 databases, {tables} tables, {tables * shapes} statements"
    yield _taken(
        "servers.postgres.refresh",
        refresh,
        f"{size}; mean of an hour's {len(took)} refreshes: statements in every second, tables in every fourth,"
        f" sizes in every twentieth; median {statistics.median(took):.1f}, worst {max(took):.0f} ms;"
        " theirs without statements",
        peer=POSTGRES_EXPORTER,
        peer_value=theirs,
        ratio=theirs / refresh,
    )
    with _exporter([{"postgres": {"target": "bench", "dsn": dsn}}]) as (port, _):
        _until_up(port, "postgres", "pg_up")
        ours = _answers(port, "/probe?module=postgres&target=bench", 200)
    yield _taken(
        "servers.postgres.answer", ours, size, peer=POSTGRES_EXPORTER, peer_value=theirs, ratio=theirs / ours
    )


def _fill_postgres(port: int, tables: int, shapes: int) -> None:
    import psycopg

    with psycopg.connect(f"host=127.0.0.1 port={port} user=postgres dbname=postgres", autocommit=True) as connection:
        connection.execute("CREATE EXTENSION IF NOT EXISTS pg_stat_statements")
        for number in range(9):  # postgres and the two templates are there already
            connection.execute(f"CREATE DATABASE bench{number} STRATEGY file_copy")
        with connection.transaction():
            for number in range(tables):
                connection.execute(f"CREATE TABLE t{number} (a int, b int)")
        for number in range(tables):
            for shape in range(shapes):
                conditions = " AND ".join(["a > b"] * (shape + 1))
                connection.execute(f"SELECT count(*) FROM t{number} WHERE {conditions}")  # noqa: S608 names of ours


# --- frozen servers -----------------------------------------------------------------------------------------------


def _frozen(bench: Run, state: Path, servers: Mapping[str, Running]) -> Iterator[Measure]:
    import psutil

    bench.say("frozen: redis and postgres stopped in their tracks")
    interval, timeout = 2.0, 1.0
    fast = {"target": "bench", "interval_seconds": interval, "timeout_seconds": timeout}
    collectors = [
        {"redis": {**fast, "url": f"redis://127.0.0.1:{servers['redis'].port}/0"}},
        {
            "postgres": {
                **fast,
                "dsn": f"host=127.0.0.1 port={servers['postgres'].port} user=postgres dbname=postgres",
            }
        },
        {"mysql": {**fast, "port": servers["mysql"].port, "user": "root"}},
    ]
    took: list[float] = []
    failed = most = 0
    down: dict[str, float] = {}
    with _exporter(collectors) as (port, process):
        for kind, name in (("redis", "redis_up"), ("postgres", "pg_up"), ("mysql", "mysql_up")):
            _until_up(port, kind, name)
        reader = psutil.Process(process.pid)
        with servers["redis"].frozen(), servers["postgres"].frozen():
            began = time.perf_counter()
            while time.perf_counter() - began < 4 * interval:
                for kind, name in (("redis", "redis_up"), ("postgres", "pg_up")):
                    asked = time.perf_counter()
                    text = _fetch(port, f"/probe?module={kind}&target=bench")
                    took.append((time.perf_counter() - asked) * 1000)
                    if f"{name} 0" in text:
                        down.setdefault(kind, time.perf_counter() - began)
                failed += "mysql_up 1" not in _fetch(port, "/probe?module=mysql&target=bench")
                ports = [one.raddr.port for one in reader.net_connections("tcp") if one.raddr]
                most = max(most, *(ports.count(servers[kind].port) for kind in ("redis", "postgres")))
                time.sleep(0.05)
        peer = debian_servers.exporter("redis", state, bench.say, servers["redis"].port)
        try:
            with servers["redis"].frozen():
                asked = time.perf_counter()
                _fetch(peer.port, "/metrics", 25.0)
                theirs = (time.perf_counter() - asked) * 1000
        finally:
            peer.stop()
    note = f"{len(took)} answers in {4 * interval:g} s; median, worst {max(took):.1f} ms"
    answer = statistics.median(took)
    yield _taken("servers.frozen", answer, note, peer=REDIS_EXPORTER, peer_value=theirs, ratio=theirs / answer)
    # the refresh that meets the frozen server begins within an interval, and is overdue after its deadline
    late = max((down.get(kind, float("inf")) for kind in ("redis", "postgres")), default=float("inf"))
    told = f"interval {interval:g} s, deadline {timeout:g} s: 0 after {late:.2f} s at the latest, less the deadline"
    yield _taken("servers.frozen.up_is_0", max(0.0, late - timeout) / interval, told)
    yield _taken("servers.frozen.connections", most, "to one server at a time, at the most")
    yield _taken("servers.frozen.others", failed, "mysql, asked all the while")


# --- memory -------------------------------------------------------------------------------------------------------


def _memory(bench: Run, state: Path, servers: Mapping[str, Running]) -> Measure:
    import psutil

    bench.say("memory: three targets of each kind")
    dsn = f"host=127.0.0.1 port={servers['postgres'].port} user=postgres dbname=postgres"
    options: dict[str, dict[str, Any]] = {
        "redis": {"url": f"redis://127.0.0.1:{servers['redis'].port}/0", "namespaces": NAMESPACES},
        "postgres": {"dsn": dsn},
        "mysql": {"port": servers["mysql"].port, "user": "root"},
        **{kind: {"url": "http://127.0.0.1:9"} for kind in ("elasticsearch", "logstash", "kibana")},
        "containers": {},
    }
    fast = {"interval_seconds": 2.0, "timeout_seconds": 2.0}
    collectors = [
        {kind: {**one, **fast, "target": f"t{number}"}} for kind, one in options.items() for number in range(3)
    ]
    with _exporter(collectors) as (port, process):
        for kind, name in (("redis", "redis_up"), ("postgres", "pg_up"), ("mysql", "mysql_up")):
            for number in range(3):
                _until_up(port, kind, name, f"t{number}")
        for _ in range(20):
            for kind in options:
                for number in range(3):
                    _fetch(port, f"/probe?module={kind}&target=t{number}")
            _fetch(port, "/metrics")
            time.sleep(0.3)
        ours = psutil.Process(process.pid).memory_info().rss / 1e6
    theirs = 0.0
    for kind in ("redis", "postgres", "mysql"):
        peer = debian_servers.exporter(kind, state, bench.say, servers[kind].port)
        try:
            _answers(peer.port, "/metrics", 5)
            theirs += psutil.Process(peer.process.pid).memory_info().rss / 1e6
        finally:
            peer.stop()
    note = (
        "resident, after 20 scrapes of 21 targets; elasticsearch, logstash and kibana configured without a server;"
        " theirs: three exporters, one target each"
    )
    return _taken("servers.memory", ours, note, peer="the three exporters", peer_value=theirs, ratio=theirs / ours)


# --- what all need --------------------------------------------------------------------------------------------------


@contextmanager
def _exporter(collectors: Sequence[Mapping[str, Any]]) -> Iterator[tuple[int, subprocess.Popen[bytes]]]:
    """Yield (port, process) of the standalone exporter as a user starts it, with what such an installation holds."""
    with tempfile.TemporaryDirectory(prefix="topmast-servers-") as name:
        folder, port = Path(name), free_port()
        section = {
            "listen": f"127.0.0.1:{port}",
            "data": str(folder / "data"),
            "ingest": {"listen": f"127.0.0.1:{free_port()}"},
            "workers": {"socket": ""},
            "collectors": list(collectors),
        }
        (folder / "topmast.yml").write_text(json.dumps({"exporter": section}))
        with (folder / "log").open("wb") as log:
            path = os.pathsep.join(map(str, installation.link("topmast-exporter[standalone]", folder / "installed")))
            argv = [sys.executable, "-S", "-m", "topmast_exporter", "-c", str(folder / "topmast.yml")]
            process = subprocess.Popen(argv, stdout=log, stderr=log, env={**os.environ, "PYTHONPATH": path})
        try:
            _until(lambda: "ok" in _fetch(port, "/healthz"), "the exporter answers")
            yield port, process
        finally:
            process.terminate()
            process.wait(20)


def _until_up(port: int, kind: str, name: str, target: str = "bench") -> None:
    path = f"/probe?module={kind}&target={target}"
    _until(lambda: f"{name} 1" in _fetch(port, path), f"{kind} is read")


def _until(condition: Callable[[], bool], what: str, seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while True:
        try:
            if condition():
                return
        except OSError:
            pass
        if time.monotonic() > deadline:
            raise TopmastError(f"not within {seconds:g} s: {what}")
        time.sleep(0.05)


def _fetch(port: int, path: str, seconds: float = 30.0) -> str:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=seconds)
    try:
        connection.request("GET", path)
        return connection.getresponse().read().decode()
    finally:
        connection.close()


def _answers(port: int, path: str, count: int) -> float:
    """Return the median time of an answer, in ms, over one kept connection."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
    took = []
    try:
        for _ in range(count):
            began = time.perf_counter()
            connection.request("GET", path)
            connection.getresponse().read()
            took.append((time.perf_counter() - began) * 1000)
    finally:
        connection.close()
    return statistics.median(took)


def _share(pid: int, seconds: float) -> float:
    before = cpu_seconds(pid)
    time.sleep(seconds)
    return (cpu_seconds(pid) - before) / seconds


BENCHMARK = Benchmark(
    "servers", "What reading Redis, PostgreSQL and MariaDB costs, beside Debian's community exporters.", run
)
