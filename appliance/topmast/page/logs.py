"""Log search for the page: lines, a histogram over time and field facets, from the embedded store.

The lines come first and cost the same whatever the store holds; what is counted over all matches is asked for apart.
"""

import sqlite3
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from topmast.page.upstream import failed

BUCKETS = 60
MAX_LINES = 500
# What a person narrows a search by. The first three are columns of the store; the others are read out of every
# document that matches, so they are counted only while the matches are few.
COLUMNS = ("log.level", "service.name", "http.response.status_code")
FIELDS = ("http.request.method", "error.type", "gen_ai.request.model")
FEW = 20_000
VALUES = 10

Span = tuple[datetime | None, datetime | None]


def routes(store: Path) -> list[Route]:
    """Return the routes; each takes q, since and until (unix seconds, `until` not included)."""
    return [
        Route("/api/logs", endpoint(store, lines)),
        Route("/api/logs/histogram", endpoint(store, histogram)),
        Route("/api/logs/facets", endpoint(store, facets)),
    ]


def endpoint(store: Path, answer: Callable[[Path, str, Span, Request], Response]) -> Callable[[Request], Response]:
    """Return the endpoint around a search: its parameters read, a broken query answered with its position."""

    def ask(request: Request) -> Response:
        from topmast_shipper.errors import QueryError, StateError

        try:
            span = _time(request.query_params.get("since")), _time(request.query_params.get("until"))
        except (ValueError, OverflowError, OSError):
            return failed(400, "bad_data", "since and until are unix seconds")
        try:
            return answer(store, request.query_params.get("q", ""), span, request)
        except QueryError as error:
            told = {"status": "error", "errorType": "query", "error": str(error), "position": error.position}
            return JSONResponse(told, status_code=400)
        except (StateError, sqlite3.Error) as error:
            return failed(503, "unavailable", f"the log store cannot be read: {error}")

    return ask


def lines(store: Path, query: str, span: Span, request: Request) -> Response:
    """Return the newest matching documents as they are stored: `{"documents": […]}`."""
    from topmast_shipper import search

    wanted = request.query_params.get("limit", "100")
    limit = min(int(wanted), MAX_LINES) if wanted.isdecimal() and len(wanted) < 7 else 100
    found = search.lines(store, query, *span, limit)
    return Response('{"documents": [' + ",\n".join(found) + "]}", media_type="application/json")


def histogram(store: Path, query: str, span: Span, request: Request) -> Response:  # noqa: ARG001 - one shape
    """Return `{"step": seconds, "buckets": [{"time", "count", "levels"}]}`, oldest first."""
    from topmast_shipper import search

    since, until = span
    until = until or datetime.now(UTC)
    seconds = (until - since).total_seconds() if since else 86400.0
    step = max(1, round(seconds / BUCKETS))
    return JSONResponse({"step": step, "buckets": search.histogram(store, query, step, *span)})


def facets(store: Path, query: str, span: Span, request: Request) -> Response:  # noqa: ARG001 - one shape
    """Return `{"matches": n, "facets": [{"field", "values": [[value, count]]}]}`; fields without values."""
    from topmast_shipper import search

    matches = search.count(store, query, *span)
    fields = COLUMNS + FIELDS if matches <= FEW else COLUMNS
    found = search.facets(store, query, fields, *span, VALUES)
    listed = [{"field": field, "values": values} for field, values in found.items() if values]
    return JSONResponse({"matches": matches, "facets": listed})


def _time(seconds: str | None) -> datetime | None:
    return datetime.fromtimestamp(float(seconds), UTC) if seconds else None
