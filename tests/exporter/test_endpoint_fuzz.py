"""Whatever a scraper sends to /metrics, the answer is a status that we chose, and the next scrape is fine."""

import asyncio
import gzip
from collections.abc import Iterable
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client.openmetrics import parser as openmetrics
from prometheus_client.parser import text_string_to_metric_families
from topmast_exporter.instrument import asgi, wsgi
from topmast_exporter.registry import Registry
from topmast_exporter.testing import value

STATUSES = {200, 400, 405, 503}

METHODS = st.sampled_from(["GET", "HEAD", "POST", "OPTIONS"]) | st.text(max_size=50)
GARBAGE = st.binary(max_size=300)
HUGE = st.builds(lambda piece, times: piece * times, st.binary(min_size=1, max_size=20), st.integers(1, 20_000))
QUERIES = st.one_of(
    GARBAGE,
    HUGE,
    st.lists(st.sampled_from([b"name[]=app_http_requests_total", b"name[]=%ff", b"name%5B%5D=x", b"&&", b"="])).map(
        b"&".join
    ),
    st.integers(0, 400).map(lambda count: b"&".join(b"name[]=n%d" % number for number in range(count))),
)
NAMES = st.sampled_from([b"accept", b"accept-encoding", b"traceparent", b"host", b"content-type"]) | GARBAGE
VALUES = st.one_of(
    GARBAGE,
    HUGE,
    st.sampled_from(
        [
            b"application/openmetrics-text; version=1.0.0",
            b"application/openmetrics-text;version=\xff;q=nan",
            b"gzip;q=0, *",
            b"gzip, gzip, br;q=",
            b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        ]
    ),
)
HEADERS = st.lists(st.tuples(NAMES, VALUES), max_size=20)

FUZZ = settings(max_examples=150)


async def nothing(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 404, "headers": []})
    await send({"type": "http.response.body", "body": b""})


def plain(environ: Any, start_response: Any) -> Iterable[bytes]:
    start_response("404 Not Found", [])
    return [b""]


def asked_asgi(app: Any, method: str, query: bytes, headers: list[tuple[bytes, bytes]]) -> tuple[int, Any, bytes]:
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    scope = {"type": "http", "method": method, "path": "/metrics", "query_string": query, "headers": headers}
    asyncio.run(app(scope, receive, send))
    assert [message["type"] for message in sent] == ["http.response.start", "http.response.body"]
    return sent[0]["status"], dict(sent[0]["headers"]), sent[1]["body"]


def asked_wsgi(app: Any, method: str, query: bytes, headers: list[tuple[bytes, bytes]]) -> tuple[int, Any, bytes]:
    sent: list[Any] = []
    environ = {
        "REQUEST_METHOD": method,
        "PATH_INFO": "/metrics",
        "QUERY_STRING": query.decode("latin-1"),
        **{
            f"HTTP_{name.decode('latin-1').upper().replace('-', '_')}": text.decode("latin-1")
            for name, text in headers
        },
    }
    body = app(environ, lambda *answer: sent.append(answer))
    content = b"".join(body)
    body.close()
    ((status, answered),) = sent
    return int(status[:3]), {name.lower().encode(): text.encode() for name, text in answered}, content


def check(method: str, answer: tuple[int, Any, bytes]) -> None:
    status, headers, body = answer
    assert status in STATUSES
    if status != 200 or method == "HEAD":
        return
    text = (gzip.decompress(body) if headers.get(b"content-encoding") == b"gzip" else body).decode()
    if headers[b"content-type"].startswith(b"application/openmetrics-text"):
        list(openmetrics.text_string_to_metric_families(text))
    else:
        list(text_string_to_metric_families(text))


class Fuzzed:
    """One application, scraped by all examples."""

    def __init__(self, kind: str) -> None:
        self.registry = Registry()
        self.asked = asked_asgi if kind == "asgi" else asked_wsgi
        self.app: Any = (
            asgi.instrument(nothing, self.registry) if kind == "asgi" else wsgi.instrument(plain, self.registry)
        )

    def __call__(self, method: str, query: bytes, headers: list[tuple[bytes, bytes]]) -> None:
        check(method, self.asked(self.app, method, query, headers))
        check("GET", self.asked(self.app, "GET", b"", []))
        assert value(self.registry, "exporter_internal_errors_total") is None
        assert value(self.registry, "app_http_requests_in_flight") == 0
        assert (value(self.registry, "exporter_series") or 0) < 500


on_asgi, on_wsgi = Fuzzed("asgi"), Fuzzed("wsgi")


@FUZZ
@given(METHODS, QUERIES, HEADERS)
def test_anything_may_be_asked_of_the_asgi_endpoint(
    method: str, query: bytes, headers: list[tuple[bytes, bytes]]
) -> None:
    on_asgi(method, query, headers)


@FUZZ
@given(METHODS, QUERIES, HEADERS)
def test_anything_may_be_asked_of_the_wsgi_endpoint(
    method: str, query: bytes, headers: list[tuple[bytes, bytes]]
) -> None:
    on_wsgi(method, query, headers)
