"""A read-only pass-through of a fixed list of Prometheus and Alertmanager paths.

Bodies go through as bytes, compression included; time, size and the number of requests at once are bounded. What
goes wrong on the way is answered in the shape that both APIs use for their own errors.
"""

import json
import math
import re
from urllib.parse import urlencode

import urllib3
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from topmast.page.body import TooLargeError, read_body
from topmast.page.settings import Settings

# Prometheus HTTP API v1: what reads. No admin, no federation, no remote write.
PROMETHEUS_PATHS = (
    "/api/v1/query",
    "/api/v1/query_range",
    "/api/v1/query_exemplars",
    "/api/v1/series",
    "/api/v1/labels",
    "/api/v1/label/{name}/values",
    "/api/v1/rules",
    "/api/v1/alerts",
    "/api/v1/metadata",
    "/api/v1/status/buildinfo",
)
# These take their parameters as a form as well: a long expression does not fit in a URL.
PROMETHEUS_FORMS = frozenset(
    {
        "/api/v1/query",
        "/api/v1/query_range",
        "/api/v1/query_exemplars",
        "/api/v1/series",
        "/api/v1/labels",
    }
)
# Alertmanager HTTP API v2: what reads.
ALERTMANAGER_PATHS = ("/api/v2/alerts", "/api/v2/alerts/groups", "/api/v2/silences", "/api/v2/status")

# What charts must know before they ask: Prometheus measures its own scrapes by their interval.
SCRAPE_INTERVAL = "count by (interval) (prometheus_target_interval_length_seconds)"
# Before its first scrape it has no `up` either: then there is nothing yet, and absent() - 1 is 0.
HISTORY_SECONDS = "time() - min(prometheus_tsdb_lowest_timestamp_seconds) or absent(up) - 1"

_LABEL = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*\Z")
# Headers that mean the same from us as from upstream.
_KEPT = ("content-type", "content-encoding", "vary")


class Upstream:
    """One engine behind the page."""

    def __init__(self, name: str, base: str, settings: Settings) -> None:
        self.name = name
        self.base = base
        self.max_response_bytes = settings.max_response_bytes
        self.timeout_seconds = settings.timeout_seconds
        self._pool = urllib3.PoolManager(
            num_pools=1,
            maxsize=8,
            retries=False,
            timeout=urllib3.Timeout(connect=2.0, read=settings.timeout_seconds),
        )

    def fetch(
        self,
        method: str,
        path: str,
        query: str,
        body: bytes | None,
        accept_encoding: str,
        content_type: str = "application/x-www-form-urlencoded",
    ) -> Response:
        """Return the upstream's answer, or a JSON error that says what is wrong. Blocks; runs in a thread."""
        headers = {"accept": "application/json", "accept-encoding": accept_encoding}
        if body is not None:
            headers["content-type"] = content_type
        url = f"{self.base}{path}" + (f"?{query}" if query else "")
        try:
            answer = self._pool.request(
                method, url, body=body, headers=headers, preload_content=False, redirect=False
            )
        except urllib3.exceptions.NewConnectionError:
            return failed(502, "unavailable", f"{self.name} does not answer at {self.base}; is it running?")
        except urllib3.exceptions.TimeoutError:
            return failed(504, "timeout", f"{self.name} did not answer within {self.timeout_seconds:g} s")
        except urllib3.exceptions.HTTPError as error:
            return failed(502, "unavailable", f"{self.name} broke off at {self.base}: {error}")
        try:
            content = answer.read(self.max_response_bytes + 1, decode_content=False)
            if len(content) > self.max_response_bytes:
                answer.close()
                limit = self.max_response_bytes // (1024 * 1024)
                return failed(502, "too_large", f"{self.name}: more than {limit} MiB; ask for less")
        except urllib3.exceptions.HTTPError as error:
            return failed(502, "unavailable", f"{self.name} broke off in the middle of its answer: {error}")
        finally:
            answer.release_conn()
        kept = {name: answer.headers[name] for name in _KEPT if name in answer.headers}
        return Response(content, status_code=answer.status, headers={**kept, "cache-control": "no-store"})

    def route(self, path: str, *, form: bool) -> Route:
        async def pass_through(request: Request) -> Response:
            name = request.path_params.get("name")
            if name is not None and not _LABEL.match(name):
                return failed(400, "bad_data", f"not a label name: {name[:80]!r}")
            try:
                body = await read_body(request, 64 * 1024) if request.method == "POST" else None
            except TooLargeError as error:
                return failed(413, "too_large", str(error))
            except ClientDisconnect:
                return Response(status_code=499)
            encoding = "gzip" if "gzip" in request.headers.get("accept-encoding", "") else "identity"
            return await run_in_threadpool(
                self.fetch, request.method, request.url.path, request.url.query, body, encoding
            )

        return Route(path, pass_through, methods=["GET", "POST"] if form else ["GET"])


def facts(prometheus: Upstream) -> Route:
    """Return `GET /api/prometheus`: how often it scrapes and how far back it knows; null where it does not say."""

    def ask() -> Response:
        return JSONResponse(
            {
                "scrape_seconds": _number(prometheus, SCRAPE_INTERVAL, "interval"),
                "history_seconds": _number(prometheus, HISTORY_SECONDS),
            }
        )

    return Route("/api/prometheus", lambda _: ask())


def _number(prometheus: Upstream, query: str, label: str = "") -> float | None:
    """Return the first value of an instant query, or the longest duration that a label of its series says."""
    answer = prometheus.fetch("GET", "/api/v1/query", urlencode({"query": query}), None, "identity")
    if answer.status_code != 200:
        return None
    try:
        result = json.loads(bytes(answer.body))["data"]["result"]
        values = [_seconds(one["metric"][label]) if label else float(one["value"][1]) for one in result]
    except (ValueError, KeyError, TypeError, IndexError):
        return None
    return max(0.0, *values) if values and all(math.isfinite(value) for value in values) else None


def _seconds(duration: str) -> float:
    """Return the seconds of Go's `15s`, `1m0s` or `500ms`."""
    units = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
    return sum(float(number) * units[unit] for number, unit in re.findall(r"([0-9.]+)(ms|s|m|h)", duration))


def failed(status: int, kind: str, message: str) -> JSONResponse:
    """Return an error in the shape of the Prometheus API, so that a panel shows it as it would show theirs."""
    return JSONResponse({"status": "error", "errorType": kind, "error": message}, status_code=status)


def engines(settings: Settings) -> tuple[Upstream, Upstream]:
    """Return Prometheus and Alertmanager."""
    return (
        Upstream("Prometheus", settings.prometheus, settings),
        Upstream("Alertmanager", settings.alertmanager, settings),
    )


def routes(prometheus: Upstream, alertmanager: Upstream) -> list[Route]:
    """Return the routes of both pass-throughs."""
    return [
        *(prometheus.route(path, form=path in PROMETHEUS_FORMS) for path in PROMETHEUS_PATHS),
        *(alertmanager.route(path, form=False) for path in ALERTMANAGER_PATHS),
    ]
