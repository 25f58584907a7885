"""Servers that the distribution's packages hold, unpacked without root; skipped where there is no apt."""

import contextlib
import functools
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]


def unpacked(start, *arguments):
    """Return a started server of the distribution's, or skip (fail, where the machine must have it)."""
    from topmast.errors import PrerequisiteError
    from topmast.suites import required

    try:
        return start(ROOT / ".topmast", lambda _: None, *arguments)
    except PrerequisiteError as error:
        if "live" in required():
            pytest.fail(str(error))
        pytest.skip(str(error))


@pytest.fixture
def start_redis():
    """Return a function that starts Debian's Redis with options: unlike the wheel's Valkey it speaks TLS."""
    from topmast import debian_servers

    started = []

    def start(*options):
        started.append(unpacked(debian_servers.redis, options))
        return started[-1]

    yield start
    for server in started:
        server.stop()


@pytest.fixture
def start_mariadb():
    """Return a function that starts a MariaDB of the test's own, with options."""
    from topmast import debian_servers

    with contextlib.ExitStack() as stack:

        def start(*options):
            server = unpacked(debian_servers.mariadb, options)
            stack.callback(server.stop)
            return server

        yield start


@pytest.fixture(scope="session")
def mariadb_server():
    """A MariaDB whose user `root` has no password, shared by the session."""
    from topmast import debian_servers

    server = unpacked(debian_servers.mariadb)
    yield server
    server.stop()


class Answering:
    """A stand-in: a real HTTP server that answers by path what it was given, and remembers who asked as whom."""

    def __init__(self, handler_class):
        self.answers = {}
        self.asked = []
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(handler_class, self))
        self.url = f"http://127.0.0.1:{self.server.server_port}"


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def __init__(self, owner, *arguments):
        self.owner = owner
        super().__init__(*arguments)

    def do_GET(self):
        path = re.split(r"[?]", self.path)[0]
        self.owner.asked.append((self.path, self.headers.get("authorization")))
        status, body = self.owner.answers.get(path, (404, b"{}"))
        self.send_response(status)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        """Keep quiet."""


@pytest.fixture
def answering():
    """Return what answers what it is given: `answering.answers["/path"] = (200, b"...")`."""
    one = Answering(_Handler)
    thread = threading.Thread(target=one.server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield one
    one.server.shutdown()
    one.server.server_close()
    thread.join()
