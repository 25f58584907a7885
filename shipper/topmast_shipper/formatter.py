"""A log record as one line of ECS JSON: never lost, never invalid, without secrets.

Order and names: the ECS logging specification (SHIPPING.md section 4). What repeats (second, level, place in the
source, process) is written once and kept as bytes; a record of any unusual kind takes a longer road to the same line.
"""

import logging
import math
import time
import traceback
from collections.abc import Mapping
from types import TracebackType
from typing import Any

import orjson

from topmast_shipper import context, harmless
from topmast_shipper.ecs import VERSION
from topmast_shipper.records import MAX_PAYLOAD_BYTES
from topmast_shipper.redaction import Redactor

# What every record has (logging.LogRecord), in the order in which it is given; the rest came with `extra`.
_FIRST = list(vars(logging.LogRecord("", 0, "", 0, "", (), None)))
_OWN = frozenset(_FIRST) | {"message", "asctime", "taskName"}
_LEVELS = {
    logging.DEBUG: "debug",
    logging.INFO: "info",
    logging.WARNING: "warning",
    logging.ERROR: "error",
    logging.CRITICAL: "critical",
}
_HEADS = {number: f'Z","log.level":"{name}","message":'.encode() for number, name in _LEVELS.items()}
_SIMPLE = frozenset({str, int, float, bool, type(None)})
_MAX_PLACES = 4096
# Of a record that is too long for a spool, so much of each text stays; three of them, each character six bytes long.
_CUT_CHARACTERS = MAX_PAYLOAD_BYTES // 64
_LONG = MAX_PAYLOAD_BYTES // 8
# What begins with `{"@timestamp":"…`: an @ behind it is somebody's.
_BEHIND_TIME = 20
_Exception = tuple[type[BaseException], BaseException, TracebackType | None] | tuple[None, None, None]


class EcsFormatter(logging.Formatter):
    """Writes a record as one line of ECS JSON. Never raises, never loses the record; redacts always."""

    def __init__(
        self,
        service: str = "",
        version: str = "",
        environment: str = "",
        redactor: Redactor | None = None,
        *,
        static_fields: Mapping[str, Any] | None = None,
        rename_fields: Mapping[str, str] | None = None,
    ) -> None:
        """`static_fields` are in every record, `rename_fields` gives extras other names: as in python-json-logger."""
        super().__init__()
        self._static = {f"labels.{k}" if k in context.TAKEN else k: v for k, v in (static_fields or {}).items()}
        self._rename = dict(rename_fields or {})
        named = {"name": service, "version": version, "environment": environment}
        self._taken = context.TAKEN | self._static.keys()
        self._service = {name: value for name, value in named.items() if value}
        self._redactor = redactor or Redactor()
        self._second: tuple[int, bytes] = (-1, b"")
        self._places: dict[tuple[object, ...], bytes] = {}

    def format(self, record: logging.LogRecord) -> str:
        return self.format_bytes(record).decode()

    def format_bytes(self, record: logging.LogRecord) -> bytes:
        """Return the record as UTF-8 JSON, at most as long as a spool takes."""
        try:
            data = self._quickly(record)
            if data is not None:
                return data
        except Exception:  # noqa: BLE001, S110 - the careful road says what there is
            pass
        try:
            data = self._carefully(record)
        except Exception as error:  # noqa: BLE001 - whatever a record is made of, something of it arrives
            data = _remnant(record, error)
        try:
            return self._redactor.json(data, _BEHIND_TIME)
        except Exception as error:  # noqa: BLE001 - what was not redacted is not written
            return _remnant(logging.makeLogRecord({"msg": "a record that could not be redacted"}), error)

    def _quickly(self, record: logging.LogRecord) -> bytes | None:
        """Return the line of a usual record; None for one that needs care."""
        own = record.__dict__
        names = list(own)
        usual = len(_FIRST)
        if names[:usual] != _FIRST or record.exc_info or record.exc_text or record.stack_info:
            return None
        message, arguments = record.msg, record.args
        if type(message) is not str:
            return None
        if arguments:
            if type(arguments) is not tuple or not _SIMPLE.issuperset(map(type, arguments)):
                message = _message(record)
            else:
                message %= arguments
        head = _HEADS.get(record.levelno)
        if head is None or len(message) > _LONG:
            return None
        created = record.created
        second = int(created)
        known, stamp = self._second
        if known != second:
            stamp = time.strftime('{"@timestamp":"%Y-%m-%dT%H:%M:%S.', time.gmtime(second)).encode()
            self._second = (second, stamp)
        place = self._places.get((record.name, record.pathname, record.lineno, record.threadName, record.process))
        if place is None:
            place = self._learn(record)
        bound, traced, extra = context.current(), context.trace(), b""
        if len(names) > usual:
            said = {name: own[name] for name in names[usual:] if name not in _OWN}
            if self._rename:
                said = {self._rename.get(name, name): value for name, value in said.items()}
            if said:
                if not self._taken.isdisjoint(said) or not bound.fields.keys().isdisjoint(said) or traced:
                    return None
                extra = b"," + _dump(said)[1:-1]
        told = orjson.dumps(message)
        fraction = b"%06d" % int((created - second) * 1_000_000)
        data = b"".join((stamp, fraction, head, told, place, bound.json, traced, extra, b"}"))
        # the place in the source is no secret, and has names such as get_token in it
        if self._redactor.suspects(b"".join((told, bound.json, extra))):
            data = self._redactor.json(data, _BEHIND_TIME)
        return data if len(data) <= MAX_PAYLOAD_BYTES else None

    def _learn(self, record: logging.LogRecord) -> bytes:
        """Return, and keep, what is the same in all records of one place of the source and one thread."""
        written = b"," + harmless.dump(self._origin(record))[1:-1]
        if len(self._places) >= _MAX_PLACES:
            self._places.clear()
        self._places[(record.name, record.pathname, record.lineno, record.threadName, record.process)] = written
        return written

    def _origin(self, record: logging.LogRecord) -> dict[str, Any]:
        origin: dict[str, Any] = {
            "ecs.version": VERSION,
            "log": {
                "logger": _short(record.name),
                "origin": {
                    "file": {"name": _short(record.filename), "line": _short(record.lineno)},
                    "function": _short(record.funcName),
                },
            },
            "process": {"pid": _short(record.process), "thread": {"name": _short(record.threadName)}},
        }
        if self._service:
            origin["service"] = self._service
        return {**origin, **self._static}

    def _carefully(self, record: logging.LogRecord) -> bytes:
        document = self._document(record)
        data = _dump(document)
        if len(data) <= MAX_PAYLOAD_BYTES:
            return data
        return harmless.dump({**_shortened(document), "labels.truncated": f"{len(data)} bytes"})

    def _document(self, record: logging.LogRecord) -> dict[str, Any]:
        document: dict[str, Any] = {
            "@timestamp": _time(record.created),
            "log.level": _LEVELS.get(record.levelno) or level(record.levelno),
            "message": _message(record),
            **self._origin(record),
            **context.traced(),
            **context.current().fields,
        }
        if record.exc_info and record.exc_info[0] is not None:
            document["error"] = self._error(record.exc_info)
        elif record.exc_text is not None:
            document["error"] = {"stack_trace": harmless.text(record.exc_text)}
        if record.stack_info is not None:
            error, stack = document.setdefault("error", {}), harmless.text(record.stack_info)
            error["stack_trace"] = f"{error['stack_trace']}\n{stack}" if error else stack
        for name, value in record.__dict__.items():
            if name not in _OWN:
                called = self._rename.get(name, name)
                # an extra never takes the place of what the record itself says
                document[called if called not in context.TAKEN else f"labels.{called}"] = value
        return document

    def _error(self, info: _Exception) -> dict[str, Any]:
        kind, error, frames = info
        if not harmless.is_bounded(error):
            name = kind.__name__ if kind else ""
            where = "".join(traceback.format_tb(frames))
            return {"type": name, "message": f"<{name} without end>", "stack_trace": f"{where}{name}"}
        try:
            stack = self.formatException(info)
        except Exception as failed:  # noqa: BLE001 - a broken __str__ or __notes__ of an exception costs its text only
            stack = f"(its traceback cannot be written: {type(failed).__name__})"
        return {
            "type": kind.__name__ if kind else "",
            "message": harmless.text(error),
            "stack_trace": stack,
        }


def _short(value: object) -> object:
    """Return a number as it is, anything else as a text that is not long."""
    return value if value is None or type(value) is int else harmless.text(value)[:1024]


def _shortened(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return the document with its long texts cut, and without other long values when there is no room for them."""
    kept: dict[str, Any] = {}
    left = MAX_PAYLOAD_BYTES // 2
    for name, value in document.items():
        if type(value) is str:
            value = harmless.text(value)[:_CUT_CHARACTERS]
        elif name == "error" and isinstance(value, dict):
            value = {each: harmless.text(said)[:_CUT_CHARACTERS] for each, said in value.items()}
        size = len(name) + len(harmless.dump(value))
        if size <= left:
            kept[name] = value
            left -= size
    return kept


def _dump(fields: dict[str, Any]) -> bytes:
    data = _written(fields)
    # a null may have been a number that JSON has no word for
    if b"null" in data and harmless.is_bounded(fields) and (names := harmless.not_finite(fields)):
        return _written({**fields, "labels.sanitized": ", ".join(map(harmless.text, names))[:1024]})
    return data


def _written(fields: dict[str, Any]) -> bytes:
    if _SIMPLE.issuperset(map(type, fields.values())):
        try:
            return orjson.dumps(fields)
        except orjson.JSONEncodeError:
            pass  # a number beyond 64 bits, half a character
    return harmless.dump(fields)


def guarded_record(*arguments: Any, **named: Any) -> logging.LogRecord:
    """Return the record, as logging makes it; where its arguments cannot even be looked at, one that says so.

    For `logging.setLogRecordFactory`: without it such a call raises into the application.
    """
    try:
        return logging.LogRecord(*arguments, **named)
    except Exception as error:  # noqa: BLE001 - whatever an argument's attributes raise
        name, number, path, line, message, _, *rest = arguments
        told = f"{harmless.text(message)} (its arguments cannot be read: {type(error).__name__})"
        return logging.LogRecord(name, number, path, line, told, (), *rest, **named)


def level(number: object) -> str:
    """Return the name of the nearest of logging's levels below; info for what is no number."""
    if not isinstance(number, (int, float)) or math.isnan(number):
        return "info"
    return _LEVELS[int(min(max(number // 10 * 10, 10), 50))]


def _message(record: logging.LogRecord) -> str:
    """Return the message; when its arguments do not fit, or cannot be text, the message without them."""
    arguments = record.args
    try:
        if arguments:
            values = arguments.values() if isinstance(arguments, Mapping) else arguments
            for each in values:
                if type(each) not in _SIMPLE and not harmless.is_bounded(each):
                    return f"{harmless.text(record.msg)} (its arguments are endless: {type(each).__name__})"
        elif not harmless.is_bounded(record.msg):
            return f"<{type(record.msg).__name__} without end>"
        return str(record.getMessage())
    except Exception as error:  # noqa: BLE001 - whatever an argument's __str__ raises, the record is not lost
        return f"{harmless.text(record.msg)} (its arguments cannot be written: {type(error).__name__})"


def _time(created: float) -> str:
    try:
        second = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(created))
        return f"{second}.{int(created % 1 * 1_000_000):06d}Z"
    except (TypeError, ValueError, OverflowError, OSError):
        return _time(time.time())


def _remnant(record: logging.LogRecord, error: Exception) -> bytes:
    """Return what can be said for sure of a record that could not be written."""
    try:
        name = harmless.text(getattr(record, "msg", ""))[:10_000]
    except Exception:  # noqa: BLE001 - not even an attribute can be read
        name = ""
    document = {
        "@timestamp": _time(time.time()),
        "log.level": "error",
        "message": Redactor().text(name),
        "ecs.version": VERSION,
        "error": {"type": type(error).__name__, "message": "a record that cannot be written"},
    }
    return orjson.dumps(document)
