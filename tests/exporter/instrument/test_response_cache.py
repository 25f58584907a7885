"""The counter of a response cache around a real FastAPI application, its cache a middleware inside of it."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest
from fastapi import APIRouter, FastAPI, Request, Response
from topmast_exporter.instrument.response_cache import ResponseCacheMetrics, pattern_of, result_of
from topmast_exporter.registry import Registry
from topmast_exporter.testing import samples, value


def shop(registry: Registry) -> FastAPI:
    """An application that caches what `/v1/items/{item}` answers."""
    app, items, kept = FastAPI(), APIRouter(prefix="/items"), dict[str, bytes]()

    @items.get("/{item}")
    async def item(item: str) -> str:
        return item

    @app.get("/plain")
    async def plain() -> str:
        return "never cached, and nobody says so"

    @app.middleware("http")
    async def cache(request: Request, call_next: Callable[[Request], Awaitable[Any]]) -> Response:
        path = request.url.path
        if path in kept:
            return Response(kept[path], headers={"x-cache": "HIT"})
        answer = await call_next(request)
        if path == "/plain":
            return answer  # type: ignore[no-any-return]  # Starlette types it so
        kept[path] = b"".join([piece async for piece in answer.body_iterator])
        return Response(kept[path], answer.status_code, headers={"x-cache": "MISS"})

    app.include_router(items, prefix="/v1")
    app.add_middleware(ResponseCacheMetrics, registry=registry)
    return app


def asked(app: Any, *paths: str) -> None:
    async def ask() -> None:
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://shop") as http:
            for path in paths:
                await http.get(path)

    asyncio.run(ask())


def test_hits_and_misses_have_the_same_route() -> None:
    registry = Registry()

    asked(shop(registry), "/v1/items/a", "/v1/items/a", "/v1/items/b", "/plain", "/nowhere", "/nowhere")

    assert [
        (labels["route"], labels["result"], count)
        for labels, count in samples(registry, "cache_http_responses_total")
        if count
    ] == [
        ("/v1/items/{item}", "miss", 2),
        ("/v1/items/{item}", "hit", 1),
        ("__unmatched__", "miss", 1),
        ("__unmatched__", "hit", 1),
    ]
    assert value(registry, "cache_http_responses_total", route="/v1/items/{item}", result="stale") == 0
    assert value(registry, "exporter_internal_errors_total") is None


@pytest.mark.parametrize(
    ("name", "text", "result"),
    [
        pytest.param("X-Cache", "Miss from cloudfront", "miss", id="a CDN's words"),
        pytest.param("x-cache-status", "EXPIRED", "miss", id="nginx"),
        pytest.param("x-fastapi-cache", "HIT", "hit", id="fastapi-cache"),
        pytest.param("cache-status", "shop; hit; ttl=30", "hit", id="RFC 9211"),
        pytest.param("cache-status", "origin; hit, shop; fwd=stale", "stale", id="the nearest cache counts"),
        pytest.param("cache-status", "shop; fwd=uri-miss; stored", "miss", id="miss, stored"),
        pytest.param("cache-status", "shop; fwd=bypass", "bypass", id="bypass"),
        pytest.param("x-cache", "", None, id="empty"),
        pytest.param("x-cache", "banana", None, id="a word nobody knows"),
        pytest.param("age", "7", None, id="no cache"),
    ],
)
def test_a_header_says_what_the_cache_did(name: str, text: str, result: str | None) -> None:
    assert result_of([(b"server", b"x"), (name.encode(), text.encode())]) == result


@pytest.mark.parametrize(
    ("template", "path", "matches"),
    [
        pytest.param("/items/{item}", "/items/a", True, id="segment"),
        pytest.param("/items/{item}", "/items/a/b", False, id="one segment"),
        pytest.param("/files/{name:path}", "/files/a/b", True, id="path"),
        pytest.param("/n/{number:int}.json", "/n/7.json", True, id="kind"),
        pytest.param("/a.b", "/aXb", False, id="no expression of its own"),
    ],
)
def test_a_template_matches_its_paths(template: str, path: str, matches: bool) -> None:
    assert bool(pattern_of(template).fullmatch(path)) is matches
