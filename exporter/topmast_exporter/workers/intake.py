"""The exporter's side: takes the deltas of workers from a local Unix socket, keeps them, and answers for each app."""

import asyncio
import contextlib
import logging
import os
import socket
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from topmast_exporter.registry import Registry
from topmast_exporter.scrape import Endpoint, Scraper
from topmast_exporter.workers.merge import App, Declared, RefusedError, Row, Worker
from topmast_exporter.workers.store import Store, StoreError
from topmast_exporter.workers.wire import (
    APP_NAME,
    LENGTH,
    VERSION,
    WORKER_ID,
    WireError,
    decode,
    encode,
    is_private,
    length_of,
)

log = logging.getLogger("topmast_exporter")

MAX_APPS = 100
MAX_CONNECTIONS = 512

# A worker that says nothing: not its name at the start, and nothing at all later on.
HELLO_SECONDS = 5.0
SILENT_SECONDS = 60.0

RESULTS = ("applied", "repeated", "refused")


class SocketError(Exception):
    """The socket cannot be listened on."""


class Intake:
    """All applications whose workers report here."""

    def __init__(self, data: Path, registry: Registry, clock: Callable[[], float] = time.monotonic) -> None:
        """Find the kept sums again in the folder `data`. Raises StoreError."""
        self._registry = registry
        self._clock = clock
        self._lock = threading.Lock()  # of the store and what is applied
        self._store = Store(data / "workers.sqlite")
        self._apps: dict[str, App] = {}
        self._endpoints: dict[str, Endpoint] = {}
        # what is applied and could not be written yet
        self._unkept: dict[str, dict[tuple[str, tuple[str, ...]], Any]] = defaultdict(dict)
        self._undeclared: dict[str, dict[str, Mapping[str, Any]]] = defaultdict(dict)
        self._replaced: dict[str, set[str]] = defaultdict(set)
        self._connections: set[asyncio.Task[None]] = set()
        self._server: asyncio.AbstractServer | None = None
        registry.gauge("exporter_workers", "Workers that report now, by application.", ("app",)).set_source(
            lambda: [((name,), float(len(app.living()))) for name, app in list(self._apps.items())]
        )
        self._deltas = registry.counter(
            "exporter_worker_deltas_total", "Deltas that workers sent, by what became of them.", ("app", "result")
        )
        self._restore()

    def endpoint(self, name: str) -> Endpoint | None:
        """Return what answers for an application, None when none of its workers has reported for 15 s."""
        app = self._apps.get(name)
        return self._endpoints[name] if app is not None and app.is_reported() else None

    async def serve(self, listener: socket.socket) -> None:
        """Take connections from now on, in the running loop, until `stop`."""
        self._server = await asyncio.start_unix_server(self._connected, sock=listener)

    async def stop(self) -> None:
        """Hang up; what was acknowledged is kept already."""
        if self._server is not None:
            self._server.close()
        await asyncio.sleep(0)  # what was accepted just now gets its task
        for task in list(self._connections):
            task.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)
        with self._lock:
            self._store.close()

    # --- one connection --------------------------------------------------------------------------------------

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 a coroutine of a server runs in a task
        if len(self._connections) >= MAX_CONNECTIONS:
            writer.close()
            return
        self._connections.add(task)
        try:
            await self._converse(reader, writer)
        except (RefusedError, WireError, StoreError) as error:
            log.warning("a worker is refused", extra={"why": str(error)})
            with contextlib.suppress(OSError):
                writer.write(encode({"refused": str(error)}))
                await writer.drain()
        except (OSError, EOFError, TimeoutError, asyncio.CancelledError):
            pass  # it died, or we stop: it comes again by itself, with what was not acknowledged
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()
            self._connections.discard(task)

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        app, identity = self._known(await _read(reader, HELLO_SECONDS))
        worker = app.worker(identity)
        worker.connected = True
        try:
            await _say(writer, {"epoch": self._store.epoch, "sequence": worker.sequence})
            while True:
                message = await _read(reader, SILENT_SECONDS)
                # in a thread: it waits for the disk
                sequence = await asyncio.to_thread(self._take, app, identity, worker, message)
                await _say(writer, {"acknowledged": sequence})
        finally:
            worker.connected = False
            worker.gauges, worker.levels = {}, {}

    def _known(self, hello: Mapping[str, Any]) -> tuple[App, str]:
        name, identity = hello.get("app"), hello.get("worker")
        if hello.get("version") != VERSION:
            raise RefusedError(f"version {VERSION} is spoken here")
        if not isinstance(name, str) or not APP_NAME.fullmatch(name):
            raise RefusedError("app: letters, digits, _ . and -, at most 64, are wanted")
        if not isinstance(identity, str) or not WORKER_ID.fullmatch(identity):
            raise RefusedError("worker: 32 hexadecimal digits are wanted")
        if name not in self._apps and len(self._apps) >= MAX_APPS:
            raise RefusedError(f"{MAX_APPS} applications report here already")
        return self._app(name), identity

    def _app(self, name: str) -> App:
        if name not in self._apps:
            app = App(name, self._clock)
            self._endpoints[name] = Endpoint(Scraper(app.registry, self._registry))
            self._apps[name] = app
            for result in RESULTS:
                self._deltas.labels(name, result)
        return self._apps[name]

    def _take(self, app: App, identity: str, worker: Worker, message: Mapping[str, Any]) -> int:
        """Apply one delta, unless it was already, and keep it; return its number."""
        sequence, families = message.get("sequence"), message.get("families", {})
        if type(sequence) is not int or not isinstance(families, dict):
            raise RefusedError("a delta has a number and families")
        with self._lock:
            try:
                self._declare(app, worker, families)
                if sequence > worker.sequence:
                    self._remember(app, app.apply(worker, message))
                    worker.sequence = sequence
                    self._deltas.labels(app.name, "applied").inc()
                else:
                    self._deltas.labels(app.name, "repeated").inc()
            except RefusedError:
                self._deltas.labels(app.name, "refused").inc()
                raise
            # what an earlier failure left goes along: nothing is acknowledged that is not on the disk
            self._store.keep(
                app.name,
                identity,
                worker.sequence,
                self._undeclared[app.name],
                self._replaced[app.name],
                [(family, values, numbers) for (family, values), numbers in self._unkept[app.name].items()],
            )
            for waiting in (self._undeclared, self._replaced, self._unkept):
                waiting.pop(app.name, None)
        return sequence

    def _declare(self, app: App, worker: Worker, families: Mapping[str, Any]) -> None:
        for name, told in families.items():
            became = app.declare(name, told, worker)
            if became is not Declared.KNOWN:
                self._undeclared[app.name][name] = told
            if became is Declared.REPLACED:
                self._replaced[app.name].add(name)
                waiting = self._unkept[app.name]
                self._unkept[app.name] = {key: kept for key, kept in waiting.items() if key[0] != name}

    def _remember(self, app: App, rows: list[Row]) -> None:
        for family, values, numbers in rows:
            self._unkept[app.name][family, values] = numbers
            if app.registry.family(family) is None:
                self._undeclared[app.name][family] = app.foreign.declaration(family)

    def _restore(self) -> None:
        for name, family, told, rows in self._store.families():
            try:
                self._app(name).restore(family, told, rows)
            except (RefusedError, ValueError, TypeError, KeyError):
                self._registry.count_internal_error("workers_restore")
                log.exception("a kept family cannot be read", extra={"app": name, "family": family})
        for name, identity, sequence in self._store.workers():
            self._app(name).worker(identity).sequence = sequence


async def _read(reader: asyncio.StreamReader, seconds: float) -> dict[str, Any]:
    async with asyncio.timeout(seconds):
        return decode(await reader.readexactly(length_of(await reader.readexactly(LENGTH.size))))


async def _say(writer: asyncio.StreamWriter, message: dict[str, Any]) -> None:
    writer.write(encode(message))
    async with asyncio.timeout(HELLO_SECONDS):
        await writer.drain()


def listen(path: Path) -> socket.socket:
    """Return a socket at `path` that only this user can reach. Raises SocketError."""
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not is_private(path.parent):
            raise SocketError(f"{path.parent}: belongs to somebody else, or is open to others")
        if path.is_socket():
            _remove_stale(path)
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        before = os.umask(0o177)
        try:
            listener.bind(str(path))
        finally:
            os.umask(before)
        listener.listen(128)
    except OSError as error:
        raise SocketError(f"{path}: cannot listen: {error.strerror or error}") from error
    return listener


def _remove_stale(path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(1.0)
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            path.unlink()  # its owner was killed
            return
    raise SocketError(f"{path}: another exporter takes deltas here")
