"""Silencing an alert, and ending a silence: the one thing that the page changes in an engine.

A silence is asked for by the labels it is to match, never by free-form matchers, and always has an end. Guard has
already refused other hosts and other origins; on top of that a change must carry a header that no form and no
link of another page can send (a browser asks first, and nobody answers that question).
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from topmast.page.body import TooLargeError, read_body
from topmast.page.upstream import Upstream, failed

ACTION_HEADER = "x-topmast-action"
MAX_BYTES = 16 * 1024
MAX_SECONDS = 30 * 86400
MAX_LABELS = 64
_ID = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\Z")
_LABEL = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*\Z")


@dataclass(frozen=True)
class Wanted:
    """What a person asked for: alerts that carry all of `labels`, for so long."""

    labels: Mapping[str, str]
    seconds: float
    comment: str
    by: str


def routes(alertmanager: Upstream) -> list[Route]:
    """Return the routes: `POST /api/silence`, `DELETE /api/silence/ID`."""

    async def begin(request: Request) -> Response:
        if (refused := refusal(request)) is not None:
            return refused
        try:
            wanted = parse(await read_body(request, MAX_BYTES))
        except TooLargeError as error:
            return failed(413, "too_large", str(error))
        except ClientDisconnect:
            return Response(status_code=499)
        except ValueError as error:
            return failed(400, "bad_data", str(error))
        body = json.dumps(silence(wanted, datetime.now(UTC))).encode()
        return await run_in_threadpool(
            alertmanager.fetch, "POST", "/api/v2/silences", "", body, "identity", "application/json"
        )

    async def end(request: Request) -> Response:
        if (refused := refusal(request)) is not None:
            return refused
        name = request.path_params["id"]
        if not _ID.match(name):
            return failed(400, "bad_data", f"not a silence's id: {name[:80]!r}")
        return await run_in_threadpool(alertmanager.fetch, "DELETE", f"/api/v2/silence/{name}", "", None, "identity")

    return [Route("/api/silence", begin, methods=["POST"]), Route("/api/silence/{id}", end, methods=["DELETE"])]


def refusal(request: Request) -> Response | None:
    """Return the answer to a change that may not be a person's own, or None."""
    if request.headers.get(ACTION_HEADER) != "silence":
        return failed(403, "forbidden", f"a change needs the header {ACTION_HEADER}: silence")
    return None


def parse(body: bytes) -> Wanted:
    """Return what is asked for. Raises ValueError with what is wrong."""
    try:
        given: Any = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"not JSON: {error}") from error
    if not isinstance(given, dict):
        raise ValueError("not a JSON object")
    labels, seconds = given.get("labels"), given.get("seconds")
    if not isinstance(labels, dict) or not 1 <= len(labels) <= MAX_LABELS or not labels.get("alertname"):
        raise ValueError(f"labels: 1 to {MAX_LABELS} of them, `alertname` among them")
    for name, value in labels.items():
        if not _LABEL.match(name) or not isinstance(value, str):
            raise ValueError(f"labels: not a label and its text: {name!r:.80}")
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 60 <= seconds <= MAX_SECONDS:
        raise ValueError("seconds: from a minute to 30 days")
    comment, by = (str(given.get(key) or default).strip()[:500] for key, default in _TEXTS)
    return Wanted(labels, float(seconds), comment, by)


# Alertmanager takes neither empty.
_TEXTS = (("comment", "silenced on the page"), ("by", "the page"))


def silence(wanted: Wanted, now: datetime) -> dict[str, Any]:
    """Return the silence as Alertmanager's API v2 takes it: matchers that are equalities, a start and an end."""
    return {
        "matchers": [
            {"name": name, "value": value, "isRegex": False, "isEqual": True}
            for name, value in sorted(wanted.labels.items())
        ],
        "startsAt": now.isoformat(),
        "endsAt": (now + timedelta(seconds=wanted.seconds)).isoformat(),
        "createdBy": wanted.by,
        "comment": wanted.comment,
    }
