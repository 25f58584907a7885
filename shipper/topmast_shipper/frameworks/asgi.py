"""Request and trace ids in every record of a request: `app.add_middleware(RequestContext)`, for any ASGI app.

Sources: the ASGI specification (asgi.readthedocs.io), W3C Trace Context for `traceparent`.
"""

import re
import sys
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any
from uuid import uuid4

from topmast_shipper import context

_Scope = MutableMapping[str, Any]
_Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
_Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
_App = Callable[[_Scope, _Receive, _Send], Awaitable[None]]

_TRACEPARENT = re.compile(rb"[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-[0-9a-f]{2}(?:-.*)?")
# What somebody else sends goes into every record: nothing but what an id is made of.
_REQUEST_ID = re.compile(rb"[A-Za-z0-9._:/+=-]{1,128}")
_HEADER = b"x-request-id"


class RequestContext:
    """Binds http.request.id, trace.id and span.id for the length of a request, and answers with x-request-id."""

    def __init__(self, app: _App) -> None:
        self._app = app

    async def __call__(self, scope: _Scope, receive: _Receive, send: _Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        fields = ids(dict(scope.get("headers", ())))
        request_id = fields["http.request.id"].encode()

        async def answer(message: MutableMapping[str, Any]) -> None:
            if message["type"] in ("http.response.start", "websocket.accept"):
                headers = list(message.get("headers", ()))
                if not any(name.lower() == _HEADER for name, _ in headers):
                    message["headers"] = [*headers, (_HEADER, request_id)]
            await send(message)

        with context.bound(fields):
            await self._app(scope, receive, answer)


def ids(headers: MutableMapping[bytes, bytes]) -> dict[str, str]:
    """Return the ids that a request's headers give, and new ones for what they do not."""
    said = headers.get(_HEADER, b"")
    fields = {"http.request.id": said.decode() if _REQUEST_ID.fullmatch(said) else uuid4().hex}
    if _traced():
        return fields  # its spans know better
    parent = _TRACEPARENT.fullmatch(headers.get(b"traceparent", b""))
    fields["trace.id"] = parent[1].decode() if parent else uuid4().hex
    fields["span.id"] = uuid4().hex[:16]
    if parent:
        fields["parent.id"] = parent[2].decode()
    return fields


def _traced() -> bool:
    """Return whether the application makes spans of its own; that the SDK is loaded is no sign of it."""
    api, sdk = sys.modules.get("opentelemetry.trace"), sys.modules.get("opentelemetry.sdk.trace")
    return api is not None and sdk is not None and isinstance(api.get_tracer_provider(), sdk.TracerProvider)
