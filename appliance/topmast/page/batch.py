"""Many queries in one request: a dashboard's forty arrive together, and each answer leaves as soon as it is there.

`POST /api/batch` with `[{"path": "/api/v1/query_range", "form": "query=up&…"}, …]` is answered by one JSON line a
query, in the order in which they finish: `{"id": 0, "status": 200, "body": …}`. The paths are the pass-through's own
that take a form.
"""

import asyncio
import json
import zlib
from collections.abc import AsyncIterator, Sequence
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from topmast.page.body import TooLargeError, read_body
from topmast.page.upstream import PROMETHEUS_FORMS, Upstream, failed

MAX_QUERIES = 64
MAX_BYTES = 256 * 1024
# Prometheus is given eight at once (--query.max-concurrency); two are left to its rules and to another tab.
AT_ONCE = 6
# RFC 1952: a gzip wrapper around the window of 2^15 bytes.
_GZIP = 16 + zlib.MAX_WBITS

Query = tuple[str, bytes]


def route(prometheus: Upstream) -> Route:
    """Return the route; what cannot be read is refused whole, what fails at the engine fails alone."""

    async def answer(request: Request) -> Response:
        try:
            queries = parse(await read_body(request, MAX_BYTES))
        except TooLargeError as error:
            return failed(413, "too_large", str(error))
        except ClientDisconnect:
            return Response(status_code=499)
        except ValueError as error:
            return failed(400, "bad_data", str(error))
        lines = answers(prometheus, queries)
        if "gzip" not in request.headers.get("accept-encoding", ""):
            return StreamingResponse(lines, media_type="application/x-ndjson")
        return StreamingResponse(
            packed(lines), media_type="application/x-ndjson", headers={"content-encoding": "gzip"}
        )

    return Route("/api/batch", answer, methods=["POST"])


def parse(body: bytes) -> list[Query]:
    """Return the paths and forms. Raises ValueError with what is wrong."""
    try:
        given: Any = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"not JSON: {error}") from error
    if not isinstance(given, list) or not 1 <= len(given) <= MAX_QUERIES:
        raise ValueError(f"not a list of 1 to {MAX_QUERIES} queries")
    queries = []
    for one in given:
        path, form = (one.get("path"), one.get("form")) if isinstance(one, dict) else (None, None)
        if path not in PROMETHEUS_FORMS or not isinstance(form, str):
            raise ValueError(f"not a path that takes a form, or no form: {path!r:.80}")
        queries.append((path, form.encode()))
    return queries


async def answers(prometheus: Upstream, queries: Sequence[Query]) -> AsyncIterator[bytes]:
    """Yield a line for each query as it finishes."""
    turn = asyncio.Semaphore(AT_ONCE)

    async def ask(number: int, path: str, form: bytes) -> bytes:
        async with turn:
            told: Response = await run_in_threadpool(prometheus.fetch, "POST", path, "", form, "identity")
        body = bytes(told.body).strip()
        # What stands before an engine (a proxy) may answer in HTML.
        if body[:1] != b"{" or b"\n" in body:
            told = failed(502, "unavailable", f"{prometheus.name} answered {told.status_code}, not JSON")
            body = bytes(told.body)
        return b'{"id":%d,"status":%d,"body":%b}\n' % (number, told.status_code, body)

    asked = [asyncio.create_task(ask(number, *query)) for number, query in enumerate(queries)]
    try:
        for line in asyncio.as_completed(asked):
            yield await line
    finally:
        # The reader went away: what has not begun is not asked at all.
        for task in asked:
            task.cancel()


async def packed(lines: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Yield each line compressed and complete, so that it can be read before the next one is there."""
    stream = zlib.compressobj(3, wbits=_GZIP)
    async for line in lines:
        yield stream.compress(line) + stream.flush(zlib.Z_SYNC_FLUSH)
    yield stream.flush()
