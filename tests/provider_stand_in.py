"""What the stand-ins of model providers share: a small real HTTP server, JSON answers, streams of events."""

import contextlib
import json
import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, TypeVar


class Provider(ThreadingHTTPServer):
    """Answers as its handler does, which a model's name makes misbehave; see there.

    Once of every provider: stumbles (500), hangs-up (no answer), dawdles (no answer in time).
    """

    daemon_threads = True
    prefix = ""

    def __init__(self, handler: type["Handler"]) -> None:
        super().__init__(("127.0.0.1", 0), handler)
        self.requests: list[dict[str, Any]] = []
        """The bodies of all requests, in order."""
        self.released = threading.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}{self.prefix}"

    def asked(self, model: str) -> int:
        """Return how often a model was asked."""
        return sum(one.get("model") == model for one in self.requests)


P = TypeVar("P", bound=Provider)


@contextlib.contextmanager
def serving(provider: P) -> Iterator[P]:
    """Serve in a thread until the block ends."""
    with provider:
        thread = threading.Thread(target=provider.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield provider
        finally:
            provider.released.set()
            provider.shutdown()
            thread.join()


class Handler(BaseHTTPRequestHandler):
    """Answers, and hangs up with those who hang up."""

    server: Provider
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        sent = self.rfile.read(int(self.headers["content-length"]))
        if "multipart" in self.headers["content-type"]:
            body = {"model": re.findall(rb'name="model"\r\n\r\n(.*?)\r\n', sent)[0].decode()}
        else:
            body = json.loads(sent)
        self.server.requests.append(body)
        if not self.misbehaved(body["model"]):
            self.post(body["model"], body)

    def misbehaved(self, model: str) -> bool:
        """Do badly what a model's name makes every provider do badly once."""
        if model not in ("stumbles", "hangs-up", "dawdles") or self.server.asked(model) > 1:
            return False
        if model == "stumbles":
            self.answer({"error": {"message": "sorry"}}, 500)
            return True
        if model == "dawdles":
            self.server.released.wait(10)
        self.close_connection = True
        return True

    def do_GET(self) -> None:
        self.answer({"object": "list", "data": []})

    def post(self, model: str, body: dict[str, Any]) -> None:
        """Answer what a model was asked; each provider has its own way."""
        self.answer({"error": {"message": f"{type(self).__name__} knows no {model}", "asked": body}}, 404)

    def answer(self, data: Any, status: int = 200) -> None:
        body = data if isinstance(data, bytes) else json.dumps(data).encode()
        self.send_response(status)
        for name, text in (
            ("content-type", "application/json"),
            ("content-length", str(len(body))),
            ("retry-after-ms", "1"),
        ):
            self.send_header(name, text)
        self.end_headers()
        self.wfile.write(body)

    def begin_stream(self) -> None:
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("connection", "close")
        self.end_headers()

    def event(self, data: Any, kind: str = "") -> None:
        named = f"event: {kind}\n" if kind else ""
        self.wfile.write(f"{named}data: {json.dumps(data)}\n\n".encode())

    def handle(self) -> None:
        try:
            super().handle()
        except ConnectionError:
            self.close_connection = True  # the client hung up, as some of the tests do

    def log_message(self, *_: Any) -> None: ...
