"""loguru's messages as records: `logger.add(sink(handler))`, with the handler that configure_logging returned.

Source: loguru's record dict (loguru.readthedocs.io, "The record dict").
"""

import logging
from collections.abc import Callable
from typing import Any

_OWN = frozenset(vars(logging.LogRecord("", 0, "", 0, "", (), None))) | {"message", "asctime", "taskName"}


def sink(handler: logging.Handler) -> Callable[[Any], None]:
    """Return a sink that hands each message to a logging handler, with its fields, place and exception."""

    def write(message: Any) -> None:
        handler.handle(record(message.record))

    return write


def record(told: dict[str, Any]) -> logging.LogRecord:
    """Return loguru's record as logging's."""
    fields = {f"labels.{name}" if name in _OWN else name: value for name, value in told["extra"].items()}
    exception = told["exception"]
    return logging.makeLogRecord(
        {
            "name": told["name"] or "",
            "msg": told["message"],
            "levelno": told["level"].no,
            "levelname": told["level"].name,
            "created": told["time"].timestamp(),
            "pathname": told["file"].path,
            "filename": told["file"].name,
            "lineno": told["line"],
            "funcName": told["function"],
            "process": told["process"].id,
            "threadName": told["thread"].name,
            "exc_info": (exception.type, exception.value, exception.traceback) if exception else None,
            **fields,
        }
    )
