"""Log search for the page: lines, a histogram over time and field facets from one pass over the embedded store."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from topmast.page.upstream import failed

Search = Callable[[Path, str, datetime | None, datetime | None, int], list[dict[str, Any]]]
"""(store, query, since, until, limit) → nested ECS documents, newest first."""

# Histogram and facets look at this many of the newest matches and say so when there are more.
COUNTED = 2000
BUCKETS = 60
# ECS fields (and OTel's for models) that a person narrows a search by. Free text and identifiers are none.
FACETS = (
    "log.level",
    "service.name",
    "event.dataset",
    "log.logger",
    "http.request.method",
    "http.response.status_code",
    "error.type",
    "gen_ai.request.model",
)
ERROR_LEVELS = frozenset({"error", "critical", "fatal", "alert", "emergency"})


def routes(store: Path, search: Search | None) -> list[Route]:
    """Return /api/logs?q=&since=&until=&limit=: times are unix seconds."""

    def answer(request: Request) -> Response:
        query = request.query_params.get("q", "")[:2000]
        try:
            since, until = (_time(request.query_params.get(name)) for name in ("since", "until"))
            limit = max(1, min(int(request.query_params.get("limit", "100")), 500))
        except (ValueError, OverflowError, OSError):
            return failed(400, "bad_data", "since and until are unix seconds, limit is a number")
        if not store.is_dir():
            return JSONResponse({"documents": [], **summary([], since, until)})
        from topmast_shipper.search import QueryError

        try:
            found = (search or shipper_search)(store, query, since, until, max(limit, COUNTED))
        except QueryError as error:
            message = {"status": "error", "errorType": "query", "error": error.message, "position": error.position}
            return JSONResponse(message, status_code=400)
        return JSONResponse({"documents": found[:limit], **summary(found, since, until)})

    return [Route("/api/logs", answer)]


def shipper_search(
    store: Path, query: str, since: datetime | None, until: datetime | None, limit: int
) -> list[dict[str, Any]]:
    """Search as `topmast logs` does."""
    from topmast_shipper.search import search

    return list(search(store, query, since=since, until=until, limit=limit))


def summary(documents: Sequence[Mapping[str, Any]], since: datetime | None, until: datetime | None) -> dict[str, Any]:
    """Return what surrounds the lines: how many were counted, when they were, and which values they have."""
    return {
        "counted": len(documents),
        "complete": len(documents) < COUNTED,
        "histogram": histogram(documents, since, until),
        "facets": facets(documents),
    }


def histogram(
    documents: Sequence[Mapping[str, Any]], since: datetime | None, until: datetime | None
) -> dict[str, Any]:
    """Return lines and error lines per time bucket, from `since` to `until` (default: the lines' own extent)."""
    moments = [(moment, _level(each) in ERROR_LEVELS) for each in documents if (moment := _moment(each))]
    if not moments:
        return {"start": 0, "step": 0, "lines": [], "errors": []}
    start = since.timestamp() if since else min(moment for moment, _ in moments)
    end = until.timestamp() if until else max(max(moment for moment, _ in moments), start + 1)
    step = max((end - start) / BUCKETS, 0.001)
    lines, errors = [0] * BUCKETS, [0] * BUCKETS
    for moment, is_error in moments:
        bucket = min(max(int((moment - start) / step), 0), BUCKETS - 1)
        lines[bucket] += 1
        errors[bucket] += is_error
    return {"start": start, "step": step, "lines": lines, "errors": errors}


def facets(documents: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return the ten commonest values of each facet field that occurs."""
    found = []
    for field in FACETS:
        values = Counter(str(value) for each in documents if (value := dig(each, field)) not in (None, ""))
        if values:
            found.append({"field": field, "values": values.most_common(10)})
    return found


def dig(document: Mapping[str, Any], field: str) -> Any:
    """Return the value at a dotted path of a nested document, or None."""
    value: Any = document
    for part in field.split("."):
        if not isinstance(value, Mapping):
            return None
        value = value.get(part)
    return value if isinstance(value, str | int | float | bool) else None


def _moment(document: Mapping[str, Any]) -> float | None:
    try:
        return datetime.fromisoformat(str(document.get("@timestamp"))).timestamp()
    except ValueError:
        return None


def _level(document: Mapping[str, Any]) -> str:
    return str(dig(document, "log.level") or "").lower()


def _time(seconds: str | None) -> datetime | None:
    return datetime.fromtimestamp(float(seconds), UTC) if seconds else None
