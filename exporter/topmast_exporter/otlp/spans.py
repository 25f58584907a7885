"""Spans of model calls as usage events: one span, one request.

Its id is (trace id, span id), so that a batch sent again changes nothing. Of nested layers that each have a span (an
agent, LangChain, the SDK) the innermost is the request: spans end from the inside out, and the parent of one that was
counted is not counted.
"""

import threading
from collections import Counter, OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from topmast_exporter.otlp import attributes as names
from topmast_exporter.otlp.attributes import Attributes
from topmast_exporter.usage_event import EventError, UsageEvent, parse

# Operations that are no request to a model: what they say they used, the requests inside of them used.
NO_REQUEST = frozenset(
    {"invoke_agent", "create_agent", "execute_tool", "invoke_workflow", "retrieval", "create_memory", "plan"}
)

# Spans under way whose inside was counted. Beyond it the oldest is forgotten.
MAX_OUTER = 20_000
MAX_ID = 64

_ERROR_STATUS = 2  # opentelemetry.proto.trace.v1.Status: STATUS_CODE_ERROR
_LISTS = (
    names.PROVIDER,
    names.MODEL,
    names.OPERATION,
    names.INPUT,
    names.OUTPUT,
    names.CACHE_READ,
    names.CACHE_WRITE,
    names.REASONING,
    names.COST,
    names.TIER,
    names.STREAM,
    names.FIRST_CHUNK_SECONDS,
    names.FIRST_CHUNK_MS,
    names.ERROR,
    names.FEATURE,
    names.KEY_ALIAS,
    names.USER_GROUP,
)
_WANTED = frozenset(name for listed in _LISTS for name in listed)
_LIMITED = ("429", "rate_limit", "ratelimit", "resource_exhausted", "too_many_requests")


@dataclass
class Found:
    """What a body holds."""

    events: list[UsageEvent] = field(default_factory=list)
    rejected: Counter[str] = field(default_factory=Counter)
    """How many were model calls and are refused, by reason."""
    points_rejected: Counter[str] = field(default_factory=Counter)
    """How many data points of HTTP requests are refused, by reason."""
    ignored: int = 0
    """How many are nothing that is counted here."""
    warning: str = ""


class Outer:
    """The spans around those that were counted: known by the parent's id before they come themselves."""

    def __init__(self) -> None:
        self._known: OrderedDict[tuple[str, str], None] = OrderedDict()
        self._lock = threading.Lock()  # bodies are read in threads

    def cover(self, trace: str, span: str) -> None:
        """Remember that something inside of this span was counted."""
        with self._lock:
            self._known[trace, span] = None
            self._known.move_to_end((trace, span))
            if len(self._known) > MAX_OUTER:
                self._known.popitem(last=False)

    def __contains__(self, key: tuple[str, str]) -> bool:
        return key in self._known


def events_of(request: Mapping[str, Any], now: float, outer: Outer) -> Found:
    """Return the usage events of an ExportTraceServiceRequest."""
    found = Found()
    listed = [
        (resource, span)
        for resource, spans in names.walk(request, "resourceSpans", "scopeSpans", "spans")
        for span in spans
    ]
    # from the inside out, also when a body has them in another order
    listed.sort(key=lambda one: names.integer(one[1].get("endTimeUnixNano")) or 0)
    by_id = {(_id(span, "traceId"), _id(span, "spanId")): span for _, span in listed}
    calls = [(resource, span, names.read(span.get("attributes"), _WANTED)) for resource, span in listed]
    # a parent that ends in the same nanosecond, or by another clock, is still a parent
    for _, span, told in calls:
        if _is_call(told):
            _cover(span, by_id, outer)
    for resource, span, told in calls:
        trace, own = _id(span, "traceId"), _id(span, "spanId")
        if (trace, own) in outer:
            _cover(span, by_id, outer)
            found.ignored += 1
        elif not _is_call(told) or names.text(resource, names.USAGE_FROM) == "metrics":
            found.ignored += 1
        else:
            try:
                found.events.append(_event(span, told, resource, now))
            except EventError as error:
                found.rejected[error.reason] += 1
    return found


def _cover(span: Mapping[str, Any], by_id: Mapping[tuple[str, str], Mapping[str, Any]], outer: Outer) -> None:
    """All spans around this one, as far as the body has them, hold a call that is counted."""
    trace, parent = _id(span, "traceId"), _id(span, "parentSpanId")
    while parent and (trace, parent) not in outer:
        outer.cover(trace, parent)
        parent = _id(by_id.get((trace, parent), {}), "parentSpanId")


def _is_call(told: Attributes) -> bool:
    if names.text(told, names.OPERATION) in NO_REQUEST:
        return False
    return any(names.first(told, one) is not None for one in (names.MODEL, names.INPUT, names.OUTPUT))


def _id(span: Mapping[str, Any], key: str) -> str:
    value = span.get(key)
    return value.lower() if isinstance(value, str) and len(value) <= MAX_ID else ""


def _event(span: Mapping[str, Any], told: Attributes, resource: Attributes, now: float) -> UsageEvent:
    trace, own = _id(span, "traceId"), _id(span, "spanId")
    if not trace or not own:
        raise EventError("id_missing")
    began, ended = names.seconds(span.get("startTimeUnixNano")), names.seconds(span.get("endTimeUnixNano"))
    first = names.count(told, names.FIRST_CHUNK_SECONDS)
    if first is None and (milliseconds := names.count(told, names.FIRST_CHUNK_MS)) is not None:
        first = milliseconds / 1e3
    usage = usage_of(told)
    return parse(
        {
            "id": f"otel:{trace}:{own}",
            "timestamp": began,
            "provider": names.provider(told),
            "model": names.text(told, names.MODEL),
            "operation": names.text(told, names.OPERATION) or "chat",
            "outcome": _outcome(span, told),
            "usage": usage,
            "convention": convention_of(usage),
            "service_tier": names.text(told, names.TIER),
            "stream": names.first(told, names.STREAM) is True or first is not None,
            "duration_seconds": max(0.0, ended - began) if began and ended else None,
            "time_to_first_token_seconds": first,
            "cost_usd": names.count(told, names.COST),
            **names.dimensions(told, resource),
        },
        now,
    )


def usage_of(told: Attributes) -> dict[str, int | float] | None:
    """Return the tokens that attributes say, None when they say none."""
    counts = {
        "input": names.count(told, names.INPUT),
        "output": names.count(told, names.OUTPUT),
        "cache_read": names.count(told, names.CACHE_READ),
        "cache_write_5m": names.count(told, names.CACHE_WRITE),
        "reasoning": names.count(told, names.REASONING),
    }
    said = {name: value for name, value in counts.items() if value is not None}
    return said or None


def convention_of(usage: Mapping[str, int | float] | None) -> str:
    """Return how cached tokens stand to the input.

    The convention says that they are part of it, and so do most libraries; more of them than there is input can only
    be the provider's own (additive) numbers, passed on.
    """
    if usage is None:
        return ""
    cached = usage.get("cache_read", 0) + usage.get("cache_write_5m", 0)
    return "additive" if cached > usage.get("input", 0) else "total"


def _outcome(span: Mapping[str, Any], told: Attributes) -> str:
    status = span.get("status")
    code = status.get("code") if isinstance(status, Mapping) else None
    kind = names.first(told, names.ERROR)
    if code not in (_ERROR_STATUS, "STATUS_CODE_ERROR") and kind is None:
        return "ok"
    named = str(kind or "").lower()
    if any(one in named.replace(" ", "_") for one in _LIMITED):
        return "rate_limited"
    if "cancel" in named:
        return "cancelled"
    return "timeout" if "timeout" in named or named == "408" else "error"
