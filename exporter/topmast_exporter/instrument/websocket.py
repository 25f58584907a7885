"""WebSocket connections and messages of an ASGI application.

An event's name is read from JSON text messages whose first member is `"event"` or `"type"` (`chat:start`,
`response.done`), cheaply and without parsing; any other message is `message`.
"""

import re
from collections.abc import Callable, MutableMapping
from typing import Any

from topmast_exporter.families import CounterFamily, GaugeFamily
from topmast_exporter.registry import Registry
from topmast_exporter.scrape import Receive, Scope, Send
from topmast_exporter.series import GaugeSeries

_EVENT = re.compile(r'\s*\{\s*"(?:event|type)"\s*:\s*"([\w.:/-]{1,64})"')

TRANSPORT = "websocket"


def event_of(message: MutableMapping[str, Any]) -> str:
    """Return the event that a websocket.send or websocket.receive message stands for."""
    text = message.get("text")
    if not text:
        return "message"
    found = _EVENT.match(text)
    return found.group(1) if found else "message"


def declare_families(registry: Registry) -> tuple[GaugeFamily, CounterFamily]:
    """Return the families of open connections and of messages, whatever kind of socket they are of."""
    connections = registry.gauge(
        "app_websocket_connections",
        "WebSocket connections that are open now.",
        ("route", "transport"),
        open_labels=("route",),
    )
    messages = registry.counter(
        "app_websocket_messages_total",
        "WebSocket messages, by direction (in, out) and event.",
        ("route", "direction", "event"),
        open_labels=("route", "event"),
    )
    return connections, messages


class WebSockets:
    """Counts sockets of one application."""

    def __init__(self, registry: Registry, template: Callable[[Scope, str], str]) -> None:
        self._registry = registry
        self._template = template
        self._connections, self._messages = declare_families(registry)

    async def run(
        self, app: Callable[[Scope, Receive, Send], Any], scope: Scope, receive: Receive, send: Send
    ) -> None:
        """Run the application for one socket and count what passes."""
        outer_root = scope.get("root_path", "")
        route = ""
        open_now: GaugeSeries | None = None

        async def counted_receive() -> MutableMapping[str, Any]:
            message = await receive()
            if message["type"] == "websocket.receive" and open_now is not None:
                self._count(route, "in", message)
            return message

        async def counted_send(message: MutableMapping[str, Any]) -> None:
            nonlocal route, open_now
            await send(message)
            kind = message["type"]
            if kind == "websocket.send":
                self._count(route, "out", message)
            elif kind == "websocket.accept" and open_now is None:
                try:
                    route = self._template(scope, outer_root)
                    open_now = self._connections.labels(route, TRANSPORT)
                    open_now.inc()
                except Exception:  # noqa: BLE001 a guard: an instrument never raises into the application
                    self._registry.count_internal_error("websocket")

        try:
            await app(scope, counted_receive, counted_send)
        finally:
            if open_now is not None:
                open_now.dec()

    def _count(self, route: str, direction: str, message: MutableMapping[str, Any]) -> None:
        try:
            self._messages.labels(route, direction, event_of(message)).inc()
        except Exception:  # noqa: BLE001 a guard: an instrument never raises into the application
            self._registry.count_internal_error("websocket")
