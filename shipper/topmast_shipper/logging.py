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
from topmast_shipper.records import MAX_PAYLOAD_BYTES, SYNC_SECONDS, Writer
from topmast_shipper.redaction import Redactor
from topmast_shipper.spool_bound import ACTION, MAX_BYTES, WHEN_FULL, Bound, Dropped

__all__ = ["EcsFormatter", "SpoolHandler", "configure_logging"]

# What the environment may say instead of an argument. OTEL_*: OpenTelemetry's own names.
ENVIRONMENT_SPOOL = "TOPMAST_SPOOL"
ENVIRONMENT_SYNC = "TOPMAST_SPOOL_SYNC"
ENVIRONMENT_MAX_BYTES = "TOPMAST_SPOOL_MAX_BYTES"
ENVIRONMENT_WHEN_FULL = "TOPMAST_SPOOL_WHEN_FULL"
ENVIRONMENT_SERVICE = "TOPMAST_SERVICE"
ENVIRONMENT_LEVEL = "TOPMAST_LOG_LEVEL"
ENVIRONMENT_RATE = "TOPMAST_LOG_RATE"
ENVIRONMENT_REDACT = "TOPMAST_REDACT"
ENVIRONMENT_CONTENT = "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"
_ATTRIBUTES = "OTEL_RESOURCE_ATTRIBUTES"


class SpoolHandler(logging.Handler):
    """Appends each record to a spool: one write, no thread; safe across threads, processes and forks.

    What it cannot write is dropped and counted (`dropped`), the application goes on, and a record in the spool tells
    how many as soon as there is room.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        service: str = "",
        formatter: EcsFormatter | None = None,
        *,
        sync: str = "none",
        max_bytes: int = MAX_BYTES,
        when_full: str = "drop_new",
    ) -> None:
        """`sync`: `none`, `interval` or `always`, for a power cut; a killed process loses nothing with each.

        `max_bytes` is what all segments in the folder may hold; `when_full`: `drop_new` or `drop_oldest`.

        Raises ConfigError for a value that is none.
        """
        super().__init__()
        if sync not in SYNC_SECONDS:
            raise ConfigError(f"sync: not one of {', '.join(SYNC_SECONDS)}: {sync!r}")
        if max_bytes < 1:
            raise ConfigError(f"max_bytes: not a number of bytes: {max_bytes!r}")
        if when_full not in WHEN_FULL:
            raise ConfigError(f"when_full: not one of {', '.join(WHEN_FULL)}: {when_full!r}")
        self._ecs = formatter or EcsFormatter(service)
        self.setFormatter(self._ecs)
        self._dropped = Dropped()
        bound = Bound(max_bytes, when_full, self._dropped.add)
        self._writer = Writer(
            os.fspath(path), _file_name(service), bound.segment_bytes, sync=sync, make_room=bound.make_room
        )

    @property
    def dropped(self) -> int:
        """How many records this process has dropped."""
        return self._dropped.total

    def emit(self, record: logging.LogRecord) -> None:
        try:
            if self.formatter is self._ecs:
                payload = self._ecs.format_bytes(record)
            else:
                payload = self.format(record).encode("utf-8", "replace")[:MAX_PAYLOAD_BYTES]
            try:
                if self._dropped.untold:
                    self._append_after_a_gap(payload)
                else:
                    self._writer.append(payload)
            except OSError as error:
                if self._dropped.add(1, error.strerror or str(error)):
                    raise  # the first of a gap is told on standard error too, while the spool cannot
        except Exception:  # noqa: BLE001 - logging's own guard: it tells standard error, and the application goes on
            self.handleError(record)

    def close(self) -> None:
        self.acquire()
        try:
            if count := self._dropped.to_tell():
                self._tell_at_the_end(count)
            self._writer.close()
        except OSError:
            self.handleError(logging.makeLogRecord({"msg": "the end of the spool could not be synced"}))
        finally:
            self.release()
        super().close()

    def _append_after_a_gap(self, payload: bytes) -> None:
        count = self._dropped.to_tell()
        told = [self._ecs.format_bytes(_gap(count, self._dropped))] if count else []
        # with one write: in what room there is, the telling takes no record's place
        self._writer.append_many([*told, payload])
        self._dropped.told(count)

    def _tell_at_the_end(self, count: int) -> None:
        gap = _gap(count, self._dropped)
        try:
            self._writer.append(self._ecs.format_bytes(gap))
            self._dropped.told(count)
        except OSError:
            self.handleError(gap)


def configure_logging(
    service: str = "",
    *,
    version: str = "",
    environment: str = "",
    spool: str | os.PathLike[str] | None = None,
    spool_sync: str | None = None,
    spool_max_bytes: int | None = None,
    spool_when_full: str | None = None,
    level: int | str | None = None,
    stream: TextIO | None = None,
    redact: Sequence[str] = (),
    rate_limits: Mapping[str, float] | None = None,
    environ: Mapping[str, str] = os.environ,
) -> logging.Handler:
    """Send the root logger's records to a spool, or as JSON lines to a stream; return the handler.

    Without `spool`, TOPMAST_SPOOL names it, and without both the records go to `stream` (standard error);
    `spool_sync` and the like are those of SpoolHandler. `redact`: regular expressions beside those of
    redaction.py; `rate_limits`: records a second by logger. What is not given is read from TOPMAST_SERVICE,
    TOPMAST_SPOOL_SYNC, TOPMAST_SPOOL_MAX_BYTES, TOPMAST_SPOOL_WHEN_FULL, TOPMAST_LOG_LEVEL, TOPMAST_REDACT (an
    expression), TOPMAST_LOG_RATE (`chatty=10,other.one=50`) and OTEL_RESOURCE_ATTRIBUTES. Called again, it replaces
    what it set up before.
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
        handler = SpoolHandler(
            folder,
            service,
            formatter,
            sync=spool_sync or environ.get(ENVIRONMENT_SYNC) or "none",
            max_bytes=_max_bytes(environ) if spool_max_bytes is None else spool_max_bytes,
            when_full=spool_when_full or environ.get(ENVIRONMENT_WHEN_FULL) or "drop_new",
        )
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
        # a filter is asked before the handler is locked
        handler.acquire()
        try:
            handler.emit(logging.makeLogRecord(told))
        finally:
            handler.release()

    limit = RateLimit(limits, time.monotonic, report)
    handler.addFilter(limit)
    return limit


def _gap(count: int, dropped: Dropped) -> logging.LogRecord:
    """Return the record that tells how many are missing before it, and how many since the process began."""
    told = {
        "name": __name__,
        "msg": "records were dropped: %d: %s",
        "args": (count, dropped.why),
        "levelno": logging.ERROR,
        "levelname": "ERROR",
        "event.action": ACTION,
        "labels.dropped": count,
        "labels.dropped_total": dropped.total,
    }
    return logging.makeLogRecord(told)


def _max_bytes(environ: Mapping[str, str]) -> int:
    text = environ.get(ENVIRONMENT_MAX_BYTES) or str(MAX_BYTES)
    try:
        return int(text)
    except ValueError as error:
        raise ConfigError(f"{ENVIRONMENT_MAX_BYTES}: not a number of bytes: {text[:80]!r}") from error


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
