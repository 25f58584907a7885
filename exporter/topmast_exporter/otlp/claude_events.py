"""Events of Claude Code (POST /v1/logs) as usage events: one `api_request` or `api_error`, one request to a model.

https://code.claude.com/docs/en/monitoring-usage has what they say. Of their attributes those below are read, and no
body: a prompt, an answer or an error's text goes no further than this.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from topmast_exporter.otlp import attributes as names
from topmast_exporter.otlp import sessions
from topmast_exporter.otlp.attributes import Attributes
from topmast_exporter.usage_event import MAX_ATTEMPTS, EventError, UsageEvent, parse

REQUEST, ERROR = "api_request", "api_error"

_EVENT, _PREFIX = ("event.name",), "claude_code."
_MODEL, _SPEED, _FAILURE = ("model",), ("speed",), ("error",)
_TIME, _SEQUENCE, _REQUEST_ID = ("event.timestamp",), ("event.sequence",), ("request_id",)
_NUMBERS = (
    "input_tokens",
    "output_tokens",
    "cache_read_tokens",
    "cache_creation_tokens",
    "cost_usd",
    "duration_ms",
    "status_code",
    "attempt",
)
_WANTED = frozenset(
    (
        *_EVENT,
        *_MODEL,
        *_SPEED,
        *_FAILURE,
        *_TIME,
        *_SEQUENCE,
        *_REQUEST_ID,
        *_NUMBERS,
        *sessions.SESSION,
        *sessions.INSTALLATION,
        *names.FEATURE,
    )
)
_SERVICE = "claude-code"
_MAX_NAME = 64


@dataclass
class Calls:
    """What a body holds."""

    told: list[tuple[UsageEvent, tuple[str, ...]]] = field(default_factory=list)
    """Each call with what its session is known by; nothing, when no metric tells of it again."""
    rejected: Counter[str] = field(default_factory=Counter)
    ignored: int = 0


def calls_of(request: Mapping[str, Any], now: float) -> Calls:
    """Return the model calls of an ExportLogsServiceRequest; all other records are ignored."""
    found = Calls()
    for resource, records in names.walk(request, "resourceLogs", "scopeLogs", "logRecords"):
        # as for its metrics: what is counted of a service is one of the two
        counted = names.text(resource, names.USAGE_FROM) in ("", "logs")
        for record in records:
            told = names.read(record.get("attributes"), _WANTED)
            name = _name(record, told, resource)
            if name not in (REQUEST, ERROR) or not counted:
                found.ignored += 1
                continue
            try:
                event = parse(_body(record, told, resource, name), now)
            except EventError as error:
                found.rejected[error.reason] += 1
                continue
            keys = sessions.keys_of(told, resource, sessions.EVENTS) if name == REQUEST else ()
            found.told.append((event, keys))
    return found


def _name(record: Mapping[str, Any], told: Attributes, resource: Attributes) -> str:
    """Return the event's name without the prefix, "" for what is none of Claude Code's.

    It is the body, or the record's own field in newer protocols; an attribute has it too, mostly without the prefix.
    """
    attribute = names.text(told, _EVENT)
    for one in (record.get("eventName"), names.plain(record.get("body")), attribute):
        if isinstance(one, str) and len(one) <= _MAX_NAME and one.startswith(_PREFIX):
            return one.removeprefix(_PREFIX)
    # the bare word might be anybody's
    return attribute if names.text(resource, names.SERVICE) == _SERVICE else ""


def _body(record: Mapping[str, Any], told: Attributes, resource: Attributes, name: str) -> dict[str, Any]:
    numbers = {key: _number(told.get(key)) for key in _NUMBERS}
    at = names.integer(record.get("timeUnixNano")) or names.integer(record.get("observedTimeUnixNano")) or 0
    # a record that is sent again is the same to the letter
    identity = [
        name,
        at,
        *(names.first(told, one) for one in (sessions.SESSION, _TIME, _SEQUENCE, _REQUEST_ID, _MODEL)),
        *numbers.values(),
    ]
    milliseconds = numbers["duration_ms"]
    seconds = milliseconds / 1e3 if isinstance(milliseconds, int | float) else milliseconds
    return {
        "id": f"claude:{hashlib.sha256(json.dumps(identity).encode()).hexdigest()[:40]}",
        "timestamp": at / 1e9 if at else names.text(told, _TIME) or None,
        "provider": "anthropic",
        # the longer window of a model is written behind its name
        "model": names.text(told, _MODEL).partition("[")[0],
        "operation": "chat",
        "outcome": _outcome(told, numbers["status_code"]) if name == ERROR else "ok",
        "usage": _usage(numbers) if name == REQUEST else None,
        "convention": "additive",
        "service_tier": "fast" if names.text(told, _SPEED) == "fast" else "",
        "duration_seconds": seconds,
        "attempt": _attempt(numbers["attempt"]),
        "cost_usd": numbers["cost_usd"] if name == REQUEST else None,
        **names.dimensions(told, resource),
    }


def _usage(numbers: Mapping[str, Any]) -> dict[str, Any] | None:
    said = {
        "input": numbers["input_tokens"],
        "output": numbers["output_tokens"],
        "cache_read": numbers["cache_read_tokens"],
        "cache_write_5m": numbers["cache_creation_tokens"],
    }
    return {kind: value for kind, value in said.items() if value is not None} or None


def _number(value: object) -> Any:
    """Return a number that may be text, as some versions write it; other text as it is, for the checks to refuse."""
    if not isinstance(value, str):
        return value
    try:
        return int(value) if value.isdecimal() and len(value) <= 20 else float(value[:40])
    except ValueError:
        return value[:40]


def _attempt(value: object) -> int | None:
    return value if isinstance(value, int) and 1 <= value <= MAX_ATTEMPTS else None


def _outcome(told: Attributes, status: object) -> str:
    said = names.text(told, _FAILURE).lower()
    if status == 429 or "rate_limit" in said or "rate limit" in said:
        return "rate_limited"
    if "abort" in said or "cancel" in said:
        return "cancelled"
    return "timeout" if status == 408 or "timeout" in said or "timed out" in said else "error"
