"""What a response cache answered: cache_http_responses_total, read from the headers that the cache sets itself.

    app = instrument(app)                                   # asgi.py, as ever
    app.add_middleware(ResponseCacheMetrics)                # last, so that it stands outside of the cache

Understood are Cache-Status (RFC 9211), X-Cache, X-Cache-Status (nginx) and X-FastAPI-Cache (fastapi-cache). A cache
that sets none of them says it in one line: `CacheMetrics().http_response(route, "hit")`. A hit may be answered before
the router has seen the request; only then is its route looked for among the application's templates.
"""

import re
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import Any

from topmast_exporter.admission import UNMATCHED
from topmast_exporter.instrument.cache import HTTP_RESULTS, http_responses
from topmast_exporter.instrument.routes import known_routes, template_of
from topmast_exporter.registry import Registry, default_registry
from topmast_exporter.scrape import Receive, Scope, Send

Headers = Iterable[tuple[bytes, bytes]]

# One word each: "HIT", "Miss from cloudfront", "STALE". nginx also says EXPIRED, UPDATING and REVALIDATED.
WORD_HEADERS = frozenset({b"x-cache", b"x-cache-status", b"x-fastapi-cache"})
WORDS = {
    "hit": "hit",
    "revalidated": "hit",
    "miss": "miss",
    "expired": "miss",
    "stale": "stale",
    "updating": "stale",
    "bypass": "bypass",
    "dynamic": "bypass",
    "uncacheable": "bypass",
}

# https://www.rfc-editor.org/rfc/rfc9211#section-2: the cache nearest to the client is the last one of the list.
_FORWARDED = re.compile(r";\s*fwd\s*=\s*([a-z-]+)")
_HIT = re.compile(r";\s*hit\b")

_PARAMETER = re.compile(r"\{[^{}:]+(:path)?[^{}]*\}")


class ResponseCacheMetrics:
    """An ASGI middleware that counts what the cache inside of it answered."""

    def __init__(self, app: Callable[..., Awaitable[None]], registry: Registry | None = None) -> None:
        self._app = app
        self._registry = registry or default_registry()
        self._responses = http_responses(self._registry)
        self._known: list[tuple[re.Pattern[str], str]] | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        outer_root = scope.get("root_path", "")
        path = scope["path"].removeprefix(outer_root)

        async def counted(message: MutableMapping[str, Any]) -> None:
            if message["type"] == "http.response.start":
                try:
                    result = result_of(message.get("headers", ()))
                    if result is not None:
                        self._responses.labels(self._route(scope, outer_root, path), result).inc()
                except Exception:  # noqa: BLE001 a guard: an instrument never raises into the application
                    self._registry.count_internal_error("response_cache")
            await send(message)

        await self._app(scope, receive, counted)

    def _route(self, scope: Scope, outer_root: str, path: str) -> str:
        app = scope.get("app")
        found = template_of(app, scope, outer_root)
        if found != UNMATCHED or app is None:
            return found
        if self._known is None:
            templates = {template for _, template, _ in known_routes(app)}
            self._known = [(pattern_of(template), template) for template in sorted(templates)]
            for template in templates:
                for result in HTTP_RESULTS:
                    self._responses.labels(template, result)
        return next((template for pattern, template in self._known if pattern.fullmatch(path)), UNMATCHED)


def result_of(headers: Headers) -> str | None:
    """Return hit, miss, stale or bypass; None when no cache says anything."""
    for name, value in headers:
        lower = name.lower()
        if lower == b"cache-status":
            return _of_cache_status(value.decode("latin-1"))
        if lower in WORD_HEADERS:
            words = value.decode("latin-1").lower().split()
            return WORDS.get(words[0].strip(",")) if words else None
    return None


def _of_cache_status(value: str) -> str:
    nearest = value.rpartition(",")[2].lower()
    if _HIT.search(nearest):
        return "hit"
    forwarded = _FORWARDED.search(nearest)
    reason = forwarded.group(1) if forwarded else ""
    return {"stale": "stale", "bypass": "bypass", "method": "bypass", "request": "bypass"}.get(reason, "miss")


def pattern_of(template: str) -> re.Pattern[str]:
    """Return what a path of this template looks like: a parameter is a segment, one of kind `path` any number."""
    parts, end = [], 0
    for parameter in _PARAMETER.finditer(template):
        parts += [re.escape(template[end : parameter.start()]), ".*" if parameter.group(1) else "[^/]+"]
        end = parameter.end()
    return re.compile("".join(parts) + re.escape(template[end:]))
