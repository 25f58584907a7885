"""python-socketio: clients connected by namespace and transport, and the events that pass.

    sio = instrument_socketio(socketio.AsyncServer(async_mode="asgi"))

`route` is the namespace. Listened to are the methods that Socket.IO's own admin instrumentation listens to:
`_trigger_event` (what a client sends), `_send_packet` and `_send_eio_packet` (what each recipient is sent, also by
way of a message queue), `connect` and `disconnect` of the manager. A client names its events itself, so those without
a handler are `_other`: what a catch-all handler takes is named in `events`. A client begins with polling and may
upgrade: its transport is looked up at the scrape.
"""

import re
import threading
from collections.abc import Callable, Iterable
from inspect import iscoroutinefunction
from typing import Any, TypeVar

from topmast_exporter.admission import OTHER
from topmast_exporter.instrument.websocket import declare_families
from topmast_exporter.registry import Registry, default_registry

S = TypeVar("S")

POLLING, WEBSOCKET = "polling", "websocket"

# https://socket.io/docs/v4/socket-io-protocol/: type (2 event, 5 binary event), attachments, namespace, id, payload.
_EVENT = re.compile(r'(?:2|5\d+-)(?:(/[^,\[]*),)?\d*\["((?:[^"\\]|\\.){1,128})"')
_EVENTS = (2, 5)


def instrument_socketio(server: S, registry: Registry | None = None, events: Iterable[str] = ()) -> S:
    """Return the same server (Server or AsyncServer), measured. `events` are those that no handler names."""
    SocketIO(server, registry or default_registry(), frozenset(events))
    return server


class SocketIO:
    """Listens to one server."""

    def __init__(self, server: Any, registry: Registry, events: frozenset[str]) -> None:
        self._registry = registry
        self._server = server
        self._events = events
        self._connections, self._messages = declare_families(registry)
        self._lock = threading.Lock()
        self._open: dict[str, dict[str, set[str]]] = {}
        # The packet that was sent last, and its counter: a broadcast sends one packet to many.
        self._sent: tuple[Any, Any] = (None, None)

        manager = server.manager
        server._trigger_event = self._before(server._trigger_event, self._received)
        server._send_packet = self._before(server._send_packet, self._sends)
        server._send_eio_packet = self._before(server._send_eio_packet, self._sends_encoded)
        manager.connect = self._before(manager.connect, self._connected)
        manager.disconnect = self._before(manager.disconnect, self._disconnected)

    def _before(self, method: Callable[..., Any], note: Callable[..., None]) -> Callable[..., Any]:
        """Return `method`, sync or async as it was, with `note` told of its arguments. `note` may raise."""

        def noted(args: Any, options: Any) -> None:
            try:
                note(*args, **options)
            except Exception:  # noqa: BLE001 a guard: an instrument never raises into the application
                self._registry.count_internal_error("socketio")

        async def asynchronous(*args: Any, **options: Any) -> Any:
            noted(args, options)
            return await method(*args, **options)

        def synchronous(*args: Any, **options: Any) -> Any:
            noted(args, options)
            return method(*args, **options)

        return asynchronous if iscoroutinefunction(method) else synchronous

    # --- clients ---------------------------------------------------------------------------------------------

    def _connected(self, sid: str, namespace: str, **_: Any) -> None:
        with self._lock:
            known = self._open.get(namespace)
            if known is None:
                known = self._open[namespace] = {POLLING: set(), WEBSOCKET: set()}
                self._begin(namespace)
            known[POLLING].add(sid)

    def _disconnected(self, sid: str, namespace: str, **_: Any) -> None:
        with self._lock:
            for sids in self._open.get(namespace, {}).values():
                sids.discard(sid)

    def _begin(self, namespace: str) -> None:
        for transport in (POLLING, WEBSOCKET):
            self._connections.labels(namespace, transport).set_function(self._count_of(namespace, transport))
        for event in self._server.handlers.get(namespace, ()):
            if event not in ("connect", "disconnect", "*"):
                self._messages.labels(namespace, "in", event)

    def _count_of(self, namespace: str, transport: str) -> Callable[[], float]:
        def count() -> float:
            with self._lock:
                known = self._open[namespace]
                # It never goes back: whoever has upgraded is looked up no more.
                upgraded = {sid for sid in known[POLLING] if self._transport(sid, namespace) == WEBSOCKET}
                known[POLLING] -= upgraded
                known[WEBSOCKET] |= upgraded
                return float(len(known[transport]))

        return count

    def _transport(self, sid: str, namespace: str) -> str:
        try:
            return str(self._server.transport(sid, namespace))
        except KeyError:  # it leaves at this moment
            return POLLING

    # --- messages --------------------------------------------------------------------------------------------

    def _received(self, event: Any, namespace: str, *_: Any) -> None:
        if event not in ("connect", "disconnect"):
            self._messages.labels(namespace, "in", event if self._is_known(event, namespace) else OTHER).inc()

    def _is_known(self, event: Any, namespace: str) -> bool:
        if not isinstance(event, str):
            return False
        server = self._server
        named = event in self._events or event in server.handlers.get(namespace, ())
        return named or hasattr(server.namespace_handlers.get(namespace), f"on_{event}")

    def _sends(self, _eio_sid: str, packet: Any) -> None:
        if packet.packet_type in _EVENTS:
            self._messages.labels(packet.namespace or "/", "out", packet.data[0]).inc()

    def _sends_encoded(self, _eio_sid: str, packet: Any) -> None:
        last, counter = self._sent
        if packet is not last:
            counter = self._counter_of(packet.data)
            self._sent = (packet, counter)
        if counter is not None:
            counter.inc()

    def _counter_of(self, data: Any) -> Any:
        # Bytes are an attachment of the packet before.
        found = _EVENT.match(data) if isinstance(data, str) else None
        return None if found is None else self._messages.labels(found.group(1) or "/", "out", found.group(2))
