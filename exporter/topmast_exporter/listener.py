"""A uvicorn server that a slow or hostile client cannot occupy.

A connection that has sent no whole request within ten seconds is closed; when all places are taken, the one that has
been idle longest makes room, so that who really asks gets in; heads are limited to 64 KiB. Parsed by httptools: h11
costs four times as much, which is half of what an event that comes alone costs.
"""

import asyncio
import contextlib
import time
from collections.abc import Iterator
from typing import Any, cast

import uvicorn

from topmast_exporter.at_once import AtOnce, AtOnceProtocol, Heads, Joined
from topmast_exporter.guard import WebFile
from topmast_exporter.web_config import allows

MAX_CONNECTIONS = 100
REQUEST_SECONDS = 10.0

# Longer than the usual scrape interval: Prometheus keeps its connection.
KEEP_ALIVE_SECONDS = 65

MAX_HEAD_BYTES = 65_536
# Requests of one connection that wait for the answer to the one before them.
MAX_PIPELINED = 16


class QuietServer(uvicorn.Server):
    """Leaves the signals to the one who runs several servers."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def server(app: Any, web: WebFile, short_way: AtOnce | None = None) -> QuietServer:
    """Return a server for one listener; `serve(sockets=[…])` runs it.

    `short_way` is taken past the application, unless a web configuration says what is to be checked first.
    """

    class Protocol(BoundedProtocol):
        web_file = web
        at_once = None if web.is_named else short_way
        heads = Heads()

    made = web.context
    return QuietServer(
        uvicorn.Config(
            app,
            loop="none",
            http=Protocol,
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            limit_concurrency=2 * MAX_CONNECTIONS,  # the protocol's own limit comes first
            timeout_keep_alive=KEEP_ALIVE_SECONDS,
            timeout_graceful_shutdown=3,
            ssl_context_factory=None if made is None else lambda _config, _default: made,
        )
    )


class BoundedProtocol(AtOnceProtocol):
    """One connection."""

    web_file: WebFile
    request_seconds = REQUEST_SECONDS
    began_at = 0.0
    _deadline: asyncio.TimerHandle | None = None
    _head_bytes = -1
    """Of a head that has begun; -1: none has."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as its parent has it
        self.began_at = time.monotonic()
        tls = self.web_file.config.tls
        certificate = transport.get_extra_info("peercert")
        if len(self.connections) >= MAX_CONNECTIONS and not self._make_room():
            transport.abort()
            return
        super().connection_made(cast("asyncio.Transport", Joined(transport)))
        if tls is not None and not allows(tls, certificate):
            transport.abort()
            return
        self._expect_request()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self._head_bytes >= 0:
            self._head_bytes += len(data)
            if self._head_bytes > MAX_HEAD_BYTES:
                self.transport.abort()
        if self.is_idle():
            self._expect_request()  # the beginning of one, so far
        else:
            self._forget_deadline()

    def on_message_begin(self) -> None:
        self._head_bytes = 0
        super().on_message_begin()

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._head_bytes >= 0:  # trailers, after a body, are nothing that we know
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        self._head_bytes = -1
        if len(self.pipeline) >= MAX_PIPELINED:
            self.transport.abort()
            return
        super().on_headers_complete()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self._head_bytes >= 0:
            self._expect_request()  # the beginning of another one came along

    def connection_lost(self, exc: Exception | None) -> None:
        self._forget_deadline()
        if self.transport is not None:
            super().connection_lost(exc)

    def _expect_request(self) -> None:
        if self._deadline is None:
            self._deadline = self.loop.call_later(self.request_seconds, self._hang_up_when_idle)

    def _forget_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _hang_up_when_idle(self) -> None:
        self._deadline = None
        if self.is_idle():
            self.transport.abort()

    def _make_room(self) -> bool:
        idle = [one for one in self.connections if isinstance(one, BoundedProtocol) and one.is_idle()]
        if idle:
            oldest = min(idle, key=lambda one: one.began_at)
            self.connections.discard(oldest)
            oldest.transport.abort()
        return bool(idle)
