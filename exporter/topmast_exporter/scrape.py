"""One scrape: rendered in a thread of its own, shared by those who ask at the same time, compressed.

A render in the event loop stalls it for as long as it takes (measured: 1,324 ms at 50,000 series with the client's
own application), hence the thread; gzip at level 1 costs a tenth of level 9 for a quarter more bytes.
"""

import asyncio
import gzip
import os
import threading
import time
from collections.abc import Awaitable, Callable, MutableMapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl

from topmast_exporter.registry import Registry
from topmast_exporter.render import render, wants_openmetrics

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

GZIP_LEVEL = 1

# Below this a packet holds it anyway.
GZIP_FROM_BYTES = 1_000

# A `name[]` filter, and different scrapes that wait at once: a scraper asks for few, a flood for many.
MAX_NAMES = 200
MAX_WAITING = 8

# The render's share of a scrape interval is what matters: 50,000 series take about 0.02.
RENDER_BOUNDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0)

Key = tuple[bool, frozenset[str], bool]


class BusyError(Exception):
    """Too many different scrapes wait already."""


@dataclass(frozen=True, slots=True)
class Scrape:
    """An answer, ready to be sent."""

    body: bytes
    content_type: str
    gzipped: bool

    def headers(self) -> list[tuple[bytes, bytes]]:
        """Return the answer's headers as ASGI has them."""
        headers = [
            (b"content-type", self.content_type.encode()),
            (b"content-length", str(len(self.body)).encode()),
            (b"vary", b"accept, accept-encoding"),
        ]
        return [*headers, (b"content-encoding", b"gzip")] if self.gzipped else headers


@dataclass(slots=True)
class _Process:
    """What must not be shared with a forked child."""

    pid: int = field(default_factory=os.getpid)
    lock: threading.Lock = field(default_factory=threading.Lock)
    waiting: dict[Key, Future[Scrape]] = field(default_factory=dict)
    thread: ThreadPoolExecutor = field(
        default_factory=lambda: ThreadPoolExecutor(max_workers=1, thread_name_prefix="topmast-scrape")
    )


class Scraper:
    """Renders a registry for whoever asks."""

    def __init__(self, registry: Registry, own: Registry | None = None) -> None:
        self.registry = registry
        # what a render takes is told where the one who renders tells of himself
        self._took = (
            (own or registry)
            .histogram("exporter_render_seconds", "Time to write the text of one scrape.", (), RENDER_BOUNDS)
            .labels()
        )
        self._process: _Process | None = None

    def submit(self, accept: str = "", names: frozenset[str] = frozenset(), gzipped: bool = False) -> Future[Scrape]:
        """Return the future answer; those who want the same at the same time get the same one.

        Raises BusyError when too many different ones wait.
        """
        process = self._process
        if process is None or process.pid != os.getpid():
            process = self._process = _Process()
        key = (wants_openmetrics(accept), names, gzipped)
        with process.lock:
            future = process.waiting.get(key)
            if future is None:
                if len(process.waiting) >= MAX_WAITING:
                    raise BusyError
                future = process.thread.submit(self._render, process, key)
                process.waiting[key] = future
        return future

    def _render(self, process: _Process, key: Key) -> Scrape:
        openmetrics, names, gzipped = key
        # From here on a newcomer starts a render of its own: it must see what it counted before it asked.
        with process.lock:
            process.waiting.pop(key, None)
        started = time.perf_counter()
        body, content_type = render(self.registry, "application/openmetrics-text" if openmetrics else "", names)
        self._took.observe(time.perf_counter() - started)
        gzipped = gzipped and len(body) >= GZIP_FROM_BYTES
        return Scrape(gzip.compress(body, GZIP_LEVEL) if gzipped else body, content_type, gzipped)


class Endpoint:
    """The ASGI application that answers `GET /metrics`."""

    def __init__(self, scraper: Scraper) -> None:
        self._scraper = scraper

    async def __call__(
        self,
        scope: Scope,
        receive: Receive,  # noqa: ARG002 ASGI passes it; a scrape has no body
        send: Send,
    ) -> None:
        """Answer one request, whatever its path."""
        if scope["method"] not in ("GET", "HEAD"):
            await _answer(send, 405, [(b"allow", b"GET, HEAD")], b"only GET and HEAD\n")
            return
        accept, encodings = _header(scope, b"accept"), _header(scope, b"accept-encoding")
        try:
            names = asked_names(scope.get("query_string", b""))
        except ValueError as error:
            await _answer(send, 400, [], f"{error}\n".encode())
            return
        try:
            future = self._scraper.submit(accept, names, accepts_gzip(encodings))
        except BusyError:
            await _answer(send, 503, [(b"retry-after", b"1")], b"too many scrapes at once\n")
            return
        # shield: one scraper that hangs up must not cancel the render of the others
        scrape = await asyncio.shield(asyncio.wrap_future(future))
        await _answer(send, 200, scrape.headers(), b"" if scope["method"] == "HEAD" else scrape.body)


def asked_names(query: bytes) -> frozenset[str]:
    """Return the names of a `name[]=a&name[]=b` query; none means all. Raises ValueError beyond 200 of them."""
    try:
        pairs = parse_qsl(query.decode("latin-1"), max_num_fields=MAX_NAMES)
    except ValueError as error:
        raise ValueError(f"at most {MAX_NAMES} name[] fields") from error
    return frozenset(value for key, value in pairs if key == "name[]")


def accepts_gzip(header: str) -> bool:
    """Return whether an Accept-Encoding header takes gzip."""
    for choice in header.split(","):
        coding, *parameters = (part.strip().lower() for part in choice.split(";"))
        if coding == "gzip":
            return not any(parameter in ("q=0", "q=0.0", "q=0.00", "q=0.000") for parameter in parameters)
    return False


def _header(scope: Scope, name: bytes) -> str:
    return ",".join(value.decode("latin-1") for key, value in scope.get("headers", ()) if key == name)


async def _answer(send: Send, status: int, headers: list[tuple[bytes, bytes]], body: bytes) -> None:
    if status != 200:
        headers = [*headers, (b"content-type", b"text/plain; charset=utf-8"), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body, "more_body": False})
