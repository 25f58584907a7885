"""HTTP requests of an ASGI application: FastAPI, Starlette, or any other.

One line installs it: `instrument(app)`. The families and the rules of `route` and `route_class` are METRICS.md's. The
middleware is plain ASGI, outside of every other one; it reads the route that the router chose (`routes.py`), stops
the clock at the last body byte (what runs in the background afterwards is not the client's latency), and moves all
numbers of a request under one lock.
"""

import asyncio
import os
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from dataclasses import dataclass, field, replace
from time import perf_counter
from typing import Any, TypeVar

from topmast_exporter.admission import OTHER
from topmast_exporter.instrument.http_metrics import (
    APP_VARIABLE,
    LLM,
    METHODS,
    STREAM,
    HttpMetrics,
    Record,
    route_class,
)
from topmast_exporter.instrument.loop_lag import LoopLag
from topmast_exporter.instrument.request import current
from topmast_exporter.instrument.routes import known_routes, routed_path, template_of
from topmast_exporter.instrument.websocket import WebSockets
from topmast_exporter.registry import Registry, default_registry
from topmast_exporter.scrape import Endpoint, Receive, Scope, Scraper, Send

__all__ = ["Middleware", "Settings", "instrument", "route_class"]

Application = Callable[[Scope, Receive, Send], Awaitable[None]]
A = TypeVar("A")

# (method, route's path or endpoint's id, root path, status, kind)
Key = tuple[str, object, str, int, str]

# A cache of records, never keyed by what a client wrote but a mount's own parameters, hence the bound.
MAX_RECORDS = 4_096

# From here on a request leaves an exemplar, when it carries a trace: the latency objective.
EXEMPLAR_FROM_SECONDS = 0.2

# nginx's code for a client that hung up before there was an answer.
CLIENT_CLOSED = 499

DISABLED = "TOPMAST_DISABLED"

set_current, reset_current = current.set, current.reset


@dataclass(frozen=True)
class Settings:
    """What a user may say of the application."""

    metrics_path: str | None = "/metrics"
    """Where the application answers with its metrics; None when something else does."""
    route_classes: Mapping[str, str] = field(default_factory=dict)
    """Route template to route_class, before any rule."""
    version: str = ""
    commit: str = ""


def instrument(
    app: A,
    registry: Registry | None = None,
    metrics_path: str | None = "/metrics",
    *,
    route_classes: Mapping[str, str] | None = None,
    version: str = "",
    commit: str = "",
    workers: str = "",
) -> A:
    """Return the application, measured and with its metrics at `metrics_path`.

    An application with several worker processes names itself with `workers="shop"` (or TOPMAST_APP=shop in the
    environment): its workers hand what they counted to the standalone exporter, which answers for all of them at
    /apps/shop/metrics; the application itself answers at no path then, for one worker's numbers tell nothing.

    A Starlette or FastAPI application stays the same object; any other ASGI application is wrapped. Nothing happens
    when the environment says TOPMAST_DISABLED=1. `version` and `commit` are what app_build_info says, from the
    environment (APP_VERSION, APP_COMMIT) when empty.
    """
    if os.environ.get(DISABLED) == "1":
        return app
    settings = Settings(
        metrics_path,
        route_classes or {},
        version or os.environ.get("APP_VERSION", ""),
        commit or os.environ.get("APP_COMMIT", ""),
    )
    registry = registry or default_registry()
    workers = workers or os.environ.get(APP_VARIABLE, "")
    if workers:
        from topmast_exporter.workers import push

        push.declare(registry, workers)
        settings = replace(settings, metrics_path=None)
    build = getattr(app, "build_middleware_stack", None)
    if build is None:
        return Middleware(app, registry, settings)  # type: ignore[arg-type, return-value]  # any ASGI callable
    if getattr(app, "middleware_stack", None) is not None:
        raise RuntimeError("instrument(app) comes before the application's first request")

    # Outside of ServerErrorMiddleware, which add_middleware() cannot reach: only there a 500 is seen as it is sent.
    def build_measured() -> Middleware:
        return Middleware(build(), registry, settings, routes_of=app)

    app.build_middleware_stack = build_measured  # type: ignore[attr-defined]  # it has one, see above
    return app


class _Request:
    """One request under way. `answer` is its `send`."""

    __slots__ = (
        "answered",
        "calls_model",
        "done",
        "middleware",
        "own",
        "root",
        "scope",
        "send",
        "started",
        "status",
        "streams",
    )

    def __init__(self, middleware: "Middleware", scope: Scope, send: Send) -> None:
        self.middleware = middleware
        self.scope = scope
        self.send = send
        self.root = scope.get("root_path", "")
        self.own = self.calls_model = self.streams = self.done = False
        self.status = 0
        self.answered = 0.0
        self.started = perf_counter()

    def answer(self, message: MutableMapping[str, Any]) -> Awaitable[None]:
        """Send a message of the answer, and note what it says."""
        kind = message["type"]
        if kind == "http.response.body":
            if not message.get("more_body", False):
                return self._send_last(message)
        elif kind == "http.response.start":
            self.answered = perf_counter()
            self.status = message["status"]
            for name, value in message.get("headers", ()):
                if name == b"content-type":
                    self.streams = value.startswith(b"text/event-stream")
                    break
        return self.send(message)

    async def _send_last(self, message: MutableMapping[str, Any]) -> None:
        # The clock stops after it: a client that reads slowly is waited for in here.
        await self.send(message)
        self.finish(0)

    def finish(self, status: int) -> None:
        """Count the request, once; `status` is what it ends in when it was not answered."""
        if not self.done:
            self.done = True
            self.middleware.count(self, self.status or status, perf_counter())


class Middleware:
    """The measuring ASGI application around another one."""

    def __init__(
        self,
        app: Application,
        registry: Registry | None = None,
        settings: Settings | None = None,
        routes_of: Any = None,
    ) -> None:
        self._app = app
        self._routes_of = routes_of if routes_of is not None else app
        self._settings = settings or Settings()
        self.registry = registry or default_registry()
        self._endpoint = Endpoint(Scraper(self.registry))
        self._http = HttpMetrics(self.registry, self._settings.metrics_path or "", self._settings.route_classes)
        self._in_flight = self._http.in_flight.members()
        self._records: dict[Key, Record] = {}
        self._lag = LoopLag()
        self._begun_in = -1
        # No path ends in a null byte that a router would see: what never matches, when there is no path of ours.
        self._own_path = self._settings.metrics_path or "\0"
        self.registry.gauge(
            "app_event_loop_lag_seconds", "The worst lateness of the event loop over the last 60 s."
        ).labels().set_function(self._lag.maximum)
        self._websockets = WebSockets(self.registry, lambda scope, root: template_of(self._routes_of, scope, root))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        kind = scope["type"]
        if self._begun_in != self.registry.forks or kind == "lifespan":
            self._begin()
        if kind != "http":
            if kind == "websocket":
                await self._websockets.run(self._app, scope, receive, send)
            else:
                await self._app(scope, receive, self._handing_over(send))
            return
        request = _Request(self, scope, send)
        self._in_flight.add(request)
        token = set_current(request)
        try:
            if scope["path"].endswith(self._own_path) and self._is_own(scope):
                request.own = True
                await self._endpoint(scope, receive, request.answer)
            else:
                await self._app(scope, receive, request.answer)
        except Exception as error:
            self._count_exception(request, error)
            request.finish(500)
            raise
        except BaseException:
            # Cancelled: the client is gone, or the server stops.
            request.finish(CLIENT_CLOSED)
            raise
        finally:
            reset_current(token)
        # A server answers 500 for an application that returned without an answer.
        if not request.done:
            request.finish(500)

    def _handing_over(self, send: Send) -> Send:
        """Return a lifespan's `send` that hands over what is left before it says that the shutdown is complete.

        uvicorn ends its process by a signal: nothing that is registered for the exit runs.
        """

        async def measured(message: MutableMapping[str, Any]) -> None:
            pusher = self.registry.pusher
            if pusher is not None and message["type"].startswith("lifespan.shutdown"):
                await asyncio.to_thread(pusher.flush)
            await send(message)

        return measured

    def _is_own(self, scope: Scope) -> bool:
        path = self._settings.metrics_path
        return path is not None and scope["path"] == scope.get("root_path", "") + path

    def count(self, request: _Request, status: int, ended: float) -> None:
        """Count a request that has ended at `ended` (perf_counter). Never raises."""
        self._in_flight.discard(request)
        try:
            scope = request.scope
            kind = STREAM if request.streams else LLM if request.calls_model else ""
            where: object = request.own or routed_path(scope)
            if where is None:
                where = id(scope.get("endpoint"))
            key = (scope["method"], where, scope.get("root_path", ""), status, kind)
            record = self._records.get(key) or self._record_of(request, key)
        except Exception:  # noqa: BLE001 a guard: an instrument never raises into the application
            self.registry.count_internal_error("asgi")
            return
        took = ended - request.started
        self._http.answered(record, took, (request.answered or ended) - request.started)
        if took >= EXEMPLAR_FROM_SECONDS or status >= 500:
            trace_id = trace_id_of(request.scope)
            if trace_id is not None:
                record.mark(took, trace_id)

    def _record_of(self, request: _Request, key: Key) -> Record:
        """Return the record of a request that is not known by its key, from here on known when it may be."""
        method, where, root, status, kind = key
        if method not in METHODS:
            method = OTHER
        key = (method, where, root, status, kind)
        record = self._records.get(key)
        if record is None:
            record = self._new_record(request, method, status, kind)
            if len(self._records) >= MAX_RECORDS:
                self._records.clear()
            self._records[key] = record
        return record

    def _new_record(self, request: _Request, method: str, status: int, kind: str) -> Record:
        if request.own:
            template = self._settings.metrics_path or ""
        else:
            template = template_of(self._routes_of, request.scope, request.root)
        code = str(status) if 100 <= status <= 599 else OTHER
        return self._http.record(
            method, template, self._http.class_of(template, request.scope.get("endpoint"), kind), code
        )

    def _count_exception(self, request: _Request, error: Exception) -> None:
        try:
            self._http.raised(template_of(self._routes_of, request.scope, request.root), error)
        except Exception:  # noqa: BLE001 a guard: an instrument never raises into the application
            self.registry.count_internal_error("asgi")

    def _begin(self) -> None:
        """Start what belongs to this process: its start time, its loop's lag, its routes at 0."""
        try:
            self._lag.watch(asyncio.get_running_loop())
            if self._begun_in == self.registry.forks:
                return
            self._begun_in = self.registry.forks
            self._http.start(self._settings.version, self._settings.commit)
            self._http.start_routes(known_routes(self._routes_of))
        except Exception:  # noqa: BLE001 a guard: an instrument never raises into the application
            self.registry.count_internal_error("asgi")


def trace_id_of(scope: Scope) -> str | None:
    """Return the trace id of a W3C traceparent header, or None."""
    for name, value in scope.get("headers", ()):
        if name == b"traceparent":
            # https://www.w3.org/TR/trace-context/: version-traceid-parentid-flags
            parts = value.decode("latin-1").split("-")
            if len(parts) >= 4 and len(parts[1]) == 32 and set(parts[1]) <= set("0123456789abcdef"):
                return str(parts[1])
    return None
