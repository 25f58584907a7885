"""The contract of every collector against servers that are none: one line in the log, up 0, a reason, and an end."""

import contextlib
import datetime
import json
import socket
import ssl
import struct
import threading

import psutil
import pytest
import trustme
from topmast_exporter import collector as room
from topmast_exporter.collectors.elasticsearch import SECTIONS
from topmast_exporter.deadline_socket import MAX_BYTES
from topmast_exporter.errors import CollectError
from topmast_exporter.refresh import Targets
from topmast_exporter.registry import Registry
from topmast_exporter.render import render

# What each is told of where its server is.
WHERE = {
    "redis": lambda port: {"url": f"redis://127.0.0.1:{port}/0"},
    "postgres": lambda port: {"dsn": f"host=127.0.0.1 port={port} user=postgres dbname=postgres"},
    "mysql": lambda port: {"port": port, "user": "root"},
    "elasticsearch": lambda port: {"url": f"http://127.0.0.1:{port}"},
    "logstash": lambda port: {"url": f"http://127.0.0.1:{port}"},
    "kibana": lambda port: {"url": f"http://127.0.0.1:{port}"},
}
HTTP = ("elasticsearch", "logstash", "kibana")

FIFTY_MEGABYTES = 50 * 2**20
BLOCK = b"x" * 2**16

# What a server of each protocol says before the first byte of an answer that is far too long.
LONG = {
    "redis": b"$%d\r\n" % FIFTY_MEGABYTES,
    "postgres": b"R" + struct.pack("!i", FIFTY_MEGABYTES),
    "mysql": b"\xff\xff\xff\x00\x0a",  # a packet of 16 MB that goes on in the next one, and the next one
    **dict.fromkeys(HTTP, b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\r\n"),
}


class BadServer:
    """Accepts, and does with each connection what it is told to."""

    def __init__(self, behave):
        self.most = 0
        """Bytes that one connection took, of the one that took most."""
        self._behave = behave
        self._over = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.settimeout(0.05)
        self.port = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self):
        while not self._over.is_set():
            with contextlib.suppress(OSError):
                connection, _ = self._listener.accept()
                with connection:
                    connection.settimeout(5)
                    self._behave(self, connection)

    def wait(self):
        self._over.wait(30)

    def stop(self):
        self._over.set()
        self._thread.join()
        self._listener.close()


def asked(connection):
    """Wait until the client speaks; MySQL's waits for the server."""
    connection.settimeout(0.2)
    with contextlib.suppress(TimeoutError):
        connection.recv(65_536)
    connection.settimeout(5)


def garbage(server, connection):
    asked(connection)
    connection.sendall(b"\x00\xff<html>no such thing</html>\r\n\r\n" * 3)


def half(server, connection):
    """Hang up in the middle of an answer: half an INFO, half a JSON, half a greeting."""
    asked(connection)
    answers = {
        "redis": b"+OK\r\n" * 3 + b"$5000\r\n# Server\r\nredis_version:7.2.4\r\nuptime_in_sec",
        "postgres": b"R\x00\x00\x00\x08\x00",
        "mysql": b"\x4a\x00\x00\x00\x0a5.7",
    }
    http = b"HTTP/1.1 200 OK\r\ncontent-length: 500\r\n\r\n" + b'{"cluster_name": "sho'
    connection.sendall(answers.get(server.kind, http))


def long(server, connection):
    asked(connection)
    connection.sendall(LONG[server.kind])
    sent = 0
    while sent < FIFTY_MEGABYTES:
        connection.sendall(BLOCK)
        sent += len(BLOCK)
        server.most = max(server.most, sent)


def silent(server, connection):
    server.wait()


@pytest.fixture
def bad():
    """Return a function that starts a bad server until the test ends."""
    with contextlib.ExitStack() as stack:

        def start(kind, behave):
            server = BadServer(behave)
            server.kind = kind
            stack.callback(server.stop)
            return server

        yield start


def refreshed(kind, port, caplog, times=2):
    """Return what the refreshes told: (whether each was good, reasons in the log, up, reasons counted)."""
    registry = Registry()
    targets = Targets(registry)
    collector = room.load(kind)
    options = {"target": "t", "timeout_seconds": 1.0, **WHERE[kind](port)}
    target = targets.add(collector, collector.config(**options))
    with caplog.at_level("WARNING", "topmast_exporter"):
        good = [target.refresh() for _ in range(times)]
    target._source.close()
    text = render(registry)[0].decode()
    up = f'exporter_collector_up{{collector="{kind}",target="t"}} '
    counted = {
        reason
        for reason in CollectError.REASONS
        if f'exporter_collector_failures_total{{collector="{kind}",reason="{reason}"}} {float(times)}' in text
    }
    return good, [record.reason for record in caplog.records], text.partition(up)[2][:3], counted


def test_every_collector_that_asks_a_server_is_held_here():
    assert set(WHERE) == set(room.names()) - {"containers"}


@pytest.mark.parametrize("kind", WHERE)
@pytest.mark.parametrize(
    ("behave", "reasons"),
    [
        pytest.param(garbage, {"protocol", "connection"}, id="garbage"),
        pytest.param(half, {"protocol", "connection"}, id="half an answer"),
        pytest.param(long, {"protocol", "connection"}, id="50 MB"),
        pytest.param(silent, {"timeout"}, id="silence"),
    ],
)
def test_a_server_that_is_none_is_one_line_and_a_reason(bad, caplog, kind, behave, reasons):
    server = bad(kind, behave)

    good, said, up, counted = refreshed(kind, server.port, caplog)

    assert good == [False, False]
    assert len(said) == 1, caplog.records  # once per failure, not per refresh
    assert set(said) <= reasons
    assert up == "0.0"
    assert counted == set(said)
    assert server.most < MAX_BYTES + 12 * 2**20  # and what the kernel holds of what was never read


@pytest.mark.parametrize("kind", WHERE)
def test_a_server_that_is_down_at_the_start_is_one_line_and_a_reason(caplog, kind, port):
    good, said, up, counted = refreshed(kind, port, caplog)

    assert (good, said, up, counted) == ([False, False], ["connection"], "0.0", {"connection"})


@pytest.mark.parametrize("kind", WHERE)
def test_packets_that_are_dropped_are_a_timeout_and_no_connection_is_left(caplog, kind):
    with contextlib.ExitStack() as stack:
        # the kernel drops who knocks at a listener whose queue is full, as a firewall does
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        port = listener.getsockname()[1]
        stack.enter_context(socket.create_connection(("127.0.0.1", port)))

        good, said, up, counted = refreshed(kind, port, caplog)
        ours = psutil.Process().net_connections("tcp")

    assert (good, said, up, counted) == ([False, False], ["timeout"], "0.0", {"timeout"})
    assert sum(bool(one.raddr) and one.raddr.port == port and one.status == "SYN_SENT" for one in ours) == 0


@pytest.mark.parametrize("kind", ["redis", "postgres"])
def test_a_certificate_that_has_expired_is_said(bad, tmp_path, kind):
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    yesterday = datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=1)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost", not_after=yesterday).configure_cert(context)

    def shake(server, connection):
        if kind == "postgres":
            connection.recv(8)  # SSLRequest
            connection.sendall(b"S")
        with contextlib.suppress(ssl.SSLError):
            context.wrap_socket(connection, server_side=True)

    server = bad(kind, shake)
    ca = tmp_path / "ca.pem"
    options = {
        "redis": {"url": f"rediss://localhost:{server.port}/0", "ca_file": str(ca)},
        "postgres": {
            "dsn": f"host=localhost port={server.port} user=u dbname=d sslmode=verify-full sslrootcert={ca}",
        },
    }[kind]
    collector = room.load(kind)
    source = collector.build(collector.config(target="t", **options))

    with (
        contextlib.closing(source),
        pytest.raises(CollectError, match=r"certificate (has expired|verify failed)") as error,
    ):
        source.collect()

    assert error.value.reason == "connection"


def test_one_that_fails_costs_the_others_nothing_and_one_that_comes_later_is_found(
    bad, start_valkey, answering, eventually, port
):
    answering.answers["/_cluster/health"] = (200, json.dumps({"cluster_name": "logs", "status": "green"}).encode())
    registry = Registry()
    targets = Targets(registry)
    fast = {"interval_seconds": 1.0, "timeout_seconds": 1.0}
    elastic, redis_ = room.load("elasticsearch"), room.load("redis")
    targets.add(elastic, elastic.config(target="mute", **fast, **WHERE["elasticsearch"](bad("x", silent).port)))
    late = targets.add(redis_, redis_.config(target="late", **fast, **WHERE["redis"](port)))
    answering.answers[f"/_nodes/stats/{SECTIONS}"] = (200, b'{"cluster_name": "logs", "nodes": {}}')
    good = targets.add(elastic, elastic.config(target="good", **fast, url=answering.url))
    targets.start()
    try:
        eventually(lambda: good.snapshot().up, "the good one is read")
        before = late.snapshot().up
        start_valkey(port=port)
        eventually(lambda: late.snapshot().up, "the late one is found")
        others = (good.snapshot().up, targets.get("elasticsearch", "mute").snapshot().up)
    finally:
        targets.stop()

    assert (before, others) == (False, (True, False))


def test_a_database_of_ten_thousand_tables_is_bounded(start_postgres):
    import psycopg

    server = start_postgres("max_locks_per_transaction=1024")
    with psycopg.connect(server.url, autocommit=True) as connection:
        for start in range(0, 10_000, 2_500):
            create = (
                f"FOR n IN {start}..{start + 2_499} LOOP EXECUTE format('CREATE TABLE t%s (a int)', n); END LOOP;"
            )
            connection.execute(f"DO $$ BEGIN {create} END $$")
    collector = room.load("postgres")
    source = collector.build(collector.config(target="t", dsn=server.url))
    with contextlib.closing(source):
        reading = source.collect()

    tables = {
        sample.labels["relname"]
        for metric in reading.metrics()
        if metric.name.startswith("pg_stat_user_tables")
        for sample in metric.samples
    }
    assert reading.refused == {}
    assert len(tables) == 20
    assert sum(len(metric.samples) for metric in reading.metrics()) < 2_000
