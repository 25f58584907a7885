"""The shop's two logs: JSON lines in ECS shape, and an access log as nginx writes it. Both rotate by size.

Field names: https://www.elastic.co/guide/en/ecs/current/ecs-field-reference.html. Access lines: nginx's `combined`.
A request has a request id (the caller's `x-request-id`, else a new one) and a trace id (W3C `traceparent`); every
line that is logged while it is served carries both.
"""

import json
import logging
import re
import secrets
import time
from collections.abc import Mapping
from contextvars import ContextVar
from datetime import UTC, datetime
from logging.handlers import RotatingFileHandler
from pathlib import Path
from types import MappingProxyType
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from reference_app import __version__

SERVICE = "shop"
_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_TRACEPARENT = re.compile(r"00-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}")
# What one log call may add: `log.info("…", extra={"ecs": {"order": {"id": 7}}})`.
_EXTRA = "ecs"

_NOTHING: Mapping[str, Any] = MappingProxyType({})
_context: ContextVar[Mapping[str, Any]] = ContextVar("request", default=_NOTHING)

log = logging.getLogger("shop.http")


class EcsFormatter(logging.Formatter):
    """One JSON object a line, nested as ECS has it."""

    def format(self, record: logging.LogRecord) -> str:
        at = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        line: dict[str, Any] = {
            "@timestamp": at.replace("+00:00", "Z"),
            "log": {"level": record.levelname.lower(), "logger": record.name},
            "message": record.getMessage(),
            "service": {"name": SERVICE, "version": __version__},
            "ecs": {"version": "8.11.0"},
            **_context.get(),
            **getattr(record, _EXTRA, {}),
        }
        if record.exc_info and record.exc_info[0]:
            line["error"] = {
                "type": record.exc_info[0].__name__,
                "message": str(record.exc_info[1]),
                "stack_trace": self.formatException(record.exc_info),
            }
        return json.dumps(line, default=str)


def start_logging(folder: Path, max_bytes: int, files: int) -> logging.Handler:
    """Log to `folder`/app.log; return the handler that RequestLog writes access.log with.

    Each file is renamed to `.1`, `.2`, … at `max_bytes`; `files` old ones are kept.
    """
    folder.mkdir(parents=True, exist_ok=True)
    lines = RotatingFileHandler(folder / "app.log", maxBytes=max_bytes, backupCount=files, encoding="utf-8")
    lines.setFormatter(EcsFormatter())
    # A failed request is logged here, with its ids: the server need not say it again.
    logging.getLogger("uvicorn.error").addFilter(lambda record: "Exception in ASGI" not in record.getMessage())
    root = logging.getLogger()
    root.handlers = [lines]
    root.setLevel(logging.INFO)
    for chatty in ("httpx", "httpx2", "httpcore", "httpcore2", "openai", "psycopg.pool", "uvicorn.access"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
    access = RotatingFileHandler(folder / "access.log", maxBytes=max_bytes, backupCount=files, encoding="utf-8")
    access.setFormatter(logging.Formatter("%(message)s"))
    return access


class RequestLog:
    """ASGI middleware: ids for every request, one access line and one JSON line when it is done."""

    def __init__(self, app: ASGIApp, access: logging.Handler) -> None:
        self._app = app
        self._access = access

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        traced = _TRACEPARENT.fullmatch(headers.get("traceparent", ""))
        named = headers.get("x-request-id", "")
        request_id = named if _REQUEST_ID.fullmatch(named) else secrets.token_hex(8)
        token = _context.set(
            {
                "trace": {"id": traced[1] if traced else secrets.token_hex(16)},
                "http": {"request": {"id": request_id, "method": scope.get("method", "GET")}},
                "url": {"path": scope["path"]},
            }
        )
        try:
            if scope["type"] == "http":
                await self._serve(scope, receive, send, headers, request_id)
            else:
                await self._app(scope, receive, send)
        finally:
            _context.reset(token)

    async def _serve(
        self, scope: Scope, receive: Receive, send: Send, headers: Mapping[str, str], request_id: str
    ) -> None:
        started = time.perf_counter()
        status, size = 500, 0

        async def watch(message: Message) -> None:
            nonlocal status, size
            if message["type"] == "http.response.start":
                status = message["status"]
                message = {**message, "headers": [*message["headers"], (b"x-request-id", request_id.encode())]}
            elif message["type"] == "http.response.body":
                size += len(message.get("body", b""))
            await send(message)

        try:
            await self._app(scope, receive, watch)
        except Exception:
            log.exception("request failed", extra={_EXTRA: _done(scope, request_id, 500, size, started)})
            raise
        finally:
            self._access_line(scope, headers, status, size)
        if scope["path"] in ("/health", "/metrics"):
            return  # every few seconds, and of no interest
        done = _done(scope, request_id, status, size, started)
        if status >= 500:
            # A constant message: one kind of error, whatever the path.
            log.error("request failed", extra={_EXTRA: done})
        else:
            level = logging.WARNING if status in (409, 429) else logging.INFO
            log.log(level, "%s %s answered %d", scope["method"], scope["path"], status, extra={_EXTRA: done})

    def _access_line(self, scope: Scope, headers: Mapping[str, str], status: int, size: int) -> None:
        client = headers.get("x-forwarded-for", "").split(",")[0].strip() or (scope.get("client") or ("-",))[0]
        query = scope["query_string"].decode("latin-1")
        target = scope["path"] + (f"?{query}" if query else "")
        at = datetime.now(UTC).strftime("%d/%b/%Y:%H:%M:%S %z")
        line = (
            f'{_quoted(client)} - - [{at}] "{scope["method"]} {_quoted(target)} HTTP/{scope["http_version"]}" '
            f'{status} {size} "{_quoted(headers.get("referer", "-"))}" "{_quoted(headers.get("user-agent", "-"))}"'
        )
        self._access.handle(logging.LogRecord("access", logging.INFO, "", 0, line, None, None))


def _quoted(text: str) -> str:
    # nginx escapes what would break the line: quotes, backslashes, control characters.
    return "".join(
        f"\\x{ord(char):02X}" if char in '"\\' or ord(char) < 0x20 or ord(char) == 0x7F else char
        for char in text[:2000]
    )


def _done(scope: Scope, request_id: str, status: int, size: int, started: float) -> dict[str, Any]:
    return {
        "http": {
            "request": {"id": request_id, "method": scope["method"]},
            "response": {"status_code": status, "body": {"bytes": size}},
        },
        "event": {"duration": round((time.perf_counter() - started) * 1e9)},  # ECS: nanoseconds
    }
