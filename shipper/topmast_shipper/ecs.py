"""Fields under one name everywhere: the Elastic Common Schema, nested, with old names mapped on intake.

Sources: ECS 9 and the ECS logging specification; OpenTelemetry gen_ai.* (SHIPPING.md section 4). Nothing is
dropped: what does not fit its ECS place stays under `labels`, a document that is too large stays as its line.
"""

from collections.abc import Iterator, Mapping
from datetime import UTC, tzinfo
from functools import lru_cache
from typing import Any

import orjson

from topmast_shipper import timestamps
from topmast_shipper.event import Event

VERSION = "8.11.0"
LEVELS = ("debug", "info", "warning", "error", "critical")
# An application cannot explode the index: more fields or a deeper tree than this stay text.
MAX_FIELDS = 256
MAX_DEPTH = 16
MAX_NAME_CHARACTERS = 256
FUTURE_MICROSECONDS = 86400 * 1_000_000

# Of logging, log4j, java.util.logging, zap, bunyan, loguru, syslog, PostgreSQL; Redis writes signs.
_LEVEL_NAMES = {
    **dict.fromkeys(("trace", "debug", "verbose", "fine", "finer", "finest", "5", "10", "d", "t", "v"), "debug"),
    **dict.fromkeys(("debug1", "debug2", "debug3", "debug4", "debug5", ".", "-"), "debug"),
    **dict.fromkeys(("info", "information", "informational", "notice", "log", "20", "i"), "info"),
    **dict.fromkeys(("success", "config", "*"), "info"),
    **dict.fromkeys(("warn", "warning", "30", "w", "#"), "warning"),
    **dict.fromkeys(("err", "error", "severe", "exception", "40", "e"), "error"),
    **dict.fromkeys(("critical", "crit", "fatal", "alert", "emerg", "emergency", "panic", "50", "f"), "critical"),
    **dict.fromkeys(("dpanic", "60"), "critical"),
}  # fmt: skip

# The names of logging.LogRecord, python-json-logger, structlog, bunyan, logstash, older gen_ai: ECS.
OLD_NAMES = {
    **dict.fromkeys(("timestamp", "asctime", "time", "ts", "datetime", "date", "@time"), "@timestamp"),
    **dict.fromkeys(("level", "levelname", "severity", "lvl", "loglevel", "log_level", "level_name"), "log.level"),
    **dict.fromkeys(("msg", "event", "text", "log"), "message"),
    **dict.fromkeys(("logger", "logger_name", "name"), "log.logger"),
    **dict.fromkeys(("lineno", "line"), "log.origin.file.line"),
    **dict.fromkeys(("pathname", "filename", "file"), "log.origin.file.name"),
    **dict.fromkeys(("funcName", "func_name", "function"), "log.origin.function"),
    **dict.fromkeys(("process", "pid"), "process.pid"),
    "processName": "process.name",
    "thread": "process.thread.id",
    "threadName": "process.thread.name",
    **dict.fromkeys(("exc_info", "exc_text", "exception", "traceback", "stack_trace", "stack"), "error.stack_trace"),
    **dict.fromkeys(("error_type", "exc_type"), "error.type"),
    **dict.fromkeys(("error", "error_message"), "error.message"),
    **dict.fromkeys(("trace_id", "traceId", "otelTraceID"), "trace.id"),
    **dict.fromkeys(("span_id", "spanId", "otelSpanID"), "span.id"),
    **dict.fromkeys(("request_id", "requestId", "req_id"), "http.request.id"),
    **dict.fromkeys(("service", "service_name", "app", "application", "otelServiceName"), "service.name"),
    **dict.fromkeys(("env", "environment"), "service.environment"),
    "version": "service.version",
    **dict.fromkeys(("status", "status_code"), "http.response.status_code"),
    **dict.fromkeys(("method", "http_method"), "http.request.method"),
    "path": "url.path",
    **dict.fromkeys(("host", "hostname"), "host.name"),
    **dict.fromkeys(("client_ip", "remote_addr"), "client.ip"),
    **dict.fromkeys(("user_id",), "user.id"),
    "user_agent": "user_agent.original",
    "gen_ai.system": "gen_ai.provider.name",
    "gen_ai.usage.prompt_tokens": "gen_ai.usage.input_tokens",
    "gen_ai.usage.completion_tokens": "gen_ai.usage.output_tokens",
}  # fmt: skip


def complete(event: Event, fields: Mapping[str, Any], zone: tzinfo = UTC) -> Event:
    """Return the event with its document: nested ECS, a time, a level, a message, a service, where it came from."""
    document: dict[str, Any] = {"@timestamp": None, "log": {}, "message": None}
    try:
        _fill(document, fields)
    except _TooMuchError as reason:
        document = {"@timestamp": None, "log": {}, "message": event.message}
        document["error"] = {"type": "too_large", "message": str(reason)}
    time = _settle_time(document, event, zone)
    if document["message"] is None:
        document["message"] = _summary(document, event)
    elif not isinstance(document["message"], str):
        document["message"] = dump(document["message"]).decode()
    _settle_level(document)
    log = document["log"]
    log["offset"] = event.start
    if event.origin.path:
        _put(document, ("log", "file", "path"), event.origin.path)
    if event.flags:
        log["flags"] = list(event.flags)
    _put(document, ("ecs", "version"), VERSION)
    said = _at(document, ("event", "id"))
    if said is not None:
        document["event"]["id"] = None
        _put(document, ("labels", "event_id"), said)
    _put(document, ("event", "id"), event.id)
    if event.origin.service and not _at(document, ("service", "name")):
        _put(document, ("service", "name"), event.origin.service)
    service = _text(str(_at(document, ("service", "name")) or ""))
    return event._replace(json=dump(document), time=time, level=log["level"], service=service)


def dump(document: object) -> bytes:
    """Return the value as JSON that every reader accepts: no NaN, no lone surrogate, no endless number."""
    try:
        return orjson.dumps(document, option=orjson.OPT_NON_STR_KEYS)
    except (orjson.JSONEncodeError, RecursionError):
        return orjson.dumps(_harmless(document, 0))


def get(document: Mapping[str, Any], name: str) -> Any:
    """Return the value at a dotted name; None when there is none."""
    return _at(document, tuple(name.split(".")))


def level_of(value: object) -> str | None:
    """Return one of LEVELS; None for a name that nobody knows. Numbers are logging's and bunyan's (10 … 60)."""
    if isinstance(value, str):
        return _LEVEL_NAMES.get(value) or _LEVEL_NAMES.get(value.strip().lower())
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return LEVELS[min(max(int(value) // 10 - 1, 0), 4)]
    return None


class _TooMuchError(Exception):
    """The document has more fields or levels than an index should see."""


def _fill(document: dict[str, Any], fields: Mapping[str, Any]) -> None:
    for count, (name, value) in enumerate(_leaves(fields, "", 0)):
        if count >= MAX_FIELDS:
            raise _TooMuchError(f"more than {MAX_FIELDS} fields")
        if value is None or value == {}:
            # nothing is said, so nothing is in the way; an old name without a value is none
            if name not in OLD_NAMES or value == {}:
                _put(document, tuple(name.split(".")), value)
        elif not _put(document, _path(name), value):
            labels = document.setdefault("labels", {})
            if isinstance(labels, dict):
                labels[name.replace(".", "_")] = value


def _leaves(fields: Mapping[str, Any], prefix: str, depth: int) -> Iterator[tuple[str, Any]]:
    """Yield each value with its dotted ECS name; lists are values."""
    if depth > MAX_DEPTH:
        raise _TooMuchError(f"deeper than {MAX_DEPTH}")
    for key, value in fields.items():
        name = f"{prefix}{key}"
        if len(name) > MAX_NAME_CHARACTERS:
            raise _TooMuchError(f"a name longer than {MAX_NAME_CHARACTERS} characters")
        if type(value) is dict and value:
            # `"error": {...}` is ECS's object, `"error": "text"` an old name
            yield from _leaves(value, name + ".", depth + 1)
        else:
            yield name, {} if value == {} else value


@lru_cache(maxsize=4096)
def _path(name: str) -> tuple[str, ...]:
    return tuple(OLD_NAMES.get(name, name).split("."))


def _put(document: dict[str, Any], path: tuple[str, ...], value: Any) -> bool:
    """Set the value at the path; False when another value is in the way."""
    node = document
    for key in path[:-1]:
        following = node.get(key)
        if following is None:
            following = node[key] = {}
        elif not isinstance(following, dict):
            return False
        node = following
    if node.get(path[-1]) is not None:
        return False
    node[path[-1]] = value
    return True


def _at(document: Mapping[str, Any], path: tuple[str, ...]) -> Any:
    node: Any = document
    for key in path:
        if not isinstance(node, dict):
            return None
        node = node.get(key)
    return node


def _settle_time(document: dict[str, Any], event: Event, zone: tzinfo) -> int:
    now = int(event.read_at * 1_000_000)
    said = document["@timestamp"]
    time = timestamps.parse(said, zone, now) if said is not None else None
    if time is None or not 0 < time <= now + FUTURE_MICROSECONDS:
        # a time that cannot be (2099, a date nobody can read) would be the newest line for ever
        time = now
        if said is not None:
            _put(document, ("labels", "timestamp"), said)
    if time == now or not isinstance(said, str) or not timestamps.is_canonical(said):
        document["@timestamp"] = timestamps.isoformat(time)
    return time


def _settle_level(document: dict[str, Any]) -> None:
    log = document["log"]
    said = log.get("level")
    level = level_of(said)
    if level is None:
        if said is not None:
            _put(document, ("labels", "level"), said)
        status = _at(document, ("http", "response", "status_code"))
        if isinstance(status, int) and status >= 400:
            level = "error" if status >= 500 else "warning"
        else:
            level = "error" if _at(document, ("error", "stack_trace")) else "info"
    log["level"] = level


def _summary(document: Mapping[str, Any], event: Event) -> str:
    """Return a message for a record that has none: its error, its request, or the line itself."""
    error = _at(document, ("error", "message"))
    if isinstance(error, str):
        return error
    request = [_at(document, ("http", "request", "method")), _at(document, ("url", "path"))]
    status = _at(document, ("http", "response", "status_code"))
    said = [str(each) for each in (*request, status) if each is not None]
    return " ".join(said) if len(said) > 1 else event.message


def _harmless(value: object, depth: int) -> object:
    if depth > 64:
        return "…"
    if isinstance(value, dict):
        return {_text(str(key)): _harmless(each, depth + 1) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_harmless(each, depth + 1) for each in value]
    if isinstance(value, bool) or value is None:
        return value
    if isinstance(value, int):
        return value if -(2**63) <= value < 2**64 else str(value)
    if isinstance(value, float):
        return value
    return _text(str(value))


def _text(value: str) -> str:
    return value.encode("utf-8", "replace").decode("utf-8")
