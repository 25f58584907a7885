"""Errors for our own page: the status moves into a header, because a browser writes every answer from 400 up into
its console, and an engine that is down is not a fault of the page. Everybody else sees the status itself.
"""

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

HEADER = "x-topmast-status"


class StatusInHeader:
    """For a request with `x-topmast-status: header`, answers 200 and the real status in the header of that name."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or Headers(scope=scope).get(HEADER) != "header":
            await self.app(scope, receive, send)
            return

        async def send_quietly(message: Message) -> None:
            if message["type"] == "http.response.start" and message["status"] >= 400:
                headers = MutableHeaders(scope=message)
                headers[HEADER] = str(message["status"])
                message["status"] = 200
            await send(message)

        await self.app(scope, receive, send_quietly)
