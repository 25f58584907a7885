"""Logging for applications: `configure_logging(service="shop")` is all that it takes.

Records become ECS JSON (SHIPPING.md section 4) and go to a spool that a shipper follows, with one write each and no
thread; or to a stream. No record is lost to what is in it, and none becomes invalid JSON (section 1.8).
"""

import logging
import os
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, TextIO

from topmast_shipper import harmless
from topmast_shipper.ecs import VERSION
from topmast_shipper.records import MAX_PAYLOAD_BYTES, Writer

# What every record has (logging.LogRecord); the rest came with `extra`.
_OWN = frozenset(vars(logging.LogRecord("", 0, "", 0, "", (), None))) | {"message", "asctime", "taskName"}
_LEVELS = {
    logging.DEBUG: "debug",
    logging.INFO: "info",
    logging.WARNING: "warning",
    logging.ERROR: "error",
    logging.CRITICAL: "critical",
}
ENVIRONMENT_SPOOL = "TOPMAST_SPOOL"
ENVIRONMENT_SERVICE = "TOPMAST_SERVICE"
_Exception = tuple[type[BaseException], BaseException, TracebackType | None] | tuple[None, None, None]


class EcsFormatter(logging.Formatter):
    """Writes a record as one line of ECS JSON. Never raises, never loses the record."""

    def __init__(self, service: str = "", version: str = "", environment: str = "") -> None:
        super().__init__()
        named = {"name": service, "version": version, "environment": environment}
        self._service = {name: value for name, value in named.items() if value}

    def format(self, record: logging.LogRecord) -> str:
        return self.format_bytes(record).decode()

    def format_bytes(self, record: logging.LogRecord) -> bytes:
        """Return the record as UTF-8, at most as long as a spool takes."""
        document = self._document(record)
        data = harmless.dump(document)
        if len(data) <= MAX_PAYLOAD_BYTES:
            return data
        cut = document | {"message": str(document["message"])[: MAX_PAYLOAD_BYTES // 16]}
        for name in record.__dict__.keys() - _OWN:
            cut.pop(name, None)
        cut["labels"] = {"truncated": f"{len(data)} bytes"}
        if isinstance(cut.get("error"), dict):
            cut["error"] = {name: str(value)[: MAX_PAYLOAD_BYTES // 64] for name, value in cut["error"].items()}
        return harmless.dump(cut)

    def _document(self, record: logging.LogRecord) -> dict[str, Any]:
        created = record.created
        second = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(created))
        document: dict[str, Any] = {
            "@timestamp": f"{second}.{int(created % 1 * 1_000_000):06d}Z",
            "log.level": _LEVELS.get(record.levelno) or _level(record.levelno),
            "message": _message(record),
            "ecs.version": VERSION,
            "log": {
                "logger": record.name,
                "origin": {"file": {"name": record.filename, "line": record.lineno}, "function": record.funcName},
            },
            "process": {"pid": record.process, "thread": {"name": record.threadName}},
        }
        if self._service:
            document["service"] = self._service
        if record.exc_info and record.exc_info[0] is not None:
            document["error"] = self._error(record.exc_info)
        elif record.exc_text or record.stack_info:
            document["error"] = {"stack_trace": record.exc_text or record.stack_info}
        if len(record.__dict__) > len(_OWN) - 3:
            for name, value in record.__dict__.items():
                if name not in _OWN:
                    # an extra never takes the place of what the record itself says
                    document[name if name not in document else f"labels.{name}"] = value
        return document

    def _error(self, info: _Exception) -> dict[str, Any]:
        kind, error, _ = info
        try:
            stack = self.formatException(info)
        except Exception as failed:  # noqa: BLE001 - a broken __str__ or __notes__ of an exception costs its text only
            stack = f"(its traceback cannot be written: {type(failed).__name__})"
        return {
            "type": kind.__name__ if kind else "",
            "message": harmless.text(error),
            "stack_trace": stack,
        }


class SpoolHandler(logging.Handler):
    """Appends each record to a spool: one write, no thread; safe across threads, processes and forks."""

    def __init__(self, path: str | os.PathLike[str], service: str = "") -> None:
        super().__init__()
        self.setFormatter(EcsFormatter(service))
        self._writer = Writer(os.fspath(path), _file_name(service))

    def emit(self, record: logging.LogRecord) -> None:
        try:
            formatter = self.formatter
            if isinstance(formatter, EcsFormatter):
                payload = formatter.format_bytes(record)
            else:
                payload = self.format(record).encode("utf-8", "replace")[:MAX_PAYLOAD_BYTES]
            self._writer.append(payload)
        except Exception:  # noqa: BLE001 - logging's own guard: it tells standard error, and the application goes on
            self.handleError(record)

    def close(self) -> None:
        self.acquire()
        try:
            self._writer.close()
        finally:
            self.release()
        super().close()


def configure_logging(
    service: str = "",
    *,
    spool: str | os.PathLike[str] | None = None,
    level: int | str = logging.INFO,
    stream: TextIO | None = None,
    environ: Mapping[str, str] = os.environ,
) -> logging.Handler:
    """Send the root logger's records to a spool, or as JSON lines to a stream; return the handler.

    Without `spool`, TOPMAST_SPOOL names it, and without both the records go to `stream` (standard error). Called
    again, it takes the place of what it set up before.
    """
    service = service or environ.get(ENVIRONMENT_SERVICE, "") or Path(sys.argv[0] or "python").stem
    folder = spool or environ.get(ENVIRONMENT_SPOOL)
    handler: logging.Handler
    if folder:
        handler = SpoolHandler(folder, service)
    else:
        handler = logging.StreamHandler(stream)
        handler.setFormatter(EcsFormatter(service))
    root = logging.getLogger()
    for each in list(root.handlers):
        if isinstance(each.formatter, EcsFormatter):
            root.removeHandler(each)
            each.close()
    root.addHandler(handler)
    root.setLevel(level)
    return handler


def _message(record: logging.LogRecord) -> str:
    """Return the message; when its arguments do not fit, or cannot be text, the message without them."""
    try:
        return record.getMessage()
    except Exception as error:  # noqa: BLE001 - whatever an argument's __str__ raises, the record is not lost
        return f"{harmless.text(record.msg)} (its arguments cannot be written: {type(error).__name__})"


def _level(number: int) -> str:
    return _LEVELS[min(max(number // 10 * 10, 10), 50)]


def _file_name(service: str) -> str:
    return "".join(each if each.isalnum() and each.isascii() else "-" for each in service) or "app"
