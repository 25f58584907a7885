"""A page is asked as a visitor would: what is fine, and what is said of the rest."""

import http.server
import threading
from collections.abc import Iterator

import pytest
from topmast import outside
from topmast.errors import ConfigError


class Page(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response({"/": 200, "/moved": 302, "/round": 302}.get(self.path, 503))
        self.send_header("Location", {"/moved": "/", "/round": "/round"}.get(self.path, ""))
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_arguments: object) -> None:
        """Say nothing."""


@pytest.fixture(scope="module")
def page() -> Iterator[str]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Page) as running:
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{running.server_address[1]}"
        running.shutdown()
        thread.join()


@pytest.mark.parametrize(
    ("path", "ok", "status"),
    [
        pytest.param("/", True, 200, id="success"),
        pytest.param("/moved", True, 200, id="moved, and followed"),
        pytest.param("/sick", False, 503, id="an error"),
        pytest.param("/round", False, None, id="moved in a circle"),
    ],
)
def test_success_is_what_counts(page: str, path: str, ok: bool, status: int | None) -> None:
    answer = outside.ask(page + path)

    assert (answer.ok, answer.status) == (ok, status)
    assert ok is not bool(answer.remedy)


def test_nobody_there_is_said() -> None:
    answer = outside.ask("http://127.0.0.1:1/")

    assert (answer.ok, answer.message) == (False, "nothing listens there")


@pytest.mark.parametrize(
    ("url", "address"),
    [
        pytest.param("https://shop.example", "shop.example:443", id="https"),
        pytest.param("http://shop.example/a?b=c", "shop.example:80", id="http, with a question"),
        pytest.param("https://[::1]:8443/", "[::1]:8443", id="IPv6 with a port"),
    ],
)
def test_the_address_of_a_page(url: str, address: str) -> None:
    assert outside.split(url) == address


@pytest.mark.parametrize("url", ["shop.example", "ftp://a/", "https://u:p@a/", "https://a/#b", "https://a:99999/"])
def test_what_no_visitor_could_open_is_refused(url: str) -> None:
    with pytest.raises(ConfigError):
        outside.split(url)
