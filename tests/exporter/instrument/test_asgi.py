"""The middleware around real FastAPI and Starlette applications."""

import asyncio
import gzip
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from fastapi import APIRouter, BackgroundTasks, FastAPI, HTTPException
from fastapi.responses import StreamingResponse
from fastapi.staticfiles import StaticFiles
from prometheus_client.parser import text_string_to_metric_families
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route
from topmast_exporter.admission import Limits
from topmast_exporter.instrument.asgi import Middleware, instrument, route_class
from topmast_exporter.instrument.request import mark_model_call
from topmast_exporter.registry import Registry
from topmast_exporter.testing import samples, value

Application = Callable[..., Awaitable[None]]

MOUNTED_IN_ROUTER = "/api/v1/mounted/{name}/reports/{name}"


@asynccontextmanager
async def client(app: Any) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://shop") as http:
        yield http


def asked(app: Any, *requests: tuple[str, str], headers: dict[str, str] | None = None) -> list[httpx.Response]:
    """Return the answers of an application to (method, path) pairs, one after the other."""

    async def ask() -> list[httpx.Response]:
        async with client(app) as http:
            return [await http.request(method, path, headers=headers) for method, path in requests]

    return asyncio.run(ask())


def counted(registry: Registry) -> set[tuple[str, str, str, str]]:
    """Return (method, route, route_class, status) of every request counted."""
    return {
        (labels["method"], labels["route"], labels["route_class"], labels["status"])
        for labels, count in samples(registry, "app_http_requests_total")
        if count
    }


def shop(tmp_path: Any) -> FastAPI:
    app, items, admin, inner = FastAPI(), APIRouter(prefix="/items"), APIRouter(), FastAPI()

    @app.get("/plain/{number}")
    def plain(number: int) -> int:
        return number

    @items.get("/{item}")
    async def item(item: str) -> str:
        if item == "missing":
            raise HTTPException(404)
        return item

    @inner.get("/reports/{name}")
    async def report(name: str) -> str:
        return name

    @app.get("/boom")
    async def boom() -> None:
        raise ZeroDivisionError("a secret: hunter2")

    async def page(request: Request) -> PlainTextResponse:
        return PlainTextResponse("page")

    admin.include_router(items, prefix="/nested")
    admin.mount("/mounted/{name}", inner)
    admin.add_route("/pages/{name}", page)
    app.include_router(admin, prefix="/api/v1")
    app.mount("/tenants/{tenant}", inner)
    (tmp_path / "a.txt").write_text("a")
    app.mount("/static", StaticFiles(directory=tmp_path))
    return app


@pytest.mark.parametrize(
    ("method", "path", "route", "status"),
    [
        pytest.param("GET", "/plain/1", "/plain/{number}", "200", id="plain"),
        pytest.param("GET", "/plain/x", "/plain/{number}", "422", id="invalid"),
        pytest.param("POST", "/plain/1", "/plain/{number}", "405", id="wrong method"),
        pytest.param("GET", "/api/v1/nested/items/a", "/api/v1/nested/items/{item}", "200", id="routers in routers"),
        pytest.param("GET", "/api/v1/nested/items/missing", "/api/v1/nested/items/{item}", "404", id="own 404"),
        pytest.param("GET", "/tenants/7/reports/q1", "/tenants/{tenant}/reports/{name}", "200", id="mounted"),
        pytest.param("GET", "/tenants/7/nothing", "__unmatched__", "404", id="nothing in the mounted"),
        pytest.param("GET", "/api/v1/mounted/7/reports/q1", MOUNTED_IN_ROUTER, "200", id="mounted in a router"),
        pytest.param("GET", "/api/v1/mounted/7/nothing", "__unmatched__", "404", id="nothing in that"),
        pytest.param("GET", "/api/v1/pages/1", "/api/v1/pages/{name}", "200", id="plain route in a router"),
        pytest.param("GET", "/static/a.txt", "/static", "200", id="static file"),
        pytest.param("GET", "/openapi.json", "/openapi.json", "200", id="a page of FastAPI"),
        pytest.param("GET", "/wp-login.php", "__unmatched__", "404", id="nothing"),
        pytest.param("GET", "/boom", "/boom", "500", id="exception"),
    ],
)
def test_fastapi_requests_are_counted_by_template(
    method: str, path: str, route: str, status: str, tmp_path: Any
) -> None:
    registry = Registry()
    app = instrument(shop(tmp_path), registry)

    answer = asked(app, (method, path))[0]

    assert str(answer.status_code) == status
    assert counted(registry) == {(method, route, "api", status)}
    assert value(registry, "app_http_request_duration_seconds_count", route=route) == 1
    assert value(registry, "app_http_response_start_seconds_count", route_class="api") == 1
    assert value(registry, "app_http_requests_in_flight") == 0
    assert value(registry, "exporter_internal_errors_total") is None


@pytest.mark.parametrize(
    ("path", "route", "status"),
    [
        pytest.param("/hello/x", "/hello/{name}", "200", id="plain"),
        pytest.param("/a/1/b/2", "/a/{one}/b/{two}", "200", id="mounted"),
        pytest.param("/a/1/deep/", "/a/{one}/deep/", "200", id="mounted twice"),
        pytest.param("/a/1/nothing", "__unmatched__", "404", id="nothing in the mounted"),
        pytest.param("/nothing", "__unmatched__", "404", id="nothing"),
    ],
)
def test_starlette_requests_are_counted_by_template(path: str, route: str, status: str) -> None:
    async def hello(request: Request) -> PlainTextResponse:
        return PlainTextResponse("hello")

    registry = Registry()
    inner = [Route("/b/{two}", hello), Mount("/deep", routes=[Route("/", hello)])]
    app = instrument(Starlette(routes=[Route("/hello/{name}", hello), Mount("/a/{one}", routes=inner)]), registry)

    asked(app, ("GET", path))

    assert counted(registry) == {("GET", route, "api", status)}


def test_a_root_path_of_the_server_is_no_part_of_the_route() -> None:
    registry = Registry()
    app, inner = FastAPI(), FastAPI()

    @inner.get("/x/{y}")
    async def x(y: str) -> str:
        return y

    app.mount("/m/{n}", inner)
    instrument(app, registry)

    async def ask() -> None:
        transport = httpx.ASGITransport(app, root_path="/behind")
        async with httpx.AsyncClient(transport=transport, base_url="http://shop") as http:
            assert (await http.get("/behind/m/2/x/1")).status_code == 200
            assert (await http.get("/behind/metrics")).status_code == 200

    asyncio.run(ask())

    assert {route for _, route, _, _ in counted(registry)} == {"/m/{n}/x/{y}", "/metrics"}


def test_known_routes_start_at_zero_before_any_request(tmp_path: Any) -> None:
    registry = Registry()
    app = instrument(shop(tmp_path), registry)

    asked(app, ("GET", "/metrics"))

    assert value(registry, "app_http_requests_total", route=MOUNTED_IN_ROUTER, status="500") == 0
    for status in ("200", "404", "422", "500"):
        labels = {"method": "GET", "route": "/api/v1/nested/items/{item}", "status": status}
        assert value(registry, "app_http_requests_total", **labels) == 0
    assert value(registry, "app_http_requests_total", route="/tenants/{tenant}/reports/{name}", status="500") == 0


def test_many_routes_leave_half_of_the_admission_to_the_traffic() -> None:
    registry = Registry(Limits(per_family=40))
    app = FastAPI()
    for number in range(100):
        app.add_api_route(f"/{number}", lambda: 1)

    asked(instrument(app, registry), ("GET", "/99"))

    assert counted(registry) == {("GET", "/99", "api", "200")}
    assert value(registry, "exporter_label_overflow_total", family="app_http_requests_total") == 0


def test_an_attack_with_methods_and_paths_adds_a_handful_of_label_sets(tmp_path: Any) -> None:
    registry = Registry()
    app = instrument(shop(tmp_path), registry)
    asked(app, ("GET", "/plain/1"))
    before = value(registry, "exporter_series")

    requests = [(f"M{number}", f"/{number}") for number in range(200)]
    asked(app, *requests, *[("GET", f"/tenants/{number}/x") for number in range(200)])

    assert (value(registry, "exporter_series") or 0) - (before or 0) <= 6
    assert value(registry, "app_http_requests_total", method="_other", route="__unmatched__") == 200
    assert value(registry, "app_http_requests_total", method="GET", route="__unmatched__") == 200


def test_exceptions_are_counted_by_type_without_their_message(tmp_path: Any) -> None:
    registry = Registry()
    app = instrument(shop(tmp_path), registry)

    answers = asked(app, ("GET", "/boom"), ("GET", "/metrics"))

    assert value(registry, "app_http_exceptions_total", route="/boom", type="ZeroDivisionError") == 1
    assert "hunter2" not in answers[1].text


def test_at_most_fifty_exception_types_are_told_apart() -> None:
    registry = Registry()
    app = FastAPI()

    @app.get("/{number}")
    async def fail(number: int) -> None:
        raise type(f"Error{number}", (Exception,), {})

    asked(instrument(app, registry), *[("GET", f"/{number}") for number in range(60)])

    assert len(samples(registry, "app_http_exceptions_total")) == 51
    assert value(registry, "app_http_exceptions_total", type="_other") == 10


def classes() -> FastAPI:
    app = FastAPI()

    @app.get("/stream")
    async def stream() -> StreamingResponse:
        async def events() -> AsyncIterator[bytes]:
            mark_model_call()
            yield b"data: 1\n\n"

        return StreamingResponse(events(), media_type="text/event-stream")

    @app.get("/llm")
    async def llm() -> None:
        await asyncio.create_task(in_a_task())

    @app.get("/thread")
    def thread() -> None:
        mark_model_call()

    @app.get("/decorated")
    @route_class("batch")
    async def decorated() -> None:
        mark_model_call()

    @app.get("/configured")
    async def configured() -> None: ...

    @app.get("/healthz")
    async def healthz() -> None: ...

    @app.get("/other")
    async def other() -> None: ...

    async def in_a_task() -> None:
        mark_model_call()

    return app


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        pytest.param("/stream", "stream", id="an event stream, whatever it calls"),
        pytest.param("/llm", "llm", id="a hook fired in a task of the request"),
        pytest.param("/thread", "llm", id="a hook fired in a thread of the request"),
        pytest.param("/decorated", "batch", id="the decorator says it"),
        pytest.param("/configured", "report", id="the configuration says it"),
        pytest.param("/healthz", "health", id="health"),
        pytest.param("/metrics", "health", id="our own"),
        pytest.param("/other", "api", id="anything else"),
    ],
)
def test_the_route_class_follows_the_rules(path: str, expected: str) -> None:
    registry = Registry()
    app = instrument(classes(), registry, route_classes={"/configured": "report"})

    asked(app, ("GET", path))

    assert counted(registry) == {("GET", path, expected, "200")}


def test_a_mark_outside_of_a_request_does_nothing() -> None:
    mark_model_call()


def test_the_clock_stops_at_the_last_byte_not_after_background_tasks() -> None:
    registry, reached = Registry(), []
    app = FastAPI()

    @app.get("/")
    async def index(background: BackgroundTasks) -> None:
        # By the time that it runs, the request is counted.
        background.add_task(
            lambda: reached.append(value(registry, "app_http_request_duration_seconds_count", route="/"))
        )

    asked(instrument(app, registry), ("GET", "/"))

    assert reached == [1]


def test_a_stream_is_in_flight_until_its_last_byte_and_started_before() -> None:
    registry, seen = Registry(), []
    app = FastAPI()

    @app.get("/")
    async def index() -> StreamingResponse:
        async def chunks() -> AsyncIterator[bytes]:
            for _ in range(3):
                seen.append(value(registry, "app_http_requests_in_flight"))
                yield b"x"

        return StreamingResponse(chunks())

    asked(instrument(app, registry), ("GET", "/"))

    assert seen == [1, 1, 1]
    assert value(registry, "app_http_requests_in_flight") == 0
    started = value(registry, "app_http_response_start_seconds_sum") or 0
    assert started < (value(registry, "app_http_request_duration_seconds_sum") or 0)


def test_an_exception_in_the_middle_of_a_stream_is_an_exception_of_a_200() -> None:
    registry = Registry()
    app = FastAPI()

    @app.get("/")
    async def index() -> StreamingResponse:
        async def chunks() -> AsyncIterator[bytes]:
            yield b"x"
            raise KeyError("half-way")

        return StreamingResponse(chunks())

    asked(instrument(app, registry), ("GET", "/"))

    assert counted(registry) == {("GET", "/", "api", "200")}
    assert value(registry, "app_http_exceptions_total", type="KeyError") == 1
    assert value(registry, "app_http_requests_in_flight") == 0


def scope(path: str = "/", method: str = "GET") -> dict[str, Any]:
    return {"type": "http", "method": method, "path": path, "root_path": "", "headers": [], "query_string": b""}


async def no_message() -> dict[str, Any]:
    return {"type": "http.request", "body": b"", "more_body": False}


async def to_nowhere(message: Any) -> None: ...


@pytest.mark.asyncio
async def test_a_cancelled_request_is_counted_as_closed_by_the_client() -> None:
    registry, begun = Registry(), asyncio.Event()

    async def app(*_: Any) -> None:
        begun.set()
        await asyncio.Event().wait()

    task = asyncio.create_task(Middleware(app, registry)(scope(), no_message, to_nowhere))
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert counted(registry) == {("GET", "__unmatched__", "api", "499")}
    assert value(registry, "app_http_requests_in_flight") == 0


@pytest.mark.asyncio
async def test_an_application_that_answers_nothing_is_a_500() -> None:
    registry = Registry()

    async def app(*_: Any) -> None: ...

    await Middleware(app, registry)(scope(), no_message, to_nowhere)

    assert counted(registry) == {("GET", "__unmatched__", "api", "500")}


def test_any_asgi_application_is_wrapped() -> None:
    registry = Registry()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body"})

    assert asked(instrument(app, registry), ("GET", "/x"))[0].status_code == 204
    assert counted(registry) == {("GET", "__unmatched__", "api", "204")}


class HostileScope(dict[str, Any]):
    """A scope whose route raises when it is looked at."""

    def get(self, key: str, default: Any = None) -> Any:
        if key == "route":
            raise RuntimeError("not for you")
        return super().get(key, default)


@pytest.mark.asyncio
async def test_what_the_instrument_trips_over_is_swallowed_and_counted() -> None:
    registry, sent = Registry(), []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"fine"})

    async def send(message: Any) -> None:
        sent.append(message["type"])

    await Middleware(app, registry)(HostileScope(scope()), no_message, send)

    assert sent == ["http.response.start", "http.response.body"]
    assert value(registry, "exporter_internal_errors_total", site="asgi") == 1
    assert value(registry, "app_http_requests_in_flight") == 0


def test_metrics_are_served_with_gzip_and_a_filter() -> None:
    app = instrument(classes(), Registry())

    whole, filtered, posted = asked(
        app, ("GET", "/metrics"), ("GET", "/metrics?name[]=app_build_info"), ("POST", "/metrics")
    )

    assert whole.headers["content-encoding"] == "gzip"
    assert whole.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    names = [family.name for family in text_string_to_metric_families(filtered.text)]
    assert "app_http_requests" in {family.name for family in text_string_to_metric_families(whole.text)}
    assert names == ["app_build_info"]
    assert posted.status_code == 405


def test_metrics_may_be_served_by_somebody_else() -> None:
    registry = Registry()

    assert asked(instrument(FastAPI(), registry, None), ("GET", "/metrics"))[0].status_code == 404


def test_a_slow_or_failed_request_leaves_its_trace_as_an_exemplar() -> None:
    registry = Registry()
    app = FastAPI()

    @app.get("/boom")
    async def boom() -> None:
        raise RuntimeError

    trace = "4bf92f3577b34da6a3ce929d0e0e4736"
    accept = {"accept": "application/openmetrics-text", "traceparent": f"00-{trace}-00f067aa0ba902b7-01"}
    _, metrics = asked(instrument(app, registry), ("GET", "/boom"), ("GET", "/metrics"), headers=accept)

    lines = [line for line in metrics.text.splitlines() if trace in line]
    assert {line.split("{")[0] for line in lines} == {
        "app_http_requests_total",
        "app_http_request_duration_seconds_bucket",
    }


def test_what_runs_is_told() -> None:
    registry = Registry()
    asked(instrument(FastAPI(), registry, version="1.2.3", commit="abc"), ("GET", "/"))

    assert value(registry, "app_build_info", version="1.2.3", commit="abc") == 1
    assert (value(registry, "app_start_time_seconds") or 0) > 1_700_000_000


def test_instrumenting_late_is_refused() -> None:
    app = FastAPI()
    asked(app, ("GET", "/"))

    with pytest.raises(RuntimeError, match="before the application's first request"):
        instrument(app, Registry())


def test_the_kill_switch_leaves_the_application_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOPMAST_DISABLED", "1")
    registry = Registry()

    asked(instrument(FastAPI(), registry), ("GET", "/x"))

    assert counted(registry) == set()


def test_gzip_is_what_it_says() -> None:
    async def raw() -> bytes:
        async with (
            client(instrument(FastAPI(), Registry())) as http,
            http.stream("GET", "/metrics", headers={"accept-encoding": "gzip"}) as answer,
        ):
            return b"".join([chunk async for chunk in answer.aiter_raw()])

    assert b"# TYPE app_http_requests_total counter" in gzip.decompress(asyncio.run(raw()))
