"""What a middleware adds to a request: ours and the peers around the same application, in this one process.

    python asgi.py starlette|fastapi ROUTES ROUNDS REQUESTS

Prints {"bare": microseconds, "added": {name: microseconds}} as JSON. Rounds are interleaved, CPU time is what counts,
and what a variant adds is the median over the rounds of its difference to the bare application of the same round, so
that a busy machine disturbs all of them alike. Run by benchmarks/exporter.py with the peers' own interpreter.
"""

import asyncio
import gc
import json
import statistics
import sys
import time
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

Application = Callable[[Any, Any, Any], Awaitable[None]]


def application(kind: str, routes: int) -> Any:
    """Return an application with this many routes, each with one parameter."""
    if kind == "fastapi":
        from fastapi import FastAPI

        app = FastAPI()

        def add(number: int) -> None:
            async def answer(item: str) -> dict[str, str]:
                return {"item": item}

            app.get(f"/things{number}/{{item}}")(answer)

    else:
        from starlette.applications import Starlette
        from starlette.requests import Request
        from starlette.responses import PlainTextResponse

        app = Starlette()

        async def plain(_request: Request) -> PlainTextResponse:
            return PlainTextResponse("hello")

        def add(number: int) -> None:
            app.add_route(f"/things{number}/{{item}}", plain)

    for number in range(routes):
        add(number)
    return app


def ours(app: Any) -> Any:
    from topmast_exporter.instrument.asgi import instrument
    from topmast_exporter.registry import Registry

    return instrument(app, Registry(), version="1.0", commit="abc")


def instrumentator(app: Any) -> Any:
    from prometheus_client import CollectorRegistry
    from prometheus_fastapi_instrumentator import Instrumentator

    app.peer_registry = CollectorRegistry()
    Instrumentator(registry=app.peer_registry).instrument(app).expose(app)
    return app


def starlette_exporter(app: Any) -> Any:
    from starlette_exporter import PrometheusMiddleware, handle_metrics

    app.add_middleware(PrometheusMiddleware)
    app.add_route("/metrics", handle_metrics)
    return app


VARIANTS: dict[str, Callable[[Any], Any]] = {
    "bare": lambda app: app,
    "ours": ours,
    "prometheus-fastapi-instrumentator": instrumentator,
    "starlette_exporter": starlette_exporter,
}

HEADERS = [
    (b"host", b"127.0.0.1:8000"),
    (b"user-agent", b"python-httpx/0.28.1"),
    (b"accept", b"*/*"),
    (b"accept-encoding", b"gzip, deflate"),
    (b"traceparent", b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"),
]


async def receive() -> MutableMapping[str, Any]:
    return {"type": "http.request", "body": b"", "more_body": False}


async def send(message: MutableMapping[str, Any]) -> None:
    if message["type"] == "http.response.start":
        assert message["status"] == 200, message


async def requests(app: Application, count: int, path: str) -> None:
    for _ in range(count):
        scope = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "1.1",
            "method": "GET",
            "scheme": "http",
            "path": path,
            "raw_path": path.encode(),
            "query_string": b"",
            "root_path": "",
            "headers": HEADERS,
            "client": ("127.0.0.1", 50_000),
            "server": ("127.0.0.1", 8_000),
            "state": {},
        }
        await app(scope, receive, send)


async def measure(kind: str, routes: int, rounds: int, count: int) -> dict[str, Any]:
    apps = {name: install(application(kind, routes)) for name, install in VARIANTS.items()}
    path = f"/things{routes - 1}/7"  # the last one: what a router does before it is its own cost, in every variant
    for app in apps.values():
        await requests(app, count, path)
    took: dict[str, list[float]] = {name: [] for name in apps}
    order = list(apps)
    gc.collect()
    gc.freeze()
    for _ in range(rounds):
        order = [*order[1:], order[0]]
        for name in order:
            began = time.process_time()
            await requests(apps[name], count, path)
            took[name].append((time.process_time() - began) / count * 1e6)
    added = {
        name: statistics.median(one - bare for one, bare in zip(took[name], took["bare"], strict=True))
        for name in apps
        if name != "bare"
    }
    return {"bare": statistics.median(took["bare"]), "added": added}


if __name__ == "__main__":
    chosen, *numbers = sys.argv[1:]
    print(json.dumps(asyncio.run(measure(chosen, *map(int, numbers)))))
