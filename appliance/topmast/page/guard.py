"""Who may ask, and what a browser may do with the answer: one ASGI middleware around everything.

A page on loopback is reachable from every web site that the same browser has open. Other Host names are refused
(DNS rebinding: the attacker's name resolves to 127.0.0.1), so are requests that another origin's page makes, and
the answers carry headers that keep foreign pages from framing or embedding them.
"""

from collections.abc import Collection

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

# Scripts, styles and data come from here alone; nothing inline, nothing evaluated.
CONTENT_SECURITY_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data:",
        "connect-src 'self'",
        "manifest-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    )
)

HEADERS = {
    "content-security-policy": CONTENT_SECURITY_POLICY,
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
}


class Guard:
    """Refuses foreign Host names (421) and foreign origins (403); sets the security headers on every answer."""

    def __init__(self, app: ASGIApp, hosts: Collection[str]) -> None:
        self.app = app
        self.hosts = frozenset(hosts)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers[name] = value
            await send(message)

        refusal = self.refusal(Headers(scope=scope), scope["scheme"])
        await (refusal or self.app)(scope, receive, send_guarded)

    def refusal(self, headers: Headers, scheme: str) -> PlainTextResponse | None:
        """Return the answer to a request that is not for us or not from us, or None."""
        host = headers.get("host", "")
        if host.lower() not in self.hosts:
            known = " or ".join(sorted(self.hosts))
            return PlainTextResponse(f"no such host here: {host[:80]!r}; open http://{known}\n", status_code=421)
        origin = headers.get("origin")
        if origin is not None and origin.lower() not in {f"{scheme}://{known}" for known in self.hosts}:
            return PlainTextResponse(f"requests from {origin[:80]!r} are refused\n", status_code=403)
        # A browser names the relation itself where it sends no Origin (a foreign page's <script> or <img>).
        # A link from a message into the page is a navigation and welcome.
        foreign = headers.get("sec-fetch-site") in ("cross-site", "same-site")
        if foreign and headers.get("sec-fetch-mode") != "navigate":
            return PlainTextResponse("requests from other sites are refused\n", status_code=403)
        return None
