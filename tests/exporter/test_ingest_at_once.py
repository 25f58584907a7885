"""POST /v1/usage that comes whole is taken without a task: what is answered, and when, stays the same."""

import asyncio
import json
import re
import socket

import pytest
from topmast_exporter.ingest import MAX_BODIES, Ingest
from topmast_exporter.ledger import LedgerFullError, Result
from topmast_exporter.ledger_schema import LedgerError
from topmast_exporter.registry import Registry
from topmast_exporter.testing import value
from topmast_exporter.web import TEXT

EVENT = {
    "id": "e1",
    "provider": "openai",
    "model": "gpt-4o",
    "feature": "chat",
    "usage": {"input": 1000, "output": 100, "cache_read": 512},
    "convention": "total",
}
DATE = re.compile(rb"date: [^\r]+\r\n")


def request(body, *, length=None, head=b"", version=b"1.1", host=b"localhost"):
    """Return the bytes of a POST."""
    said = b"POST /v1/usage HTTP/%b\r\nhost: %b\r\ncontent-type: application/json\r\n" % (version, host)
    return said + b"content-length: %d\r\n%b\r\n%b" % (length or len(body), head, body)


def body_of(**changes):
    return json.dumps({**EVENT, **changes}).encode()


def connect(ingest):
    return socket.create_connection(("127.0.0.1", int(ingest.url.rpartition(":")[2])), timeout=20)


def answers(client, count):
    """Return (status, head without the date, body) of the next answers."""
    found, received = [], b""
    while len(found) < count:
        head, end, rest = received.partition(b"\r\n\r\n")
        length = re.search(rb"content-length: (\d+)", head)
        if end and length and len(rest) >= int(length[1]):
            found.append((int(head[9:12]), DATE.sub(b"", head), rest[: int(length[1])]))
            received = rest[int(length[1]) :]
            continue
        some = client.recv(65_536)
        if not some:
            break
        received += some
    return found


def told(answer):
    status, _, body = answer
    return status, json.loads(body)


ACCEPTED = {"accepted": 1, "duplicates": 0, "rejected": []}


@pytest.mark.parametrize(
    "cut",
    [
        pytest.param(lambda said: [said], id="whole"),
        pytest.param(lambda said: said.partition(b"\r\n\r\n")[:2] + said.partition(b"\r\n\r\n")[2:], id="head first"),
        pytest.param(lambda said: [said[:-5], said[-5:]], id="a body in two parts"),
        pytest.param(lambda said: [said[n : n + 1] for n in range(len(said))], id="byte by byte"),
    ],
)
def test_an_event_is_answered_the_same_however_it_is_cut(ingest, cut):
    with connect(ingest) as client:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for part in cut(request(body_of())):
            client.sendall(part)
        first = answers(client, 1)
        client.sendall(request(body_of()))  # known by now, and the connection goes on
        second = answers(client, 1)

    assert first[0][1] == b"HTTP/1.1 202 Accepted\r\ncontent-type: application/json\r\ncontent-length: 48"
    assert [told(one) for one in first + second] == [
        (202, ACCEPTED),
        (202, {"accepted": 0, "duplicates": 1, "rejected": []}),
    ]
    assert ingest.rows("id", "input", "cache_read") == [{"id": "e1", "input": 1000, "cache_read": 512}]


def test_what_is_answered_is_in_the_ledger_and_counted(ingest):
    with connect(ingest) as client:
        for number in range(20):
            client.sendall(request(body_of(id=f"e{number}")))
            assert [told(one) for one in answers(client, 1)] == [(202, ACCEPTED)]
            assert len(ingest.rows("id")) == number + 1

    assert ingest.count("exporter_ingest_events_total", source="usage", result="accepted") == 20


def test_requests_sent_without_waiting_are_answered_in_order(ingest):
    with connect(ingest) as client:
        odd = request(body_of(id="odd", usage={"input": -1}))
        health = b"GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n"
        client.sendall(request(body_of(id="a")) + odd + request(body_of(id="a")) + health)
        found = answers(client, 4)

    assert [told(one) for one in found[:3]] == [
        (202, ACCEPTED),
        (202, {"accepted": 0, "duplicates": 0, "rejected": [{"index": 0, "reason": "negative_tokens"}]}),
        (202, {"accepted": 0, "duplicates": 1, "rejected": []}),
    ]
    assert found[3][0] == 200


@pytest.mark.parametrize(
    ("said", "status"),
    [
        pytest.param(request(b"{"), 400, id="no JSON"),
        pytest.param(request(body_of(), host=b"rebound.example"), 421, id="another host"),
        pytest.param(request(body_of(), head=b"host: localhost\r\n", host=b"rebound.example"), 421, id="two hosts"),
        pytest.param(request(body_of(), head=b"content-encoding: br\r\n"), 415, id="packed in another way"),
        pytest.param(request(body_of(), head=b"content-encoding: gzip\r\n"), 400, id="not packed at all"),
        pytest.param(request(b"", length=2**21), 413, id="too long"),
    ],
)
def test_what_is_refused_is_refused(ingest, said, status):
    with connect(ingest) as client:
        client.sendall(said)
        found = answers(client, 1)

    assert [one[0] for one in found] == [status]
    assert ingest.rows("id") == []


@pytest.mark.parametrize(
    ("head", "status"),
    [
        pytest.param(b"", 401, id="none"),
        pytest.param(b"authorization: Bearer other\r\n", 401, id="another"),
        pytest.param(b"authorization: Basic secret\r\n", 401, id="a password"),
        pytest.param(b"authorization: Bearer secret\r\n", 202, id="the token"),
    ],
)
def test_a_token_is_asked_for(start, head, status):
    with connect(start(token="secret")) as client:
        client.sendall(request(body_of(), head=head))
        found = answers(client, 1)

    assert [one[0] for one in found] == [status]


def test_a_token_that_was_changed_lets_nobody_in_who_was_let_in_before(start):
    one = start(token="secret")
    with connect(one) as client:
        found = []
        for token in ("secret", "secret", "other", "secret"):
            one.ingest.token = token
            client.sendall(request(body_of(), head=b"authorization: Bearer secret\r\n"))
            found += answers(client, 1)

    assert [status for status, *_ in found] == [202, 202, 401, 202]


@pytest.mark.parametrize(
    "said",
    [
        pytest.param(request(body_of(), head=b"connection: close\r\n"), id="asked to"),
        pytest.param(request(body_of(), version=b"1.0"), id="HTTP/1.0"),
    ],
)
def test_a_connection_is_closed_for_one_that_wants_it(ingest, said):
    with connect(ingest) as client:
        client.sendall(said)
        found = answers(client, 2)

    assert [told(one) for one in found] == [(202, ACCEPTED)]


def test_one_that_waits_for_the_word_to_go_on_gets_it(ingest):
    with connect(ingest) as client:
        head, _, body = request(body_of(), head=b"expect: 100-continue\r\n").partition(b"\r\n\r\n")
        client.sendall(head + b"\r\n\r\n")
        assert client.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        client.sendall(body)
        found = answers(client, 1)

    assert [told(one) for one in found] == [(202, ACCEPTED)]


def test_one_that_hangs_up_has_spent_its_money_all_the_same(start):
    ingest = start()
    with connect(ingest) as client:
        client.sendall(request(body_of()))
    with connect(ingest) as another:
        another.sendall(request(body_of()))
        (answer,) = answers(another, 1)

    status, found = told(answer)
    assert status == 202
    assert found["accepted"] + found["duplicates"] == 1
    assert [row["id"] for row in ingest.rows("id")] == ["e1"]


def test_what_was_taken_is_answered_when_the_server_ends(start):
    ingest = start()
    with connect(ingest) as client:
        client.sendall(request(body_of()))
        found = answers(client, 1)
        client.sendall(request(body_of(id="e2")))
        ingest.stop()
        found += answers(client, 2)

    stored = {row["id"] for row in ingest.rows("id")}
    # the second may have come too late to be taken; taken and not answered, or answered and not stored, it may not be
    assert [told(one) for one in found] == [(202, ACCEPTED)] * len(stored)


class Sink:
    """A ledger that says this of everything."""

    def __init__(self, outcome):
        self.outcome = outcome

    def hand_over(self, events, source, settle):
        if isinstance(self.outcome, LedgerFullError):
            raise self.outcome
        settle(self.outcome)


def taken_at_once(ingest, reply):
    """Return whether a request was taken at once."""
    way = ingest.at_once()
    return way.take(way.admit([(b"host", b"localhost")]), body_of(), reply)


def take(ingest):
    """Return whether it was taken at once, and what was answered."""
    replies = []

    async def run():
        taken = taken_at_once(ingest, lambda *reply: replies.append(reply))
        await asyncio.sleep(0)
        return taken

    return asyncio.run(run()), replies


@pytest.mark.parametrize("error", [LedgerError("no"), TimeoutError()])
def test_what_could_not_be_stored_is_not_acknowledged(error):
    registry = Registry()

    taken, replies = take(Ingest(Sink(error), registry))

    sentence = b"the ledger cannot store events now\n"
    assert (taken, replies) == (True, [(503, sentence, TEXT, ((b"retry-after", b"5"),))])
    assert value(registry, "exporter_ingest_events_total", source="usage", result="refused") == 1


def test_when_the_ledger_is_full_a_task_says_so():
    assert take(Ingest(Sink(LedgerFullError("full")), Registry())) == (False, [])


def test_what_waits_for_its_commit_takes_no_room_from_others():
    class Slow(Sink):
        def hand_over(self, events, source, settle):
            """Never settles."""

    ingest = Ingest(Slow(None), Registry())

    async def run():
        return [taken_at_once(ingest, lambda *_: None) for _ in range(10 * MAX_BODIES)]

    assert all(asyncio.run(run()))


def test_beyond_this_machine_each_address_has_its_turn_first():
    assert Ingest(Sink(Result(1, 0, 0)), Registry(), listens_on_loopback=False).at_once() is None
