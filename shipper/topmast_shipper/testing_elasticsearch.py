"""A stand-in for the bulk API of Elasticsearch, for tests: it is no Elasticsearch. It fails as it is told to.

    with BulkStandIn() as server:
        server.script(partly_busy({1}), reset(stored=3), well())
        ...
        server.documents

It knows `create` with an id (201, or 409 when the id is there) and keeps the index template and the lifecycle that
it is given; it maps nothing, searches nothing and refuses no document. Answers have the shape of the real one's, an
item for each action also when all is well, reduced to what the request's `filter_path` asks for; a request that the
real one refuses as a whole (its content type, no newline at its end, something behind its compressed body) is refused
here. The script is a queue: a request `_bulk` takes the next fault,
and when it is over, everything is answered well.
"""

import json
import socket
import struct
import sys
import threading
import zlib
from collections import Counter, deque
from collections.abc import Callable, Sequence, Set
from contextlib import suppress
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit

Action = tuple[str, dict[str, Any]]
"""An id, and the document that is to be created under it."""
_TYPES = ("application/x-ndjson", "application/json", "application/vnd.elasticsearch+x-ndjson")


class Exchange:
    """One `_bulk` request in the hands of a fault."""

    def __init__(self, server: "BulkStandIn", handler: "_Handler") -> None:
        self.server = server
        self._handler = handler

    def read(self) -> list[Action]:
        """Return what the whole request asks for."""
        lines = self._handler.bulk_body().splitlines()
        return [
            (json.loads(action)["create"]["_id"], json.loads(document))
            for action, document in zip(lines[::2], lines[1::2], strict=True)
        ]

    def read_some(self, max_bytes: int) -> None:
        """Read no more than so much of the request, which is enough to know nothing of it."""
        self._handler.rfile.read(min(max_bytes, int(self._handler.headers["content-length"])))

    def answer(self, status: int, body: Any, cut: float = 1.0) -> None:
        """Answer; with `cut` only with this part of the body, and the connection ends there."""
        self._handler.answer(status, body, cut)

    @property
    def wanted(self) -> Sequence[str]:
        """What the answer is reduced to; nothing when all of it is wanted."""
        asked = parse_qs(urlsplit(self._handler.path).query).get("filter_path", [])
        return [path for each in asked for path in each.split(",")]

    @property
    def index(self) -> str:
        """The backing index of the data stream in the request's path."""
        return f".ds-{urlsplit(self._handler.path).path.split('/')[1]}-2026.11.22-000001"

    def reset(self) -> None:
        """End the connection with RST."""
        self._handler.close_connection = True
        self._handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._handler.connection.close()

    def hold(self) -> None:
        """Say nothing until the other side gives up, or the server stops."""
        self._handler.close_connection = True
        self._handler.connection.settimeout(0.1)
        while not self.server.stopping.is_set():
            with suppress(TimeoutError):
                try:
                    if not self._handler.connection.recv(1):
                        return
                except ConnectionError:
                    return


@dataclass(frozen=True)
class Fault:
    """What goes wrong with one request."""

    name: str
    act: Callable[[Exchange], None]


def well() -> Fault:
    """A request answered as it should be."""
    return Fault("well", lambda each: _all(each, each.read()))


def refuses(status: int, kind: str) -> Fault:
    """The whole request is refused, with 429 or 503 for instance, and nothing of it stored."""

    def act(each: Exchange) -> None:
        each.read()
        each.answer(status, {"error": {"type": kind, "reason": "says the stand-in"}, "status": status})

    return Fault(f"refuses_{status}", act)


def partly_busy(places: Set[int]) -> Fault:
    """The events at these places are answered 429 one by one; all others are stored."""

    def act(each: Exchange) -> None:
        actions = each.read()
        statuses = [429 if at in places else each.server.create(*action) for at, action in enumerate(actions)]
        _answer(each, actions, statuses)

    return Fault("partly_busy", act)


def reset(stored: int | None = None) -> Fault:
    """The first so many events are stored (None: all), and then RST without an answer: a server killed in between."""

    def act(each: Exchange) -> None:
        for action in each.read()[:stored]:
            each.server.create(*action)
        each.reset()

    return Fault("reset", act)


def reset_after_bytes(count: int) -> Fault:
    """RST while the request is still being sent."""

    def act(each: Exchange) -> None:
        each.read_some(count)
        each.reset()

    return Fault("reset_after_bytes", act)


def stall(*, stored: bool) -> Fault:
    """No answer for as long as the client cares to wait, to a request that is stored all the same, or is not."""

    def act(each: Exchange) -> None:
        actions = each.read()
        for action in actions if stored else ():
            each.server.create(*action)
        each.hold()

    return Fault("stall", act)


def half_answer() -> Fault:
    """Everything is stored, and the answer ends in the middle."""
    return Fault("half_answer", lambda each: _all(each, each.read(), cut=0.5))


def says_nothing() -> Fault:
    """Something between the client and the server answers 200 and speaks of no event; nothing is stored."""

    def act(each: Exchange) -> None:
        each.read()
        each.answer(200, {})

    return Fault("says_nothing", act)


class BulkStandIn:
    """Listens on a free port of 127.0.0.1 from the moment it is made until it is closed."""

    def __init__(self) -> None:
        self.stopping = threading.Event()
        self.things: dict[str, Any] = {}
        """Templates and lifecycles, by their path."""
        self._lock = threading.Lock()
        self._documents: dict[str, dict[str, Any]] = {}
        self._met = Counter[str]()
        self._requests = 0
        self._script: deque[Fault] = deque()
        handler = type("Handler", (_Handler,), {"stand_in": self})
        self._server = _Server(("127.0.0.1", 0), handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    @property
    def documents(self) -> dict[str, dict[str, Any]]:
        """What is stored, by its id, in the order of its arrival."""
        with self._lock:
            return dict(self._documents)

    @property
    def count(self) -> int:
        """How many documents are stored."""
        return len(self._documents)

    @property
    def requests(self) -> int:
        """How many `_bulk` requests have begun."""
        return self._requests

    @property
    def script_left(self) -> int:
        """How many faults nobody has met yet."""
        return len(self._script)

    @property
    def met(self) -> Counter[str]:
        """How many requests met which fault."""
        with self._lock:
            return Counter(self._met)

    def script(self, *faults: Fault) -> None:
        """Put these at the end of what goes wrong."""
        with self._lock:
            self._script.extend(faults)

    def create(self, key: str, document: dict[str, Any]) -> int:
        """Store a document unless its id is there; return the status, 201 or 409."""
        with self._lock:
            if key in self._documents:
                return 409
            self._documents[key] = document
            return 201

    def bulk(self, exchange: Exchange) -> None:
        """Let a request meet its fault."""
        with self._lock:
            self._requests += 1
            fault = self._script.popleft() if self._script else None
            if fault is not None:
                self._met[fault.name] += 1
        fault = fault or well()
        fault.act(exchange)

    def close(self) -> None:
        self.stopping.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class _Server(ThreadingHTTPServer):
    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of a client that hung up: those of a proof are killed."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    stand_in: BulkStandIn

    def body(self) -> bytes:
        length = int(self.headers.get("content-length") or 0)
        data = self.rfile.read(length)
        if len(data) < length:
            raise ConnectionResetError("the client is gone")
        return data

    def bulk_body(self) -> bytes:
        """Return what a request asks for. Raises ValueError for one that the real server refuses."""
        body, kind = self.body(), self.headers.get("content-type", "")
        if kind.partition(";")[0] not in _TYPES:
            raise ValueError(f"Content-Type header [{kind}] is not supported")
        if self.headers.get("content-encoding") == "gzip":
            stream = zlib.decompressobj(31)
            body = stream.decompress(body)
            if not stream.eof or stream.unused_data:
                raise ValueError("the compressed body does not end where the request does")
        if not body.endswith(b"\n"):
            raise ValueError("The bulk request must be terminated by a newline [\\n]")
        return body

    def answer(self, status: int, body: Any, cut: float = 1.0) -> None:
        text = json.dumps(body, separators=(",", ":")).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("x-elastic-product", "Elasticsearch")  # the official client asks for it
        self.send_header("content-length", str(len(text)))
        self.end_headers()
        self.wfile.write(text[: int(len(text) * cut)])
        self.close_connection = self.close_connection or cut < 1

    def do_POST(self) -> None:
        # a client that is killed in the middle of it is what this is for
        with suppress(ConnectionError):
            try:
                self.stand_in.bulk(Exchange(self.stand_in, self))
            except ValueError as error:
                self.answer(
                    400, {"error": {"type": "illegal_argument_exception", "reason": str(error)}, "status": 400}
                )

    def do_PUT(self) -> None:
        self.stand_in.things[self.path] = json.loads(self.body())
        self.answer(200, {"acknowledged": True})

    def do_GET(self) -> None:
        room = "/_index_template"
        if self.path.startswith(room):
            found = [
                {"name": path.rpartition("/")[2], "index_template": {"composed_of": [], **body}}
                for path, body in list(self.stand_in.things.items())
                if path.startswith(room) and self.path in (room, path)
            ]
            self.answer(200 if found or self.path == room else 404, {"index_templates": found})
        elif self.path in self.stand_in.things:
            self.answer(200, {self.path.rpartition("/")[2]: self.stand_in.things[self.path]})
        elif self.path == "/_security/_authenticate":
            self.answer(200, {"username": "anonymous"})
        else:
            self.answer(404, {"error": "not found", "status": 404})

    def log_message(self, format: str, *arguments: object) -> None:
        """Say nothing."""


def _all(each: Exchange, actions: Sequence[Action], cut: float = 1.0) -> None:
    _answer(each, actions, [each.server.create(*action) for action in actions], cut)


def _answer(each: Exchange, actions: Sequence[Action], statuses: Sequence[int], cut: float = 1.0) -> None:
    items = [
        {"create": {"_index": each.index, "_id": key, "status": status, **_SAID[status]}}
        for (key, _), status in zip(actions, statuses, strict=True)
    ]
    body = {"took": 30, "errors": any(status != 201 for status in statuses), "items": items}
    each.answer(200, _reduced(body, [path.split(".") for path in each.wanted]) if each.wanted else body, cut)


# What stands in an item beside its status.
_SAID: dict[int, dict[str, Any]] = {
    201: {
        "_version": 1,
        "result": "created",
        "_shards": {"total": 2, "successful": 1, "failed": 0},
        "_seq_no": 1,
        "_primary_term": 1,
    },
    409: {"error": {"type": "version_conflict_engine_exception", "reason": "document already exists"}},
    429: {"error": {"type": "es_rejected_execution_exception", "reason": "rejected execution"}},
}


def _reduced(value: Any, paths: Sequence[Sequence[str]]) -> Any:
    """Return what the paths (names, `*` for any one) lead to, in its place; lists are looked through."""
    if not all(paths):
        return value
    if isinstance(value, list):
        return [each for each in (_reduced(each, paths) for each in value) if each not in ({}, [])]
    if not isinstance(value, dict):
        return {}
    below = {
        name: _reduced(each, further)
        for name, each in value.items()
        if (further := [path[1:] for path in paths if path[0] in ("*", name)])
    }
    return {name: each for name, each in below.items() if each not in ({}, [])}
