"""Logging for applications: `configure_logging(service="shop")` is all that it takes.

Records become ECS JSON (formatter.py) without secrets (redaction.py), and go to a spool that a shipper follows, with
one write each and no thread; or to a stream. No record is lost to what is in it (SHIPPING.md section 1.8).
"""

import logging
import os
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TextIO

from topmast_shipper.errors import ConfigError
from topmast_shipper.formatter import EcsFormatter, guarded_record
from topmast_shipper.ratelimit import RateLimit
from topmast_shipper.records import MAX_PAYLOAD_BYTES, Writer
from topmast_shipper.redaction import Redactor

__all__ = ["EcsFormatter", "SpoolHandler", "configure_logging"]

# What the environment may say instead of an argument. OTEL_*: OpenTelemetry's own names.
ENVIRONMENT_SPOOL = "TOPMAST_SPOOL"
ENVIRONMENT_SERVICE = "TOPMAST_SERVICE"
ENVIRONMENT_LEVEL = "TOPMAST_LOG_LEVEL"
ENVIRONMENT_RATE = "TOPMAST_LOG_RATE"
ENVIRONMENT_REDACT = "TOPMAST_REDACT"
ENVIRONMENT_CONTENT = "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"
_ATTRIBUTES = "OTEL_RESOURCE_ATTRIBUTES"


class SpoolHandler(logging.Handler):
    """Appends each record to a spool: one write, no thread; safe across threads, processes and forks."""

    def __init__(
        self, path: str | os.PathLike[str], service: str = "", formatter: EcsFormatter | None = None
    ) -> None:
        super().__init__()
        self._ecs = formatter or EcsFormatter(service)
        self.setFormatter(self._ecs)
        self._writer = Writer(os.fspath(path), _file_name(service))

    def emit(self, record: logging.LogRecord) -> None:
        try:
            if self.formatter is self._ecs:
                payload = self._ecs.format_bytes(record)
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
    version: str = "",
    environment: str = "",
    spool: str | os.PathLike[str] | None = None,
    level: int | str | None = None,
    stream: TextIO | None = None,
    redact: Sequence[str] = (),
    rate_limits: Mapping[str, float] | None = None,
    environ: Mapping[str, str] = os.environ,
) -> logging.Handler:
    """Send the root logger's records to a spool, or as JSON lines to a stream; return the handler.

    Without `spool`, TOPMAST_SPOOL names it, and without both the records go to `stream` (standard error). `redact`:
    regular expressions beside those of redaction.py; `rate_limits`: records a second by logger. What is not given is
    read from TOPMAST_SERVICE, TOPMAST_LOG_LEVEL, TOPMAST_REDACT (an expression), TOPMAST_LOG_RATE
    (`chatty=10,other.one=50`) and OTEL_RESOURCE_ATTRIBUTES. Called again, it replaces what it set up before.
    Raises ConfigError for a value that is none.
    """
    attributes = _attributes(environ)
    service = service or environ.get(ENVIRONMENT_SERVICE) or environ.get("OTEL_SERVICE_NAME", "")
    service = service or attributes.get("service.name", "") or Path(sys.argv[0] or "python").stem
    own = environ.get(ENVIRONMENT_REDACT)
    try:
        redactor = Redactor(
            [*redact, *([own] if own else [])], content=environ.get(ENVIRONMENT_CONTENT, "").lower() == "true"
        )
    except ValueError as error:
        raise ConfigError(str(error)) from error
    version = version or attributes.get("service.version", "")
    for name in ("deployment.environment.name", "deployment.environment"):
        environment = environment or attributes.get(name, "")
    formatter = EcsFormatter(service, version, environment, redactor)
    folder = spool or environ.get(ENVIRONMENT_SPOOL)
    handler: logging.Handler
    if folder:
        handler = SpoolHandler(folder, service, formatter)
    else:
        handler = logging.StreamHandler(stream)
        handler.setFormatter(formatter)
    limits = rate_limits if rate_limits is not None else _rates(environ.get(ENVIRONMENT_RATE, ""))
    if limits:
        limit_rates(handler, limits)
    if logging.getLogRecordFactory() is logging.LogRecord:
        logging.setLogRecordFactory(guarded_record)
    root = logging.getLogger()
    for each in list(root.handlers):
        if isinstance(each.formatter, EcsFormatter):
            root.removeHandler(each)
            each.close()
    root.addHandler(handler)
    chosen = level if level is not None else environ.get(ENVIRONMENT_LEVEL, "").upper() or logging.INFO
    try:
        root.setLevel(chosen)
    except ValueError as error:
        raise ConfigError(f"{ENVIRONMENT_LEVEL}: not a level: {chosen!r}; DEBUG, INFO, WARNING, ERROR") from error
    return handler


def limit_rates(handler: logging.Handler, limits: Mapping[str, float]) -> RateLimit:
    """Limit what a handler takes to so many records a second by logger name; return the filter.

    How many were dropped is written to the handler itself, before the next record that passes.
    """

    def report(name: str, dropped: int) -> None:
        told = {
            "name": name or "root",
            "msg": "records over the rate limit were dropped: %d",
            "args": (dropped,),
            "levelno": logging.WARNING,
            "levelname": "WARNING",
            "event.action": "rate_limited",
            "labels.dropped": dropped,
        }
        handler.emit(logging.makeLogRecord(told))

    limit = RateLimit(limits, time.monotonic, report)
    handler.addFilter(limit)
    return limit


def _attributes(environ: Mapping[str, str]) -> dict[str, str]:
    """Return OTEL_RESOURCE_ATTRIBUTES: `service.version=1.2,deployment.environment.name=staging`."""
    pairs = (each.partition("=") for each in environ.get(_ATTRIBUTES, "").split(","))
    return {name.strip(): value.strip() for name, _, value in pairs if value}


def _rates(text: str) -> dict[str, float]:
    rates: dict[str, float] = {}
    for each in filter(None, text.split(",")):
        name, _, number = each.rpartition("=")
        try:
            rates[name.strip()] = float(number)
        except ValueError as error:
            raise ConfigError(f"{ENVIRONMENT_RATE}: not NAME=RECORDS_A_SECOND: {each[:80]!r}") from error
    return rates


def _file_name(service: str) -> str:
    return "".join(each if each.isalnum() and each.isascii() else "-" for each in service) or "app"
