"""The middleware in a real Starlette application: ids from the headers, else new ones, in every record."""

import io
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.testclient import TestClient
from topmast_shipper import context
from topmast_shipper.formatter import EcsFormatter
from topmast_shipper.frameworks.asgi import RequestContext, ids

TRACE = "0af7651916cd43dd8448eb211c80319c"
PARENT = "b7ad6b7169203331"
log = logging.getLogger("test.asgi")


async def endpoint(_request: Request) -> PlainTextResponse:
    log.warning("in the request")
    return PlainTextResponse("ok")


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(EcsFormatter("shop"))
    log.addHandler(handler)
    yield stream
    log.removeHandler(handler)


def asked(stream: io.StringIO, headers: dict[str, str]) -> tuple[str, dict[str, Any]]:
    app = Starlette(routes=[Route("/", endpoint)])
    app.add_middleware(RequestContext)
    with TestClient(app) as client:
        answer = client.get("/", headers=headers)
    return answer.headers["x-request-id"], json.loads(stream.getvalue())


def test_ids_of_the_caller_are_in_the_records_and_in_the_answer(stream: io.StringIO) -> None:
    told, record = asked(stream, {"x-request-id": "r-1", "traceparent": f"00-{TRACE}-{PARENT}-01"})

    assert told == record["http.request.id"] == "r-1"
    assert (record["trace.id"], record["parent.id"]) == (TRACE, PARENT)
    assert len(record["span.id"]) == 16
    assert context.current() == context.NOTHING


def test_without_headers_there_are_new_ones(stream: io.StringIO) -> None:
    told, record = asked(stream, {})

    assert told == record["http.request.id"]
    assert len(record["trace.id"]) == 32
    assert "parent.id" not in record


@pytest.mark.parametrize(
    "headers",
    [
        pytest.param({b"x-request-id": b"a b"}, id="a blank"),
        pytest.param({b"x-request-id": b"x" * 129}, id="too long"),
        pytest.param({b"x-request-id": b"\xff"}, id="no text"),
        pytest.param({b"traceparent": b"00-" + b"0" * 32 + b"-b7ad6b7169203331-01"}, id="a trace of zeros"),
        pytest.param({b"traceparent": b"00-xyz-1-01"}, id="no trace"),
    ],
)
def test_what_is_no_id_is_not_taken(headers: dict[bytes, bytes]) -> None:
    found = ids(headers)

    assert len(found["http.request.id"]) == len(found["trace.id"]) == 32
    assert "parent.id" not in found
