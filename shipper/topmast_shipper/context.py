"""What every record of a request says, bound once: trace, span and request ids, a user, a tenant.

    with context.bound({"http.request.id": "6f1c", "labels.tenant": "acme"}):
        logger.info("…")           # and whatever is called from here, in this task or thread

Kept in a context variable: each asyncio task has its own, a thread begins with none.
"""

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar, Token
from typing import Any, NamedTuple

from topmast_shipper import harmless

MAX_FIELDS = 64
# What a record itself says: another field of that name becomes a label.
TAKEN = frozenset({"@timestamp", "log.level", "message", "ecs.version", "log", "process", "service", "error"})


class Bound(NamedTuple):
    """Fields, and how they look in a record."""

    fields: Mapping[str, Any]
    json: bytes
    """`,"http.request.id":"6f1c"`: what is written behind another member; empty for no fields."""


NOTHING = Bound({}, b"")
_current: ContextVar[Bound] = ContextVar("topmast_log_context", default=NOTHING)
current = _current.get


def bind(fields: Mapping[str, Any]) -> Token[Bound]:
    """Add fields (ECS names) to every record from here on; `reset` takes them away again.

    Those that are None are left out; a field that is bound already takes the new value.
    """
    merged = {**_current.get().fields, **fields}
    kept = {f"labels.{name}" if name in TAKEN else name: value for name, value in merged.items() if value is not None}
    some = dict(list(kept.items())[:MAX_FIELDS])
    return _current.set(Bound(some, b"," + harmless.dump(some)[1:-1] if some else b""))


def reset(token: Token[Bound]) -> None:
    """Undo a `bind`, in the same task or thread."""
    _current.reset(token)


@contextmanager
def bound(fields: Mapping[str, Any]) -> Iterator[None]:
    """Bind fields for the length of a `with`."""
    token = bind(fields)
    try:
        yield
    finally:
        reset(token)


def traced() -> dict[str, str]:
    """Return trace.id and span.id of OpenTelemetry's span, where the application has one."""
    trace = sys.modules.get("opentelemetry.trace")
    if trace is None:
        return {}
    told = trace.get_current_span().get_span_context()
    return {"trace.id": f"{told.trace_id:032x}", "span.id": f"{told.span_id:016x}"} if told.is_valid else {}


def trace() -> bytes:
    """Return what `traced` does as it is written behind another member."""
    told = traced()
    return b"," + harmless.dump(told)[1:-1] if told and told.keys().isdisjoint(_current.get().fields) else b""
