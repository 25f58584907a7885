"""A uvicorn server that a slow or hostile client cannot occupy.

A connection that has sent no whole request within ten seconds is closed; when all places are taken, the one that has
been idle longest makes room, so that who really asks gets in; heads are limited by h11 (64 KiB).
"""

import asyncio
import contextlib
import time
from collections.abc import Iterator
from typing import Any

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from topmast_exporter.guard import WebFile
from topmast_exporter.web_config import allows

MAX_CONNECTIONS = 100
REQUEST_SECONDS = 10.0

# Longer than the usual scrape interval: Prometheus keeps its connection.
KEEP_ALIVE_SECONDS = 65

MAX_HEAD_BYTES = 65_536


class QuietServer(uvicorn.Server):
    """Leaves the signals to the one who runs several servers."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def server(app: Any, web: WebFile) -> QuietServer:
    """Return a server for one listener; `serve(sockets=[…])` runs it."""

    class Protocol(BoundedProtocol):
        web_file = web

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
            h11_max_incomplete_event_size=MAX_HEAD_BYTES,
            timeout_keep_alive=KEEP_ALIVE_SECONDS,
            timeout_graceful_shutdown=3,
            ssl_context_factory=None if made is None else lambda _config, _default: made,
        )
    )


class BoundedProtocol(H11Protocol):
    """One connection."""

    web_file: WebFile
    request_seconds = REQUEST_SECONDS
    began_at = 0.0
    _deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as its parent has it
        self.began_at = time.monotonic()
        tls = self.web_file.config.tls
        certificate = transport.get_extra_info("peercert")
        if len(self.connections) >= MAX_CONNECTIONS and not self._make_room():
            transport.abort()
            return
        super().connection_made(transport)
        if tls is not None and not allows(tls, certificate):
            transport.abort()
            return
        self._expect_request()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self.is_idle():
            self._expect_request()  # the beginning of one, so far
        else:
            self._forget_deadline()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self.conn.trailing_data[0]:
            self._expect_request()  # the beginning of another one came along

    def connection_lost(self, exc: Exception | None) -> None:
        self._forget_deadline()
        if self.transport is not None:
            super().connection_lost(exc)

    def is_idle(self) -> bool:
        """Return whether no request of this connection is being answered."""
        return self.cycle is None or bool(self.cycle.response_complete)

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
