"""The middleware around real Flask applications, and around plain WSGI ones."""

import gzip
import io
import os
from collections.abc import Callable, Iterable, Iterator
from typing import Any
from wsgiref.handlers import SimpleHandler
from wsgiref.util import FileWrapper

import flask
import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families
from topmast_exporter.admission import Limits
from topmast_exporter.instrument.request import mark_model_call
from topmast_exporter.instrument.wsgi import instrument, route_class
from topmast_exporter.registry import Registry
from topmast_exporter.testing import samples, value
from werkzeug.middleware.dispatcher import DispatcherMiddleware
from werkzeug.middleware.proxy_fix import ProxyFix


def asked(app: Any, *requests: tuple[str, str], headers: dict[str, str] | None = None) -> list[httpx.Response]:
    """Return the answers of an application to (method, path) pairs, one after the other."""
    transport = httpx.WSGITransport(app, raise_app_exceptions=False)
    with httpx.Client(transport=transport, base_url="http://shop") as http:
        return [http.request(method, path, headers=headers) for method, path in requests]


def counted(registry: Registry) -> set[tuple[str, str, str, str]]:
    """Return (method, route, route_class, status) of every request counted."""
    return {
        (labels["method"], labels["route"], labels["route_class"], labels["status"])
        for labels, count in samples(registry, "app_http_requests_total")
        if count
    }


def shop() -> flask.Flask:
    app = flask.Flask("shop", static_folder=None)
    admin = flask.Blueprint("admin", "admin", url_prefix="/admin")

    @app.get("/items/<int:item>")
    def item(item: int) -> str:
        return str(item)

    @app.get("/missing")
    def missing() -> str:
        flask.abort(404)

    @app.get("/boom")
    def boom() -> str:
        raise ZeroDivisionError("a secret: hunter2")

    @app.get("/ask")
    def ask() -> str:
        mark_model_call()
        return "42"

    @app.get("/stream")
    def stream() -> flask.Response:
        return flask.Response(iter(["data: 1\n\n", "data: 2\n\n"]), mimetype="text/event-stream")

    @app.get("/healthz")
    def health() -> str:
        return "fine"

    @app.post("/checkout")
    @route_class("money")
    def checkout() -> tuple[str, int]:
        return "paid", 201

    @admin.get("/users/<name>")
    def user(name: str) -> str:
        return name

    app.register_blueprint(admin)
    return app


@pytest.mark.parametrize(
    ("method", "path", "expected"),
    [
        pytest.param("GET", "/items/7", ("GET", "/items/<int:item>", "api", "200"), id="template"),
        pytest.param("GET", "/items/seven", ("GET", "__unmatched__", "api", "404"), id="no match"),
        pytest.param("GET", "/missing", ("GET", "/missing", "api", "404"), id="404 of a route"),
        pytest.param("POST", "/items/7", ("POST", "/items/<int:item>", "api", "405"), id="405 has a route"),
        pytest.param("HACK", "/items/7", ("_other", "/items/<int:item>", "api", "405"), id="method nobody knows"),
        pytest.param("GET", "/boom", ("GET", "/boom", "api", "500"), id="exception"),
        pytest.param("GET", "/ask", ("GET", "/ask", "llm", "200"), id="a model was called"),
        pytest.param("GET", "/stream", ("GET", "/stream", "stream", "200"), id="event stream"),
        pytest.param("GET", "/healthz", ("GET", "/healthz", "health", "200"), id="health"),
        pytest.param("POST", "/checkout", ("POST", "/checkout", "money", "201"), id="declared class"),
        pytest.param("GET", "/admin/users/ann", ("GET", "/admin/users/<name>", "api", "200"), id="blueprint"),
        pytest.param("GET", "/metrics", ("GET", "/metrics", "health", "200"), id="our own path"),
    ],
)
def test_a_request_is_counted_by_template(method: str, path: str, expected: tuple[str, ...]) -> None:
    registry = Registry()

    asked(instrument(shop(), registry), (method, path))

    assert counted(registry) == {expected}
    assert value(registry, "app_http_requests_in_flight") == 0
    assert value(registry, "app_http_request_duration_seconds_count", route=expected[1], method=expected[0]) == 1
    assert value(registry, "exporter_internal_errors_total") is None


def test_a_mounted_application_has_its_mount_in_the_template_and_a_proxys_header_not() -> None:
    registry = Registry()
    app = shop()
    app.wsgi_app = ProxyFix(DispatcherMiddleware(app.wsgi_app, {"/inner": shop()}), x_prefix=1)  # type: ignore[method-assign]  # as Flask's documentation has it

    asked(instrument(app, registry), ("GET", "/inner/items/7"))
    asked(app, ("GET", "/items/7"), headers={"x-forwarded-prefix": "/made-up"})

    assert counted(registry) == {
        ("GET", "/inner/items/<int:item>", "api", "200"),
        ("GET", "/items/<int:item>", "api", "200"),
    }


def test_known_routes_start_at_zero() -> None:
    registry = Registry()

    asked(instrument(shop(), registry), ("GET", "/healthz"))

    for status in ("200", "404", "422", "500"):
        assert value(registry, "app_http_requests_total", route="/items/<int:item>", status=status) == 0
    assert value(registry, "app_http_requests_total", route="/checkout", method="POST", route_class="money") == 0
    assert value(registry, "app_http_requests_total", method="OPTIONS") is None


def test_an_exception_that_flask_answers_is_counted_by_type_alone() -> None:
    registry = Registry()

    answer = asked(instrument(shop(), registry), ("GET", "/boom"))[0]

    assert answer.status_code == 500
    assert samples(registry, "app_http_exceptions_total") == [({"route": "/boom", "type": "ZeroDivisionError"}, 1)]
    assert "hunter2" not in asked(instrument(shop(), registry), ("GET", "/metrics"))[0].text


def test_an_exception_that_leaves_flask_is_counted_once() -> None:
    registry = Registry()
    app = shop()
    app.testing = True

    with pytest.raises(ZeroDivisionError):
        asked(instrument(app, registry), ("GET", "/boom"))

    assert value(registry, "app_http_exceptions_total", type="ZeroDivisionError") == 1
    assert counted(registry) == {("GET", "/boom", "api", "500")}


class Served:
    """One request of a plain WSGI application, in the server's hands."""

    def __init__(self, app: Any, **environ: Any) -> None:
        self.status = ""
        self.environ = {"REQUEST_METHOD": "GET", "PATH_INFO": "/", **environ}
        self.body: Iterable[bytes] = app(self.environ, self.start)

    def start(self, status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Callable[[bytes], object]:
        self.status = status
        return lambda _: None

    def close(self) -> None:
        self.body.close()  # type: ignore[attr-defined]  # a server asks for it first


def test_a_stream_is_in_flight_until_it_is_closed() -> None:
    registry = Registry()
    told: list[str] = []

    def stream(environ: Any, start_response: Any) -> Iterator[bytes]:
        try:
            start_response("200 OK", [])
            yield b"1"
            mark_model_call()
            yield b"2"
        finally:
            told.append("closed")

    served = Served(instrument(stream, registry))
    pieces = iter(served.body)
    first = next(pieces)
    in_flight = value(registry, "app_http_requests_in_flight"), counted(registry)
    rest = list(pieces)
    served.close()

    assert (first, rest, served.status) == (b"1", [b"2"], "200 OK")
    assert in_flight == (1, set())
    assert value(registry, "app_http_requests_in_flight") == 0
    assert counted(registry) == {("GET", "__unmatched__", "llm", "200")}


def test_a_client_that_leaves_a_stream_closes_it() -> None:
    registry = Registry()
    told: list[str] = []

    def stream(environ: Any, start_response: Any) -> Iterator[bytes]:
        start_response("200 OK", [])
        try:
            yield b"1"
            yield b"2"
        finally:
            told.append("closed")

    served = Served(instrument(stream, registry))
    next(iter(served.body))
    served.close()
    served.close()

    assert told == ["closed"]
    assert counted(registry) == {("GET", "__unmatched__", "api", "200")}


def test_an_exception_in_a_stream_is_counted_and_reaches_the_server() -> None:
    registry = Registry()

    def stream(environ: Any, start_response: Any) -> Iterator[bytes]:
        environ["topmast.route"] = "/stream/{name}"
        start_response("200 OK", [])
        yield b"1"
        raise KeyError("half-way")

    served = Served(instrument(stream, registry))
    pieces = iter(served.body)
    next(pieces)
    with pytest.raises(KeyError):
        next(pieces)
    served.close()

    assert samples(registry, "app_http_exceptions_total") == [({"route": "/stream/{name}", "type": "KeyError"}, 1)]
    assert counted(registry) == {("GET", "/stream/{name}", "api", "200")}


def test_an_application_that_never_answers_is_a_500() -> None:
    registry = Registry()

    def broken(environ: Any, start_response: Any) -> Iterable[bytes]:
        raise OSError

    def interrupted(environ: Any, start_response: Any) -> Iterable[bytes]:
        raise SystemExit

    with pytest.raises(OSError):
        Served(instrument(broken, registry))
    with pytest.raises(SystemExit):
        Served(instrument(interrupted, registry))

    assert counted(registry) == {("GET", "__unmatched__", "api", "500"), ("GET", "__unmatched__", "api", "499")}
    assert value(registry, "app_http_requests_in_flight") == 0


def served_by_wsgiref(app: Any) -> bytes:
    """Return all that the standard library's server writes for one request."""
    written = io.BytesIO()
    environ = {"REQUEST_METHOD": "GET", "SERVER_PROTOCOL": "HTTP/1.1", "PATH_INFO": "/"}
    SimpleHandler(io.BytesIO(), written, io.StringIO(), environ).run(app)
    return written.getvalue()


def test_a_server_sees_the_answer_that_it_saw_before() -> None:
    def one_piece(environ: Any, start_response: Any) -> Iterable[bytes]:
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [b"hello"]

    def file(environ: Any, start_response: Any) -> Iterable[bytes]:
        start_response("200 OK", [("Content-Type", "text/plain")])
        return FileWrapper(io.BytesIO(b"hello"))

    registry = Registry()

    assert b"Content-Length: 5" in served_by_wsgiref(one_piece)
    for app in (one_piece, file):
        before = served_by_wsgiref(app)
        assert served_by_wsgiref(instrument(app, registry)) == before
    assert value(registry, "app_http_requests_total") == 2


def test_a_file_keeps_its_wrapper_and_is_closed() -> None:
    registry = Registry()
    opened = io.BytesIO(b"hello")

    def file(environ: Any, start_response: Any) -> Iterable[bytes]:
        start_response("200 OK", [])
        return environ["wsgi.file_wrapper"](opened)  # type: ignore[no-any-return]  # an environ holds anything

    served = Served(instrument(file, registry), **{"wsgi.file_wrapper": FileWrapper})
    in_flight = value(registry, "app_http_requests_in_flight")
    served.close()

    assert isinstance(served.body, FileWrapper)
    assert (in_flight, value(registry, "app_http_requests_in_flight"), opened.closed) == (1, 0, True)


def test_metrics_are_served_as_text_and_as_openmetrics_compressed_and_filtered() -> None:
    app = instrument(shop(), Registry())

    text = asked(app, ("GET", "/metrics"), headers={"accept-encoding": "identity"})[0]
    openmetrics = asked(app, ("GET", "/metrics"), headers={"accept": "application/openmetrics-text"})[0]
    filtered = asked(app, ("GET", "/metrics?name[]=app_http_requests_in_flight"))[0]

    assert "app_http_requests_in_flight" in {family.name for family in text_string_to_metric_families(text.text)}
    assert openmetrics.headers["content-type"].startswith("application/openmetrics-text")
    assert openmetrics.headers["content-encoding"] == "gzip"
    assert openmetrics.text.endswith("# EOF\n")
    assert {family.name for family in text_string_to_metric_families(filtered.text)} == {
        "app_http_requests_in_flight"
    }
    assert gzip.compress(text.content, 1)[:2] == b"\x1f\x8b"


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        pytest.param("HEAD", "/metrics", 200, id="HEAD"),
        pytest.param("POST", "/metrics", 405, id="POST"),
        pytest.param("GET", "/metrics?" + "&".join(f"name[]=n{n}" for n in range(300)), 400, id="too many names"),
    ],
)
def test_other_questions_to_the_endpoint(method: str, path: str, status: int) -> None:
    answer = asked(instrument(shop(), Registry()), (method, path))[0]

    assert (answer.status_code, len(answer.content) == 0) == (status, method == "HEAD")


def test_an_attacker_meets_the_limits() -> None:
    registry = Registry(Limits(per_family=20))
    app = instrument(shop(), registry)

    for number in range(50):
        asked(app, (f"M{number}", f"/{number}"))

    assert counted(registry) == {("_other", "__unmatched__", "api", "404")}
    assert value(registry, "app_http_requests_total", route="__unmatched__") == 50


def test_a_trace_becomes_an_exemplar() -> None:
    registry = Registry()
    trace = "4bf92f3577b34da6a3ce929d0e0e4736"
    headers = {"traceparent": f"00-{trace}-00f067aa0ba902b7-01", "accept": "application/openmetrics-text"}
    app = instrument(shop(), registry)

    asked(app, ("GET", "/boom"), headers=headers)

    assert trace in asked(app, ("GET", "/metrics"), headers=headers)[0].text


def test_nothing_happens_when_the_environment_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOPMAST_DISABLED", "1")

    assert asked(instrument(shop(), Registry()), ("GET", "/metrics"))[0].status_code == 404


def test_a_broken_registry_is_counted_and_never_seen() -> None:
    registry = Registry()

    def odd(environ: Any, start_response: Any) -> Iterable[bytes]:
        start_response("what is this", [])
        environ["REQUEST_METHOD"] = []  # not hashable: no place in any table
        return [b"hello"]

    served = Served(instrument(odd, registry))
    body = b"".join(served.body)
    served.close()

    assert body == b"hello"
    assert value(registry, "exporter_internal_errors_total", site="wsgi") == 2
    assert value(registry, "app_http_requests_in_flight") == 0


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")  # 3.12: forking with threads is what we prove
def test_a_forked_worker_starts_at_zero_and_answers() -> None:
    registry = Registry()
    app = instrument(shop(), registry)
    asked(app, ("GET", "/items/1"), ("GET", "/metrics"))
    reading, writing = os.pipe()

    pid = os.fork()
    if pid == 0:
        text = asked(app, ("GET", "/items/2"), ("GET", "/metrics"))[1].text
        wanted = 'app_http_requests_total{method="GET",route="/items/<int:item>",route_class="api",status="200"} 1.0'
        os.write(writing, b"yes" if wanted in text else b"no")
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        answer = pipe.read()
    os.waitpid(pid, 0)

    assert answer == b"yes"


def test_one_of_several_workers_answers_no_scrape(monkeypatch: pytest.MonkeyPatch) -> None:
    registry = Registry()
    monkeypatch.setenv("TOPMAST_WORKERS_SOCKET", "/nowhere/workers.sock")

    answers = asked(instrument(shop(), registry, workers="shop"), ("GET", "/metrics"), ("GET", "/items/1"))

    assert [answer.status_code for answer in answers] == [404, 200]
    assert registry.pusher is not None
    assert registry.pusher.app == "shop"
    registry.pusher.close(0)
