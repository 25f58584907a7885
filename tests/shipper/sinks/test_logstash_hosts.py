"""The logstash sink with several hosts: turns, failover, rest."""

import logging
import socket
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

import pytest
from topmast_shipper.component import Receipt, Sink
from topmast_shipper.connection import address
from topmast_shipper.errors import TransientError
from topmast_shipper.sinks.logstash import SINK, Config, LogstashSink
from topmast_shipper.testing import events
from topmast_shipper.testing_lumberjack import (
    LumberjackServer,
    no_ack,
)


@contextmanager
def sink_to(*hosts: object, **options: Any) -> Iterator[Sink]:
    addresses = [host.address if isinstance(host, LumberjackServer) else host for host in hosts]
    with closing(SINK.build({"hosts": addresses, "timeout_seconds": 5, **options})) as sink:
        yield sink


@pytest.fixture
def server() -> Iterator[LumberjackServer]:
    with LumberjackServer("logstash") as server:
        yield server


@pytest.fixture
def other() -> Iterator[LumberjackServer]:
    with LumberjackServer("go-lumber") as server:
        yield server


@pytest.fixture
def nobody() -> Iterator[str]:
    """An address that refuses connections."""
    with closing(socket.socket()) as held:
        held.bind(("127.0.0.1", 0))
        yield f"127.0.0.1:{held.getsockname()[1]}"


def test_windows_take_turns_between_hosts(server: LumberjackServer, other: LumberjackServer) -> None:
    with sink_to(server, other) as sink:
        for _ in range(6):
            sink.send(events(1))

    assert (server.windows, other.windows) == ([1] * 3, [1] * 3)
    assert (server.connections, other.connections) == (1, 1)


def test_without_balance_the_first_host_that_answers_takes_all(
    server: LumberjackServer, other: LumberjackServer, nobody: str
) -> None:
    with sink_to(nobody, server, other, balance=False) as sink:
        for _ in range(3):
            sink.send(events(1))

    assert (server.windows, other.windows) == ([1] * 3, [])


@pytest.mark.parametrize("start", [0, 1])
def test_a_host_that_refuses_costs_nothing_but_a_line_in_the_log(
    server: LumberjackServer, nobody: str, start: int, caplog: pytest.LogCaptureFixture
) -> None:
    hosts = (address(nobody, 0), address(server.address, 0))
    sink = LogstashSink(Config(hosts), clock=lambda: 0.0, start=lambda _count: start)
    with closing(sink), caplog.at_level(logging.WARNING):
        receipts = [sink.send(events(1)) for _ in range(4)]

    assert receipts == [Receipt(1)] * 4
    assert [record.getMessage() for record in caplog.records] == [
        f"sending to {server.address} instead: {nobody}: cannot connect: connection refused"
    ]


def test_a_host_that_failed_is_asked_last_until_it_has_rested(
    server: LumberjackServer, other: LumberjackServer
) -> None:
    now = 0.0
    hosts = (address(server.address, 0), address(other.address, 0))
    server.script(no_ack("close"))
    with closing(LogstashSink(Config(hosts, balance=False), clock=lambda: now)) as sink:
        with pytest.raises(TransientError):
            sink.send(events(1))
        resting = sink.send(events(1)), server.windows, other.windows
        now = 31.0
        rested = sink.send(events(1)), server.windows, other.windows

    assert resting == (Receipt(1), [1], [1])
    assert rested == (Receipt(1), [1, 1], [1])


def test_no_host_at_all_names_each(nobody: str) -> None:
    with sink_to(nobody, "does-not-exist.invalid:5044") as sink, pytest.raises(TransientError) as caught:
        sink.send(events(1))

    assert f"{nobody}: cannot connect: connection refused" in str(caught.value)
    assert "does-not-exist.invalid:5044: cannot connect: " in str(caught.value)
