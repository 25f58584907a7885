"""The inbox's doors: HTTP for Slack, PagerDuty and webhooks, SMTP for e-mail. All end in one line of the inbox.

Alertmanager posts here what it would have sent to the real services, unchanged but for the address.
"""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from topmast.page import channels
from topmast.page.body import TooLargeError, read_body
from topmast.page.inbox import Inbox, now

if TYPE_CHECKING:
    from aiosmtpd.smtp import SMTP, Envelope, Session

_RECEIVER = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.#-]{0,79}\Z")


def routes(inbox: Inbox, max_bytes: int, heard: Callable[[str, Any], None]) -> list[Route]:
    """Return the routes of the HTTP channels. `heard` is told the receiver of each notification, and its body."""

    async def receive(request: Request) -> Response:
        channel, receiver = request.path_params["channel"], request.path_params["receiver"]
        if channel not in channels.CHANNELS:
            known = ", ".join(sorted(channels.CHANNELS))
            return PlainTextResponse(f"no channel {channel[:40]!r} here, only {known}\n", status_code=404)
        if not _RECEIVER.match(receiver):
            return PlainTextResponse(f"not a receiver's name: {receiver[:80]!r}\n", status_code=400)
        try:
            body: Any = json.loads(await read_body(request, max_bytes))
        except TooLargeError as error:
            return PlainTextResponse(f"{error}\n", status_code=413)
        except ClientDisconnect:
            return Response(status_code=499)
        except (ValueError, RecursionError):
            body = None
        if not isinstance(body, dict):
            return PlainTextResponse("not a JSON object\n", status_code=400)
        await run_in_threadpool(inbox.append, channels.CHANNELS[channel](receiver, body, now()))
        await run_in_threadpool(heard, receiver, body)
        return accepted(channel, body)

    return [Route("/inbox/{channel}/{receiver}", receive, methods=["POST"])]


def accepted(channel: str, body: dict[str, Any]) -> Response:
    """Answer as the real service does, so that the sender's own checks are exercised."""
    if channel == "pagerduty":
        key = str(body.get("dedup_key", ""))
        answer = {"status": "success", "message": "Event processed", "dedup_key": key}
        return JSONResponse(answer, status_code=202)
    return PlainTextResponse("ok")


class Mailbox:
    """aiosmtpd's handler: each accepted mail is a notification to the first recipient's local part."""

    def __init__(self, inbox: Inbox) -> None:
        self.inbox = inbox

    async def handle_DATA(self, server: "SMTP", session: "Session", envelope: "Envelope") -> str:  # noqa: ARG002, N802 - aiosmtpd's signature
        content = envelope.content
        if not isinstance(content, bytes):
            return "554 no content"
        receiver = envelope.rcpt_tos[0].partition("@")[0] if envelope.rcpt_tos else "email"
        await run_in_threadpool(self.inbox.append, channels.email(receiver, content, now()))
        return "250 OK"


@asynccontextmanager
async def mail(inbox: Inbox, host: str, port: int, max_bytes: int) -> AsyncIterator[None]:
    """Receive mail on HOST:PORT while the context is open. Raises OSError when the port is taken."""
    from aiosmtpd.smtp import SMTP

    loop = asyncio.get_running_loop()

    def connection() -> SMTP:
        # A minute is plenty between two commands of a mail server on the same machine.
        return SMTP(Mailbox(inbox), data_size_limit=max_bytes, hostname="topmast", timeout=60, loop=loop)

    server = await loop.create_server(connection, host, port, backlog=16)
    try:
        yield
    finally:
        server.close()
        await server.wait_closed()
