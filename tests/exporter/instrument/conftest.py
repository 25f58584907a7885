"""What the tests of outgoing calls share: a real HTTP server, and what was counted of it."""

import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
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


@pytest.fixture
def calls() -> Callable[[Registry], dict[tuple[str, str, str], float]]:
    """`calls(registry)`: how many by (host, method, status)."""

    def counted(registry: Registry) -> dict[tuple[str, str, str], float]:
        return {
            (labels["host"], labels["method"], labels["status"]): count
            for labels, count in samples(registry, "app_http_client_requests_total")
        }

    return counted
