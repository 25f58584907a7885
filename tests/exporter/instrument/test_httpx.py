import asyncio
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx
import pytest
from topmast_exporter.instrument.httpx import instrument_httpx
from topmast_exporter.registry import Registry
from topmast_exporter.testing import samples


@pytest.fixture
def server() -> Iterator[str]:
    """A real HTTP server: /500 fails, /hang does not answer until the test ends."""
    released = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path == "/hang":
                released.wait(10)
            self.send_response(int(self.path[1:]) if self.path[1:].isdecimal() else 200)
            if self.path == "/302":
                self.send_header("location", "/204")
            self.end_headers()

        do_HEAD = do_GET  # noqa: N815 http.server's name

        def log_message(self, *_: Any) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as one:
        thread = threading.Thread(target=one.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{one.server_port}"
        released.set()
        one.shutdown()
        thread.join()


def calls(registry: Registry) -> dict[tuple[str, str, str], float]:
    return {
        (labels["host"], labels["method"], labels["status"]): count
        for labels, count in samples(registry, "app_http_client_requests_total")
    }


def test_calls_are_counted_by_host_method_and_status(server: str) -> None:
    registry = Registry()

    with instrument_httpx(httpx.Client(follow_redirects=True), registry) as http:
        http.get(f"{server}/500")
        http.head(f"{server}/200")
        http.get(f"{server}/302")  # with where it leads to, one call
        http.request("HACK", f"{server}/200")

    assert calls(registry) == {
        ("127.0.0.1", "GET", "500"): 1,
        ("127.0.0.1", "HEAD", "200"): 1,
        ("127.0.0.1", "GET", "204"): 1,
        ("127.0.0.1", "_other", "501"): 1,
    }
    assert len(samples(registry, "app_http_client_request_duration_seconds_count")) == 4


def test_calls_without_an_answer_are_timeouts_or_errors(server: str, port: int) -> None:
    registry = Registry()

    async def ask() -> None:
        async with instrument_httpx(httpx.AsyncClient(timeout=0.2), registry) as http:
            with pytest.raises(httpx.TimeoutException):
                await http.get(f"{server}/hang")
            with pytest.raises(httpx.ConnectError):
                await http.get(f"http://localhost:{port}/")

    asyncio.run(ask())

    assert calls(registry) == {("127.0.0.1", "GET", "timeout"): 1, ("localhost", "GET", "error"): 1}
