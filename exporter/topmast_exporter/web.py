"""What both listeners of the standalone exporter need of HTTP: answers, bounded bodies, who may ask.

Bare ASGI 3.0: a framework would cost more memory than everything it would serve.
"""

import asyncio
import ipaddress
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping, Sequence
from contextlib import asynccontextmanager
from functools import lru_cache
from typing import Any

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]
Headers = Sequence[tuple[bytes, bytes]]
Reply = Callable[[int, bytes, str, Headers], None]
"""(status, body, content type, further headers): answers a request, in the loop, once."""

TEXT = "text/plain; charset=utf-8"
JSON = "application/json"

# A body that takes longer is a sender that stalls.
BODY_SECONDS = 10.0
# Many functions end at one moment and send then: a wait spares each another try. SDKs of OTLP give up after 10 s.
ROOM_SECONDS = 5.0


class HttpError(Exception):
    """The request is refused with this status and sentence."""

    def __init__(self, status: int, sentence: str, headers: Headers = ()) -> None:
        super().__init__(sentence)
        self.status = status
        self.headers = tuple(headers)


def header(scope: Scope, name: bytes) -> str:
    """Return a request header, several of them joined by commas, "" when it is absent."""
    return ",".join(value.decode("latin-1") for key, value in scope.get("headers", ()) if key == name)


async def answer(send: Send, status: int, body: bytes, content_type: str = TEXT, headers: Headers = ()) -> None:
    """Send one whole answer."""
    fixed = [(b"content-type", content_type.encode()), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": status, "headers": [*fixed, *headers]})
    await send({"type": "http.response.body", "body": body})


async def refuse(send: Send, error: HttpError) -> None:
    """Send a refusal as one sentence."""
    await answer(send, error.status, f"{error}\n".encode(), TEXT, error.headers)


class Bodies:
    """Bodies that are read at once, bounded: each takes memory until it is understood."""

    def __init__(self, most: int) -> None:
        self._room = asyncio.Semaphore(most)

    @asynccontextmanager
    async def one(self) -> AsyncIterator[None]:
        """Wait for room and hold it meanwhile. Raises HttpError when there is none for long: ask again later."""
        try:
            async with asyncio.timeout(ROOM_SECONDS):
                await self._room.acquire()
        except TimeoutError as error:
            raise HttpError(429, "too many bodies at once", [(b"retry-after", b"1")]) from error
        try:
            yield
        finally:
            self._room.release()


async def read_body(scope: Scope, receive: Receive, max_bytes: int) -> bytes:
    """Return the request's body, unpacked when it is gzip. Raises HttpError: too large, too slow, not gzip."""
    declared = header(scope, b"content-length")
    if declared.isdecimal() and int(declared) > max_bytes:
        raise HttpError(413, f"a body has at most {max_bytes} bytes")
    try:
        async with asyncio.timeout(BODY_SECONDS):
            body = await _read(receive, max_bytes)
    except TimeoutError as error:
        raise HttpError(408, f"the body did not arrive within {BODY_SECONDS:g} s") from error
    encoding = header(scope, b"content-encoding").strip().lower()
    if encoding in ("", "identity"):
        return body
    if encoding != "gzip":
        raise HttpError(415, f"content-encoding is gzip or none, not {encoding[:40]!r}")
    return _unpack(body, max_bytes)


async def _read(receive: Receive, max_bytes: int) -> bytes:
    parts, size, more = [], 0, True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise HttpError(400, "the sender hung up")
        part = message.get("body", b"")
        size += len(part)
        if size > max_bytes:
            raise HttpError(413, f"a body has at most {max_bytes} bytes")
        parts.append(part)
        more = message.get("more_body", False)
    return b"".join(parts)


def _unpack(body: bytes, max_bytes: int) -> bytes:
    unpacker = zlib.decompressobj(wbits=31)  # gzip's own header and checksum
    try:
        unpacked = unpacker.decompress(body, max_bytes + 1)
    except zlib.error as error:
        raise HttpError(400, "the body is not gzip") from error
    if len(unpacked) > max_bytes or unpacker.unconsumed_tail:
        raise HttpError(413, f"a body has at most {max_bytes} bytes, unpacked too")
    if not unpacker.eof:
        raise HttpError(400, "the gzip body is cut off")
    return unpacked


@lru_cache(maxsize=256)
def is_loopback(host: str) -> bool:
    """Return whether a host name or address (with or without a port) is this machine's own."""
    name = host.rpartition(":")[0] if host.count(":") == 1 or (host.startswith("[") and "]:" in host) else host
    name = name.strip("[]").lower().rstrip(".")
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def check_host(scope: Scope, listens_on_loopback: bool) -> None:
    """Refuse a request to a loopback listener that came under another name: a web page rebinding its DNS.

    Raises HttpError.
    """
    if listens_on_loopback and not is_loopback(header(scope, b"host")):
        raise HttpError(421, "this listener answers to localhost only")
