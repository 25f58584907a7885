"""Request bodies with a bound."""

from starlette.requests import Request


class TooLargeError(Exception):
    """The body is longer than its handler takes; the message says how long it may be."""


async def read_body(request: Request, max_bytes: int) -> bytes:
    """Return the request's body. Raises TooLargeError as soon as it passes `max_bytes`; reads no further."""
    parts: list[bytes] = []
    size = 0
    async for part in request.stream():
        size += len(part)
        if size > max_bytes:
            raise TooLargeError(f"the body is larger than {max_bytes} bytes")
        parts.append(part)
    return b"".join(parts)
