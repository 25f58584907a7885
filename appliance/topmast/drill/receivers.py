"""Capturing receivers: they speak Slack's, PagerDuty's, a webhook's and SMTP's protocol, and refuse what those do.

Sources: Slack's incoming webhooks (answers `ok`, or 400 with `invalid_payload`, `no_text`), PagerDuty's Events API
v2 (202, or 400 `invalid event`), RFC 5321. A receiver is told by the path, or by the mail's recipient:
`/WORLD/slack/RECEIVER`, `RECEIVER@WORLD.drill.invalid`.
"""

import asyncio
import json
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

from topmast.layout import LOOPBACK
from topmast.page import channels
from topmast.page.inbox import Notification, now

if TYPE_CHECKING:
    from aiosmtpd.smtp import SMTP, Envelope, Session

DOMAIN = "drill.invalid"
MAX_BYTES = 2_000_000
_KEPT = 20_000
"""Messages at the most: a world that goes mad must not fill the memory."""
# Events API v2: the limits of its fields.
_SUMMARY = 1024
_SEVERITIES = ("critical", "error", "warning", "info")
# Slack: a message's text, and the attachments of one message.
_SLACK_TEXT = 40_000
_ATTACHMENTS = 100


@dataclass(frozen=True)
class Message:
    """One message as it arrived, with what its service would have answered."""

    world: str
    notification: Notification
    at: float
    """Monotonic seconds."""
    refused: str = ""
    """Why the real service would not have taken it; "" when it would."""
    html: str = ""
    """A mail's HTML part."""


@dataclass
class Capture:
    """What has arrived so far."""

    http: str = ""
    """The HTTP receivers' base URL."""
    smtp: str = ""
    """HOST:PORT."""
    changed: threading.Condition = field(default_factory=threading.Condition)
    messages: list[Message] = field(default_factory=list)

    def add(self, message: Message) -> None:
        with self.changed:
            if len(self.messages) < _KEPT:
                self.messages.append(message)
            self.changed.notify_all()

    def of(self, world: str) -> list[Message]:
        with self.changed:
            return [each for each in self.messages if each.world == world]


def slack_refuses(body: Mapping[str, Any]) -> str:
    """Return why Slack would refuse a message."""
    attachments = body.get("attachments", [])
    if not isinstance(attachments, list) or not all(isinstance(each, dict) for each in attachments):
        return "invalid_attachments"
    if len(attachments) > _ATTACHMENTS:
        return "too_many_attachments"
    texts = [str(body.get("text") or ""), *(str(each.get("text") or each.get("title") or "") for each in attachments)]
    if not any(text.strip() for text in texts):
        return "no_text"
    return "msg_too_long" if max(map(len, texts)) > _SLACK_TEXT else ""


def pagerduty_refuses(body: Mapping[str, Any]) -> str:
    """Return why PagerDuty would refuse an event."""
    action = body.get("event_action")
    if not body.get("routing_key"):
        return "routing_key is missing"
    if action not in ("trigger", "acknowledge", "resolve"):
        return f"event_action is {str(action)[:40]!r}"
    if action != "trigger":
        return "" if body.get("dedup_key") else "dedup_key is missing"
    payload = body.get("payload")
    if not isinstance(payload, Mapping):
        return "payload is missing"
    for name in ("summary", "source", "severity"):
        if not str(payload.get(name) or "").strip():
            return f"payload.{name} is missing"
    if len(str(payload["summary"])) > _SUMMARY:
        return "payload.summary is too long"
    return "" if payload["severity"] in _SEVERITIES else f"payload.severity is {str(payload['severity'])[:40]!r}"


def _nothing(body: Mapping[str, Any]) -> str:  # noqa: ARG001 - a webhook takes every object
    return ""


_REFUSES: Mapping[str, Callable[[Mapping[str, Any]], str]] = {
    "slack": slack_refuses,
    "pagerduty": pagerduty_refuses,
    "webhook": _nothing,
}


def answer(channel: str, body: Mapping[str, Any], refused: str) -> tuple[int, str, str]:
    """Return the status, the content type and the text with which the real service answers."""
    if channel == "pagerduty":
        if refused:
            told = {"status": "invalid event", "message": "Event object is invalid", "errors": [refused]}
            return 400, "application/json", json.dumps(told)
        key = str(body.get("dedup_key", ""))
        told = {"status": "success", "message": "Event processed", "dedup_key": key}
        return 202, "application/json", json.dumps(told)
    return (400, "text/plain", refused) if refused else (200, "text/plain", "ok")


@contextmanager
def receiving() -> Iterator[Capture]:
    """Yield what arrives at the receivers, which listen on this machine only."""
    capture = Capture()
    server = _Server((LOOPBACK, 0), capture)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    capture.http = f"http://{LOOPBACK}:{server.server_port}"
    try:
        with _mail(capture) as address:
            capture.smtp = address
            yield capture
    finally:
        server.shutdown()
        server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    # Pass B sends fifty messages in one second.
    request_queue_size = 128

    def __init__(self, address: tuple[str, int], capture: Capture) -> None:
        super().__init__(address, _Door)
        self.capture = capture

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of a sender that hung up: an Alertmanager that is ended does."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


class _Door(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 30
    server: _Server

    def do_POST(self) -> None:
        parts = self.path.strip("/").split("/")
        length = int(self.headers.get("content-length") or 0)
        if len(parts) != 3 or parts[1] not in _REFUSES or not 0 < length <= MAX_BYTES:
            self.close_connection = True
            self._say(404, "text/plain", "no such receiver")
            return
        world, channel, receiver = parts
        try:
            body = json.loads(self.rfile.read(length))
        except ValueError:
            body = None
        if not isinstance(body, dict):
            self._say(400, "text/plain", "invalid_payload")
            return
        refused = _REFUSES[channel](body)
        note = channels.CHANNELS[channel](receiver, body, now())
        self.server.capture.add(Message(world, note, time.monotonic(), refused))
        self._say(*answer(channel, body, refused))

    def _say(self, status: int, kind: str, text: str) -> None:
        raw = text.encode()
        with suppress(ConnectionError):
            self.send_response(status)
            self.send_header("content-type", kind)
            self.send_header("content-length", str(len(raw)))
            self.end_headers()
            self.wfile.write(raw)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


class _Mailbox:
    """aiosmtpd's handler."""

    def __init__(self, capture: Capture) -> None:
        self.capture = capture

    async def handle_DATA(self, server: "SMTP", session: "Session", envelope: "Envelope") -> str:  # noqa: ARG002, N802 - aiosmtpd's signature
        content = envelope.content
        receiver, _, domain = (envelope.rcpt_tos or [""])[0].partition("@")
        if not isinstance(content, bytes) or not domain.endswith(f".{DOMAIN}"):
            return "550 no such mailbox"
        note = channels.email(receiver, content, now())
        message = Message(
            domain.removesuffix(f".{DOMAIN}"), note, time.monotonic(), html=channels.html_of_mail(content)
        )
        self.capture.add(message)
        return "250 OK"


@contextmanager
def _mail(capture: Capture) -> Iterator[str]:
    from aiosmtpd.smtp import SMTP

    loop = asyncio.new_event_loop()

    def connection() -> SMTP:
        return SMTP(_Mailbox(capture), data_size_limit=MAX_BYTES, hostname="drill", timeout=30, loop=loop)

    server = loop.run_until_complete(loop.create_server(connection, LOOPBACK, 0, backlog=64))
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    try:
        yield f"{LOOPBACK}:{server.sockets[0].getsockname()[1]}"
    finally:
        loop.call_soon_threadsafe(server.close)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()
