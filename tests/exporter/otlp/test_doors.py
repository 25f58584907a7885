"""What is no OTLP request is refused alike at every path: garbage, too much of it, without a token, and when full."""

import gzip
import json
import socket
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

import pytest
from topmast_exporter import web
from topmast_exporter.ingest import MAX_BODIES
from topmast_exporter.ledger import LedgerFullError
from topmast_exporter.ledger_schema import LedgerError
from topmast_exporter.otlp import service
from topmast_exporter.otlp.body import LOGS, METRICS, PROTOBUF, TRACES
from topmast_exporter.otlp.service import MAX_BODY_BYTES
from topmast_exporter.web import JSON

USAGE = "/v1/usage"
# More than are read at once, fewer than there may be connections.
CROWD = 80
OTLP = [pytest.param(path, id=path) for path in (TRACES, METRICS, LOGS)]
ALL = [pytest.param(path, id=path) for path in (TRACES, METRICS, LOGS, USAGE)]


@pytest.mark.parametrize("path", ALL)
@pytest.mark.parametrize(
    ("sent", "headers", "status"),
    [
        pytest.param(b"{broken", {}, 400, id="no JSON"),
        pytest.param(b"[" * 100_000, {}, 400, id="nested too deeply"),
        pytest.param(b"\x00\xff" * 500, {}, 400, id="noise"),
        pytest.param(b"plain", {"content_encoding": "gzip"}, 400, id="not gzip"),
        pytest.param(gzip.compress(b"{}")[:-4], {"content_encoding": "gzip"}, 400, id="gzip cut off"),
        pytest.param(gzip.compress(b" " * 2**25), {"content_encoding": "gzip"}, 413, id="a bomb"),
        pytest.param(b"{}", {"content_length": str(MAX_BODY_BYTES + 1)}, 413, id="announced too large"),
        pytest.param(b"{}", {"content_encoding": "br"}, 415, id="another encoding"),
        pytest.param(b"{}", {"host": "evil.example"}, 421, id="a rebound name"),
    ],
)
def test_a_bad_body_is_refused_whole(
    ingest: Any, path: str, sent: bytes, headers: dict[str, str], status: int
) -> None:
    got, _, answer = ingest.post(path, sent, JSON, **headers)

    assert got == status
    assert answer
    assert ingest.rows("id") == []


@pytest.mark.parametrize("path", OTLP)
@pytest.mark.parametrize(
    ("sent", "kind", "status"),
    [
        pytest.param(b"{}", "text/plain", 415, id="another content type"),
        pytest.param(b"{}", "application/x-ndjson", 415, id="NDJSON"),
        pytest.param(b"\xff\xff\xff", PROTOBUF, 400, id="no protobuf"),
        pytest.param(b"[]", JSON, 400, id="no object"),
    ],
)
def test_what_only_otlp_knows(ingest: Any, path: str, sent: bytes, kind: str, status: int) -> None:
    got, headers, answer = ingest.post(path, sent, kind)

    assert got == status
    assert headers["content-type"] == (JSON if kind == JSON else PROTOBUF)
    assert json.loads(answer)["message"] if kind == JSON else answer[:1] == b"\x12"  # google.rpc.Status


@pytest.mark.parametrize("path", OTLP)
@pytest.mark.parametrize(
    "sent",
    [
        pytest.param(b"{}", id="nothing"),
        pytest.param(b'{"resourceSpans": 1, "resourceMetrics": {}, "resourceLogs": "x"}', id="no lists"),
        pytest.param(
            json.dumps(
                {
                    key: [7, {"resource": 3}, {inner: [None, {items: [1, {"attributes": [{"key": 7}]}]}]}]
                    for key, inner, items in (
                        ("resourceSpans", "scopeSpans", "spans"),
                        ("resourceMetrics", "scopeMetrics", "metrics"),
                        ("resourceLogs", "scopeLogs", "logRecords"),
                    )
                }
            ).encode(),
            id="odd shapes",
        ),
    ],
)
def test_odd_shapes_hold_nothing_and_break_nothing(ingest: Any, path: str, sent: bytes) -> None:
    assert ingest.post(path, sent)[0] == 200
    assert ingest.post(path, gzip.compress(sent), content_encoding="gzip")[0] == 200
    assert not ingest.count("exporter_internal_errors_total")


@pytest.mark.parametrize("path", ALL)
def test_a_token_is_asked_for(start: Any, path: str) -> None:
    ingest = start(token="secret")
    empty = b"[]" if path == USAGE else b"{}"

    given = ({}, {"authorization": "Bearer wrong"}, {"authorization": "Bearer secret"})

    assert [ingest.post(path, empty, **one)[0] for one in given] == [401, 401, 202 if path == USAGE else 200]


def call(path: str) -> bytes:
    """Return a body that holds one model call."""
    told = [{"key": "event.name", "value": {"stringValue": "api_request"}}]
    model = {"key": "gen_ai.request.model", "value": {"stringValue": "gpt-4o"}}
    count = {
        "timeUnixNano": "1900000000000000000",
        "asInt": 5,
        "attributes": [{"key": "type", "value": {"stringValue": "input"}}],
    }
    metric = {"name": "claude_code.token.usage", "sum": {"aggregationTemporality": 1, "dataPoints": [count]}}
    log = {"body": {"stringValue": "claude_code.api_request"}, "attributes": told}
    bodies: dict[str, Any] = {
        TRACES: {
            "resourceSpans": [
                {"scopeSpans": [{"spans": [{"traceId": "a" * 32, "spanId": "b" * 16, "attributes": [model]}]}]}
            ]
        },
        METRICS: {"resourceMetrics": [{"scopeMetrics": [{"metrics": [metric]}]}]},
        LOGS: {"resourceLogs": [{"scopeLogs": [{"logRecords": [log]}]}]},
        USAGE: {"id": "x"},
    }
    return json.dumps(bodies[path]).encode()


@pytest.mark.parametrize("path", ALL)
@pytest.mark.parametrize(
    ("fault", "status"),
    [
        pytest.param(LedgerFullError("20000 events wait"), 429, id="full"),
        pytest.param(LedgerError("disk full"), 503, id="a full disk"),
    ],
)
def test_what_cannot_be_stored_is_to_be_sent_again_and_then_counted_once(
    ingest: Any, path: str, fault: Exception, status: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def submit(*_: Any) -> Any:
        raise fault

    with monkeypatch.context() as for_now:
        for_now.setattr(ingest.ledger, "submit", submit)
        refused = ingest.post(path, call(path))
    again = [ingest.post(path, call(path))[0] for _ in range(2)]

    assert (refused[0], int(refused[1]["retry-after"]) >= 1) == (status, True)
    assert set(again) <= {200, 202}
    assert len(ingest.rows("id")) == 1


@pytest.mark.parametrize("path", ALL)
def test_of_a_crowd_that_sends_at_one_moment_nobody_is_turned_away(
    ingest: Any, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(web, "ROOM_SECONDS", 60.0)  # a slow disk is no fault here
    sent, port = call(path), int(ingest.url.rpartition(":")[2])
    head = f"POST {path} HTTP/1.0\r\nhost: localhost\r\ncontent-type: {JSON}\r\ncontent-length: {len(sent)}\r\n\r\n"
    with ExitStack() as stack:
        crowd = [stack.enter_context(socket.create_connection(("127.0.0.1", port), 60)) for _ in range(CROWD)]
        for one in crowd:
            one.sendall(head.encode() + sent)
        answers = [b"".join(iter(lambda one=one: one.recv(65_536), b"")) for one in crowd]

    assert {answer[9:12] for answer in answers} <= {b"200", b"202"}
    assert len(ingest.rows("id")) == 1


@pytest.mark.parametrize("path", ALL)
def test_bodies_at_once_are_bounded(
    ingest: Any, path: str, monkeypatch: pytest.MonkeyPatch, eventually: Callable[..., None]
) -> None:
    monkeypatch.setattr(web, "ROOM_SECONDS", 0.0)
    most = MAX_BODIES if path == USAGE else service.MAX_BODIES
    port = int(ingest.url.rpartition(":")[2])
    half = f"POST {path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: {JSON}\r\ncontent-length: 9\r\n\r\n{{".encode()
    with ExitStack() as stack:
        for _ in range(most):
            slow = stack.enter_context(socket.create_connection(("127.0.0.1", port), 30))
            slow.sendall(half)
        status, headers, _ = ingest.post(path, call(path), content_encoding="identity")

        assert (status, headers["retry-after"]) == (429, "1")
    eventually(lambda: ingest.post(path, call(path))[0] < 300, "the slow ones are gone, and there is room")
