"""Our server against the table of what real servers do, and against a client that is not ours."""

import errno
import socket
import zlib
from collections.abc import Iterator
from contextlib import closing
from threading import Event

import pylogbeat
import pytest
from topmast_shipper.lumberjack import KEEP_ALIVE, encode_ack, encode_window
from topmast_shipper.testing_lumberjack import (
    Fault,
    LumberjackServer,
    Mode,
    accept_then_close,
    ack_too_large,
    answer_with,
    delay_ack,
    half_open,
    keep_alive,
    no_ack,
    partial_ack,
    reset_after_ack,
    reset_after_bytes,
    torn_ack,
    well,
)
from topmast_shipper.testing_lumberjack_modes import GOLDEN, Golden

RESET, CLOSED = "reset", "closed"
Answer = list[int | str]


def window(count: int) -> bytes:
    return b"2W" + count.to_bytes(4, "big")


def frame(sequence: int, payload: bytes = b'{"a":1}') -> bytes:
    return b"2J" + sequence.to_bytes(4, "big") + len(payload).to_bytes(4, "big") + payload


def frames(*sequences: int) -> bytes:
    return b"".join(map(frame, sequences))


def packed(data: bytes) -> bytes:
    stream = zlib.compress(data)
    return b"2C" + len(stream).to_bytes(4, "big") + stream


def one(payload: bytes) -> bytes:
    return window(1) + frame(1, payload)


def exchange(server: LumberjackServer, data: bytes, *, ends: bool) -> Answer:
    """Send the bytes; return the numbers that were acknowledged and, when it `ends`, how it did.

    Where nothing is to come, a good window behind it shows that the server has read all of it.
    """
    with closing(socket.create_connection(("127.0.0.1", server.port), 10)) as client:
        answers: Answer = []
        received = b""
        try:
            client.sendall(data)
            if not ends:
                client.shutdown(socket.SHUT_WR)
            while part := client.recv(4096):
                received += part
            how = CLOSED
        except (ConnectionResetError, BrokenPipeError):
            how = RESET
    for start in range(0, len(received), 6):
        assert received[start : start + 2] == b"2A"
        answers.append(int.from_bytes(received[start + 2 : start + 6], "big"))
    return [*answers, how] if ends else answers


# input, what Logstash answers, what go-lumber answers: SHIPPING.md section 2.2, row by row
TABLE = [
    pytest.param(window(5) + packed(frames(1, 2, 3, 4, 5)), [5], [5], id="one compressed frame"),
    pytest.param(window(5) + frames(1, 2, 3, 4, 5), [5], [5], id="plain frames"),
    pytest.param((window(2) + frames(1, 2)) * 3, [2, 2, 2], [2, 2, 2], id="three windows at once"),
    pytest.param(window(4) + packed(frames(1, 2)) + packed(frames(3, 4)), [4], [CLOSED], id="two compressed frames"),
    pytest.param(window(4) + packed(frames(1, 2)) + frames(3, 4), [4], [CLOSED], id="compressed and plain"),
    pytest.param(window(3) + frames(1001, 1002, 1003), [1003], [3], id="numbers that go on"),
    pytest.param(window(3) + frames(0, 0, 0), [0, 0, 0], [3], id="numbers that are all 0"),
    pytest.param(window(0), [0], [], id="an empty window"),
    pytest.param(window(3) + frame(1) + frame(2, b'{"a"') + frame(3), [RESET], [CLOSED], id="malformed within"),
    pytest.param(one(b"[1]"), [RESET], [1], id="an array"),
    pytest.param(one(b"1"), [RESET], [1], id="a scalar"),
    pytest.param(one(b"null"), [1], [1], id="null"),
    pytest.param(one(b'{"a":"\xff"}'), [RESET], [1], id="invalid UTF-8"),
    pytest.param(one(b'{"a":"\x01"}'), [RESET], [CLOSED], id="a raw control character"),
    pytest.param(one(b'{"a":NaN}'), [RESET], [CLOSED], id="NaN"),
    pytest.param(one(b'{"a":Infinity}'), [RESET], [CLOSED], id="Infinity"),
    pytest.param(one(b""), [RESET], [CLOSED], id="an empty payload"),
    pytest.param(one(b'{"a":%s}' % (b"1" * 5000)), [RESET], [CLOSED], id="5000 digits"),
    pytest.param(one(b'{"a":%s}' % (b"1" * 400)), [1], [CLOSED], id="400 digits"),
    pytest.param(one(b'{"a":' * 20000 + b"1" + b"}" * 20000), [RESET], [CLOSED], id="20000 levels"),
    pytest.param(one(b'{"a":' * 900 + b"1" + b"}" * 900), [1], [1], id="900 levels"),
    pytest.param(one(b'{"a":"\\ud800"}'), [1], [1], id="a lone surrogate, escaped"),
    pytest.param(one(b'{"a":1,"a":2}'), [1], [1], id="a key twice"),
    pytest.param(one(b'{"a":1}\n'), [1], [1], id="a newline behind it"),
    pytest.param(one(b'{"a":1}{"a":2}'), [1], [CLOSED], id="two documents in a frame"),
    pytest.param(one(b'{"a":"%s"}' % (b"x" * 5_000_000)), [1], [1], id="5 MB"),
    pytest.param(one(b'{"a":"%s"}' % (b"x" * 32_000_000)), [RESET], [1], id="32 MB"),
    pytest.param(window(5) + frames(1, 2, 3) + window(1) + frame(1), [3], [CLOSED], id="a window too few"),
    pytest.param(window(2) + frames(1, 2, 3), [2], [2, CLOSED], id="a frame too many"),
    pytest.param(window(2) + frames(1, 2, 3) + window(1) + frame(1), [2, 3], [2, CLOSED], id="it poisons the next"),
    pytest.param(frame(1), [], [CLOSED], id="no window"),
    pytest.param(packed(window(1) + frame(1)), [1], [CLOSED], id="a window in a compressed frame, alone"),
    pytest.param(window(1) + packed(window(1) + frame(1)), [1], [CLOSED], id="a window in a compressed frame"),
    pytest.param(window(1) + packed(packed(frame(1))), [1], [1], id="compressed twice"),
    pytest.param(window(2) + packed(frames(1, 2)[:-3]), [RESET], [CLOSED], id="a torn frame, compressed"),
    pytest.param(window(1) + b"2C\0\0\0\4nope", [RESET], [CLOSED], id="no zlib stream"),
    pytest.param(window(1) + packed(frame(1))[:-1] + b"\0", [RESET], [CLOSED], id="a wrong checksum"),
    pytest.param(b"3W\0\0\0\1", [RESET], [CLOSED], id="a wrong version"),
    pytest.param(window(1) + b"2X\0\0\0\1", [RESET], [CLOSED], id="a wrong type"),
    pytest.param(encode_window([b"{}"] * 10_000), [10_000], [10_000], id="10000 events"),
    pytest.param(window(20_000) + packed(frames(*range(1, 20_001))), [20_000], [RESET], id="20000 events"),
]


@pytest.fixture(params=["logstash", "go-lumber"])
def mode(request: pytest.FixtureRequest) -> Mode:
    mode: Mode = request.param
    return mode


@pytest.fixture
def server(mode: Mode) -> Iterator[LumberjackServer]:
    with LumberjackServer(mode) as server:
        yield server


@pytest.mark.parametrize(("data", "logstash", "go_lumber"), TABLE)
def test_the_server_answers_as_the_real_one(
    server: LumberjackServer, data: bytes, logstash: Answer, go_lumber: Answer
) -> None:
    expected = logstash if server.mode == "logstash" else go_lumber

    assert exchange(server, data, ends=expected[-1:] in ([RESET], [CLOSED])) == expected


@pytest.mark.parametrize("golden", GOLDEN, ids=lambda each: each.name)
def test_both_answer_golden_bytes_with_golden_bytes(server: LumberjackServer, golden: Golden) -> None:
    with closing(socket.create_connection(("127.0.0.1", server.port), 10)) as client:
        client.sendall(golden.client)
        answer = client.recv(100)

    assert answer == golden.server


def test_what_came_before_a_malformed_event_is_taken_by_logstash_alone(server: LumberjackServer) -> None:
    exchange(server, window(3) + frame(1) + frame(2, b"{") + frame(3), ends=True)

    server.wait_for(lambda: server.ended == 1)
    assert server.events == ([{"a": 1}] if server.mode == "logstash" else [])


def test_the_second_document_of_a_frame_is_dropped_silently() -> None:
    with LumberjackServer("logstash") as server:
        exchange(server, one(b'{"a":1}{"a":2}'), ends=False)

        assert server.events == [{"a": 1}]


def test_pylogbeat_is_understood(server: LumberjackServer) -> None:
    with closing(pylogbeat.PyLogBeatClient("127.0.0.1", server.port, timeout=10)) as client:
        client.send([{"n": 1}, {"n": 2}, {"n": 3}])

    assert server.events == [{"n": 1}, {"n": 2}, {"n": 3}]


def test_pylogbeat_numbers_on_which_go_lumber_does_not_follow() -> None:
    """Its second window is acknowledged as 6 by Logstash; go-lumber says 3, and it waits for ever."""
    with LumberjackServer("logstash") as server:
        with closing(pylogbeat.PyLogBeatClient("127.0.0.1", server.port, timeout=10)) as client:
            client.send([{"n": 1}] * 3)
            client.send([{"n": 2}] * 3)

        assert server.windows == [3, 3]


def answered(server: LumberjackServer, fault: Fault) -> bytes:
    """Send a window of two with this fault; return all that comes until the connection ends."""
    server.script(fault)
    received = b""
    with closing(socket.create_connection(("127.0.0.1", server.port), 10)) as client:
        try:
            client.sendall(window(2) + frames(1, 2))
            client.shutdown(socket.SHUT_WR)
            while part := client.recv(4096):
                received += part
        except OSError as error:
            # a reset, or what it leaves of a socket that is to be shut down
            assert error.errno in (errno.ECONNRESET, errno.EPIPE, errno.ENOTCONN)
            received += b" reset"
    return received


@pytest.mark.parametrize(
    ("fault", "answer", "taken"),
    [
        pytest.param(well(), encode_ack(2), 2, id="well"),
        pytest.param(keep_alive(3), KEEP_ALIVE * 3 + encode_ack(2), 2, id="keep_alive"),
        pytest.param(partial_ack(1, "answer"), encode_ack(1) + encode_ack(2), 2, id="partial_ack, then the rest"),
        pytest.param(partial_ack(1, "close"), encode_ack(1), 1, id="partial_ack, then the end"),
        pytest.param(no_ack("reset"), b" reset", 2, id="no_ack, then a reset"),
        pytest.param(no_ack("close", taken=False), b"", 0, id="no_ack, nothing taken"),
        pytest.param(torn_ack(), encode_ack(2), 2, id="torn_ack"),
        pytest.param(ack_too_large(), encode_ack(3), 0, id="ack_too_large"),
        pytest.param(answer_with(b"2X\0\0\0\1"), b"2X\0\0\0\1", 0, id="answer_with"),
        pytest.param(accept_then_close(), b"", 0, id="accept_then_close"),
        pytest.param(reset_after_bytes(7), b" reset", 0, id="reset_after_bytes"),
    ],
)
def test_a_fault_does_what_it_says(server: LumberjackServer, fault: Fault, answer: bytes, taken: int) -> None:
    received = answered(server, fault)

    server.wait_for(lambda: server.ended == 1)
    assert (received, server.events) == (answer, [{"a": 1}] * taken)


def test_an_answer_waits_for_the_test() -> None:
    released = Event()
    with LumberjackServer() as server, closing(socket.create_connection(("127.0.0.1", server.port), 10)) as client:
        server.script(delay_ack(released))
        client.sendall(window(1) + frame(1))
        server.wait_for(lambda: server.windows == [1])

        assert server.events == []
        released.set()
        assert client.recv(100) == encode_ack(1)


def test_a_half_open_connection_answers_once() -> None:
    with LumberjackServer() as server, closing(socket.create_connection(("127.0.0.1", server.port), 10)) as client:
        server.script(half_open())
        client.sendall(window(1) + frame(1))

        assert client.recv(100) == encode_ack(1)
        client.sendall(window(1) + frame(1))
        assert (server.windows, server.ended) == ([1], 0)


def test_an_answered_connection_is_reset_when_the_test_says_so() -> None:
    now = Event()
    with LumberjackServer() as server, closing(socket.create_connection(("127.0.0.1", server.port), 10)) as client:
        server.script(reset_after_ack(now))
        client.sendall(window(1) + frame(1))

        assert client.recv(100) == encode_ack(1)
        now.set()
        with pytest.raises(ConnectionResetError):
            client.recv(100)


def test_a_script_is_a_queue() -> None:
    with LumberjackServer() as server:
        server.script(accept_then_close(), well(), no_ack("close"))

        assert [exchange(server, one(b"{}") * 2, ends=True) for _ in range(2)] == [[CLOSED], [1, CLOSED]]


def test_a_poisonous_event_always_resets_the_connection() -> None:
    with LumberjackServer(poisonous=lambda document: document == {"a": 2}) as server:
        data = window(2) + frame(1) + frame(2, b'{"a":2}')

        assert [exchange(server, data, ends=True) for _ in range(2)] == [[RESET]] * 2
        server.wait_for(lambda: server.ended == 2)
        assert server.events == [{"a": 1}] * 2


def test_waiting_in_vain_says_what_there_is() -> None:
    with LumberjackServer() as server, pytest.raises(TimeoutError, match=r"0 events, windows \[\], failures \[\]"):
        server.wait_for(lambda: server.events, seconds=0.01)
