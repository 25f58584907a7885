"""The sink against the scriptable server: what is settled, what is raised, and what the next send does."""

import itertools
import json
import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from threading import Event as Flag
from threading import Thread
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from topmast_shipper import rooms
from topmast_shipper.checkpoint import Checkpoint
from topmast_shipper.component import Block, Cursor, Line, Receipt, Refusal, Sink, Source
from topmast_shipper.connection import Address, address
from topmast_shipper.dead_letters import DeadLetters
from topmast_shipper.errors import PermanentError, ShipperError, TransientError
from topmast_shipper.event import Event, Origin
from topmast_shipper.intake import Intake
from topmast_shipper.lumberjack import encode_ack
from topmast_shipper.parsers import plain
from topmast_shipper.pipeline import Lane, Signal
from topmast_shipper.retry import Backoff
from topmast_shipper.signatures import Signatures
from topmast_shipper.sinks.logstash import SINK, Config, LogstashSink
from topmast_shipper.telemetry import Telemetry
from topmast_shipper.testing import STREAM, SinkContract, event, events
from topmast_shipper.testing_lumberjack import (
    Fault,
    LumberjackServer,
    accept_then_close,
    ack_too_large,
    answer_with,
    delay_ack,
    half_open,
    keep_alive,
    never_reads,
    no_ack,
    partial_ack,
    reset_after_ack,
    reset_after_bytes,
    torn_ack,
    well,
)


def documents(window: Sequence[Event]) -> list[Any]:
    return [each.document for each in window]


@contextmanager
def sink_to(*hosts: object, **options: Any) -> Iterator[Sink]:
    addresses = [host.address if isinstance(host, LumberjackServer) else host for host in hosts]
    with closing(SINK.build({"hosts": addresses, "timeout_seconds": 5, **options})) as sink:
        yield sink


@pytest.fixture
def server() -> Iterator[LumberjackServer]:
    with LumberjackServer("logstash") as server:
        yield server


class TestLogstash(SinkContract):
    once = False  # it is `event.id` that lets Logstash's output tell

    @pytest.fixture
    def sink(self, server: LumberjackServer) -> Iterator[Sink]:
        with sink_to(server) as sink:
            yield sink

    @pytest.fixture
    def stored(self, server: LumberjackServer) -> Callable[[], Sequence[str]]:
        return lambda: [document["event"]["id"] for document in server.events]


# What arrives


@pytest.mark.parametrize("mode", ["logstash", "go-lumber"])
@pytest.mark.parametrize("compression", [True, False], ids=["compressed", "plain"])
def test_windows_arrive_in_order_over_one_connection(mode: Any, compression: bool) -> None:
    window = events(5)
    with LumberjackServer(mode) as server, sink_to(server, compression=compression) as sink:
        receipts = [sink.send(window[:3]), sink.send(window[3:])]

        assert receipts == [Receipt(3), Receipt(2)]
        assert (server.events, server.windows, server.connections) == (documents(window), [3, 2], 1)


def test_what_json_does_not_have_arrives_harmless(server: LumberjackServer) -> None:
    with sink_to(server) as sink:
        receipt = sink.send([event(1, a=float("nan"), b="\ud800", c=10**400, d=[float("inf")])])

    assert receipt == Receipt(1)
    arrived = server.events[0]
    assert (arrived["a"], arrived["b"], arrived["d"]) == (None, "?", [None])


def test_a_window_larger_than_servers_hold_goes_in_parts(server: LumberjackServer) -> None:
    with sink_to(server) as sink:
        assert sink.send(events(3000)) == Receipt(2048)


def test_a_window_is_cut_by_bytes(server: LumberjackServer) -> None:
    window = [event(number, pad="x" * 30_000) for number in range(1, 6)]
    with sink_to(server, max_window_bytes=65536) as sink:
        assert sink.send(window) == Receipt(2)


def test_an_event_larger_than_a_window_is_refused_alone(server: LumberjackServer) -> None:
    window = [event(1), event(2, pad="x" * 70_000), event(3)]
    with sink_to(server, max_window_bytes=65536) as sink:
        receipts = [sink.send(window), sink.send(window[1:]), sink.send(window[2:])]

    assert receipts == [Receipt(1), Receipt(1, (Refusal(0, "too_large"),)), Receipt(1)]
    assert server.events == documents([window[0], window[2]])


# What goes wrong (SHIPPING.md section 2.4)


@pytest.mark.parametrize(
    "fault", [well(), keep_alive(3), torn_ack(), partial_ack(2, "answer"), half_open()], ids=lambda fault: fault.name
)
def test_the_whole_window_is_settled(server: LumberjackServer, fault: Fault) -> None:
    server.script(fault)
    with sink_to(server) as sink:
        receipt = sink.send(events(5))

    assert (receipt, server.events) == (Receipt(5), documents(events(5)))


@pytest.mark.parametrize("then", ["reset", "close"])
@pytest.mark.parametrize("settled", [1, 2, 3, 4])
def test_a_part_is_settled_and_the_rest_goes_over_a_new_connection(
    server: LumberjackServer, settled: int, then: Any
) -> None:
    server.script(partial_ack(settled, then))
    window = events(5)
    with sink_to(server) as sink:
        first = sink.send(window)
        left = window[settled:]
        while left:
            left = left[sink.send(left).settled :]

    assert (first, server.connections) == (Receipt(settled), 2)
    assert server.events == documents(window)


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        pytest.param(no_ack("reset"), "connection reset by peer", id="reset after it was taken"),
        pytest.param(no_ack("reset", taken=False), "connection reset by peer", id="reset before it was taken"),
        pytest.param(no_ack("close"), "closed the connection", id="closed"),
        pytest.param(no_ack("silence"), "nothing for 0.2 s", id="silence"),
        pytest.param(ack_too_large(), "acknowledges 6 of 5 events", id="an acknowledgement too large"),
        pytest.param(answer_with(b"2A\0", "close"), "closed the connection", id="half an acknowledgement"),
        pytest.param(accept_then_close(), None, id="accepted and closed"),
        pytest.param(reset_after_bytes(0), None, id="reset at once"),
        pytest.param(reset_after_bytes(1), None, id="reset within the window frame"),
        pytest.param(reset_after_bytes(6), None, id="reset behind the window frame"),
        pytest.param(reset_after_bytes(40), None, id="reset within the events"),
    ],
)
def test_nothing_is_settled_and_the_next_send_gets_through(
    server: LumberjackServer, fault: Fault, message: str | None
) -> None:
    server.script(fault)
    window = events(5)
    with sink_to(server, timeout_seconds=0.2) as sink:
        with pytest.raises(TransientError, match=message):
            sink.send(window)
        left = window
        while left:
            left = left[sink.send(left).settled :]

    assert server.events[-5:] == documents(window)


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        pytest.param(b"2W\0\0\0\5", "b'2W", id="a window"),
        pytest.param(b"1A\0\0\0\5", "b'1A", id="version 1"),
        pytest.param(b"HTTP/1.1 400 Bad Request\r\n", "b'HTTP/1.1 400 ", id="HTTP"),
        pytest.param(b"\x15\x03\x03\0\2\2\x46", "TLS", id="a TLS alert"),
    ],
)
def test_a_server_of_another_protocol_needs_a_person(server: LumberjackServer, answer: bytes, said: str) -> None:
    server.script(answer_with(answer))
    message = f"^{server.address}: not Lumberjack version 2 but {said}"
    with sink_to(server) as sink, pytest.raises(PermanentError, match=message):
        sink.send(events(5))


def test_a_partial_acknowledgement_before_nonsense_counts(server: LumberjackServer) -> None:
    server.script(answer_with(encode_ack(2) + b"nonsense"))
    with sink_to(server) as sink:
        assert sink.send(events(5)) == Receipt(2)


def test_a_server_that_never_reads_is_given_up(server: LumberjackServer) -> None:
    server.script(never_reads())
    # more than two sockets' buffers hold
    window = [event(number, pad="x" * 1_000_000) for number in range(1, 33)]
    with sink_to(server, timeout_seconds=0.3, compression=False, max_window_bytes=64 << 20) as sink:
        with pytest.raises(TransientError, match=r"writing: nothing for 0\.3 s"):
            sink.send(window)

        assert sink.send(events(1)) == Receipt(1)


def test_a_connection_without_life_is_given_up_and_made_anew(server: LumberjackServer) -> None:
    server.script(half_open())
    with sink_to(server, timeout_seconds=0.2) as sink:
        sink.send(events(1))
        with pytest.raises(TransientError, match="nothing for"):
            sink.send(events(1))

        assert sink.send(events(1)) == Receipt(1)


def test_a_connection_that_was_reset_while_idle_is_no_error(server: LumberjackServer) -> None:
    now = Flag()
    server.script(reset_after_ack(now))
    with sink_to(server) as sink:
        sink.send(events(1))
        now.set()
        server.wait_for(lambda: server.ended == 1)

        assert sink.send(events(1)) == Receipt(1)
        assert server.connections == 2


def test_an_acknowledgement_that_comes_unasked_is_not_taken_for_the_next(server: LumberjackServer) -> None:
    server.script(answer_with(encode_ack(1) + encode_ack(1)), answer_with(b"", "close"))
    with sink_to(server) as sink:
        sink.send(events(1))
        with pytest.raises(TransientError):
            sink.send(events(1))


def test_a_busy_server_is_waited_for_and_named_once(
    server: LumberjackServer, caplog: pytest.LogCaptureFixture
) -> None:
    server.script(keep_alive(5), keep_alive(1))
    ticks = itertools.count(0, 100)
    config = Config((address(server.address, 0),), timeout_seconds=5)
    with closing(LogstashSink(config, clock=lambda: next(ticks))) as sink, caplog.at_level(logging.WARNING):
        assert sink.send(events(1)) == Receipt(1)

    assert [record.getMessage() for record in caplog.records] == [
        f"{server.address} is alive and takes nothing, waiting on"
    ]


def test_closing_ends_a_send_of_another_thread(server: LumberjackServer) -> None:
    never = Flag()
    server.script(delay_ack(never))
    outcome: list[ShipperError] = []

    def send(sink: Sink) -> None:
        try:
            sink.send(events(1))
        except ShipperError as error:
            outcome.append(error)

    with sink_to(server, timeout_seconds=30) as sink:
        thread = Thread(target=send, args=(sink,))
        thread.start()
        server.wait_for(lambda: server.windows == [1])
        sink.close()
        thread.join()
    never.set()

    assert [type(error) for error in outcome] == [TransientError]


# How much at once


def test_a_window_is_halved_by_each_reset_and_grows_again(server: LumberjackServer) -> None:
    server.script(no_ack(), no_ack(), no_ack())
    with sink_to(server) as sink:
        for _ in range(3):
            with pytest.raises(TransientError):
                sink.send(events(2048))
        sent = [sink.send(events(2048)).settled for _ in range(3)]

    assert server.windows[:3] == [2048, 1024, 512]
    assert sent == [256, 384, 512]


def test_a_window_never_becomes_empty(server: LumberjackServer) -> None:
    server.script(no_ack(), no_ack(), no_ack(), no_ack())
    with sink_to(server) as sink:
        for _ in range(4):
            with pytest.raises(TransientError):
                sink.send(events(4))

        assert sink.send(events(4)) == Receipt(1)
    assert server.windows == [4, 2, 1, 1, 1]


class Lines:
    """An input with one source: a file of numbered lines, in memory."""

    name, service, stream, generation = "app", "shop", STREAM, 0
    origin = Origin("app")

    def __init__(self, count: int) -> None:
        self.data = b"".join(b"%09d\n" % number for number in range(count))
        self.size = len(self.data)

    def sources(self) -> Sequence[Any]:
        return [self]

    def read(self, cursor: Cursor, max_bytes: int, max_lines: int) -> Block | None:
        ends = range(cursor.offset + 10, self.size + 1, 10)[:max_lines]
        lines = [Line(self.data[end - 10 : end - 1], end - 10, end) for end in ends]
        return Block(lines, ends[-1], self.data[: ends[-1]]) if lines else None

    def events(self, source: Source, lines: Sequence[Line], now: float) -> list[Event]:
        return Intake(plain.parse).events(source, lines, now)


def test_a_poisonous_event_is_found_by_the_pipeline_and_costs_no_other(tmp_path: Path) -> None:
    everything: Any = Lines(5000)
    telemetry = Telemetry(Signatures(tmp_path / "signatures"))
    with (
        LumberjackServer(poisonous=lambda document: document["message"] == "000003210") as server,
        closing(Checkpoint(tmp_path)) as checkpoint,
        sink_to(server) as sink,
    ):
        letters = DeadLetters(tmp_path)
        lane = Lane(
            "logstash", sink, [everything], checkpoint, letters, telemetry, Signal(), backoff=Backoff(0.0, 0.0)
        )
        while lane.step():
            continue

        arrived = list(dict.fromkeys(document["message"] for document in server.events))
    assert arrived == [f"{number:09d}" for number in range(5000) if number != 3210]
    assert [json.loads(line)["message"] for line in letters.path.read_text().splitlines()] == ["000003210"]


# The configuration


def test_the_sink_is_in_its_room_under_its_name() -> None:
    assert rooms.kind("sinks", "logstash") is SINK
    assert SINK.name == "logstash"


@pytest.mark.parametrize(
    "options",
    [
        pytest.param({}, id="no hosts"),
        pytest.param({"hosts": []}, id="no host"),
        pytest.param({"hosts": ["a", "a"]}, id="one host twice"),
        pytest.param({"hosts": ["a"], "timeout_seconds": 0}, id="no timeout"),
        pytest.param({"hosts": ["a"], "tls": {"cafile": "x"}}, id="a word that is not known"),
        pytest.param({"hosts": ["a"], "host": "a"}, id="another"),
    ],
)
def test_the_schema_is_closed(options: dict[str, Any]) -> None:
    Draft202012Validator.check_schema(SINK.schema)

    assert not Draft202012Validator(SINK.schema).is_valid(options)


def test_defaults_are_the_dataclass() -> None:
    assert Config((Address("a", 5044),)) == Config(
        (Address("a", 5044),), None, timeout_seconds=30, compression=True, max_window_bytes=8 << 20, balance=True
    )
