"""The instrument around real Django handlers, WSGI and ASGI."""

import asyncio
from typing import Any

import django
import httpx
import pytest
from django.conf import settings
from django.core.asgi import get_asgi_application
from django.core.wsgi import get_wsgi_application
from django.http import Http404, HttpRequest, HttpResponse, StreamingHttpResponse
from django.urls import include, path, re_path
from django.views import View
from topmast_exporter.instrument import wsgi
from topmast_exporter.instrument.django import instrument
from topmast_exporter.instrument.request import mark_model_call
from topmast_exporter.instrument.wsgi import route_class
from topmast_exporter.registry import Registry
from topmast_exporter.testing import samples, value


def item(request: HttpRequest, item: int) -> HttpResponse:
    if item == 404:
        raise Http404
    return HttpResponse(str(item))


def boom(request: HttpRequest) -> HttpResponse:
    raise ZeroDivisionError("a secret: hunter2")


async def ask(request: HttpRequest) -> HttpResponse:
    mark_model_call()
    return HttpResponse("42")


def stream(request: HttpRequest) -> StreamingHttpResponse:
    async def pieces() -> Any:
        yield "data: 1\n\n"

    body = pieces() if hasattr(request, "scope") else iter(["data: 1\n\n"])
    return StreamingHttpResponse(body, content_type="text/event-stream")


@route_class("money")
class Checkout(View):
    def post(self, request: HttpRequest) -> HttpResponse:
        return HttpResponse("paid", status=201)


class Urls:
    """The project's URLconf."""

    urlpatterns = (
        path("", lambda _: HttpResponse("home")),
        path("items/<int:item>/", item),
        path("boom", boom),
        path("shop/", include([path("ask", ask), path("stream", stream), path("checkout", Checkout.as_view())])),
        re_path(r"^old/(?P<name>[a-z]+)$", lambda _, name: HttpResponse(name)),
    )


@pytest.fixture(scope="module", autouse=True)
def project() -> None:
    if not settings.configured:
        settings.configure(
            ALLOWED_HOSTS=["shop"],
            ROOT_URLCONF=Urls,
            MIDDLEWARE=["django.middleware.common.CommonMiddleware"],
            LOGGING_CONFIG=None,
            SECRET_KEY="of the tests",
        )
        django.setup()


def asked(app: Any, *requests: tuple[str, str]) -> list[httpx.Response]:
    """Return the answers of either kind of application."""
    if isinstance(app, wsgi.Middleware):
        transport = httpx.WSGITransport(app, raise_app_exceptions=False)
        with httpx.Client(transport=transport, base_url="http://shop") as http:
            return [http.request(method, path) for method, path in requests]

    async def ask_all() -> list[httpx.Response]:
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://shop") as http:
            return [await http.request(method, path) for method, path in requests]

    return asyncio.run(ask_all())


def counted(registry: Registry) -> set[tuple[str, str, str, str]]:
    return {
        (labels["method"], labels["route"], labels["route_class"], labels["status"])
        for labels, count in samples(registry, "app_http_requests_total")
        if count
    }


KINDS = [pytest.param(get_wsgi_application, id="WSGI"), pytest.param(get_asgi_application, id="ASGI")]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("method", "path", "expected"),
    [
        pytest.param("GET", "/", ("GET", "/", "api", "200"), id="root"),
        pytest.param("GET", "/items/7/", ("GET", "/items/<int:item>/", "api", "200"), id="template"),
        pytest.param("GET", "/items/404/", ("GET", "/items/<int:item>/", "api", "404"), id="404 of a route"),
        pytest.param("GET", "/nowhere", ("GET", "__unmatched__", "api", "404"), id="no match"),
        pytest.param("GET", "/boom", ("GET", "/boom", "api", "500"), id="exception"),
        pytest.param("GET", "/shop/ask", ("GET", "/shop/ask", "llm", "200"), id="a model was called, async view"),
        pytest.param("GET", "/shop/stream", ("GET", "/shop/stream", "stream", "200"), id="event stream"),
        pytest.param("POST", "/shop/checkout", ("POST", "/shop/checkout", "money", "201"), id="class, declared"),
        pytest.param("HACK", "/shop/checkout", ("_other", "/shop/checkout", "money", "405"), id="405"),
        pytest.param("GET", "/old/x", ("GET", "/old/(?P<name>[a-z]+)$", "api", "200"), id="regular expression"),
        pytest.param("GET", "/metrics", ("GET", "/metrics", "health", "200"), id="our own path"),
    ],
)
def test_a_request_is_counted_by_template(kind: Any, method: str, path: str, expected: tuple[str, ...]) -> None:
    registry = Registry()

    asked(instrument(kind(), registry), (method, path))

    assert counted(registry) == {expected}
    assert value(registry, "app_http_requests_in_flight") == 0
    assert value(registry, "exporter_internal_errors_total") is None


@pytest.mark.parametrize("kind", KINDS)
def test_an_exception_that_django_answers_is_counted_by_type(kind: Any) -> None:
    registry, other = Registry(), Registry()
    app, _ = instrument(kind(), registry), instrument(kind(), other)

    answers = asked(app, ("GET", "/boom"), ("GET", "/metrics"))

    assert samples(registry, "app_http_exceptions_total") == [({"route": "/boom", "type": "ZeroDivisionError"}, 1)]
    assert samples(other, "app_http_exceptions_total") == []
    assert "hunter2" not in answers[1].text


@pytest.mark.parametrize("kind", KINDS)
def test_known_routes_start_at_zero(kind: Any) -> None:
    registry = Registry()

    asked(instrument(kind(), registry), ("GET", "/"))

    for method, route, name in [
        ("GET", "/items/<int:item>/", "api"),
        ("POST", "/items/<int:item>/", "api"),
        ("POST", "/shop/checkout", "money"),
    ]:
        labels = {"method": method, "route": route, "route_class": name}
        assert value(registry, "app_http_requests_total", **labels, status="500") == 0
    assert value(registry, "app_http_requests_total", method="GET", route="/shop/checkout") is None


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_happens_when_the_environment_says_so(kind: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOPMAST_DISABLED", "1")
    handler = kind()

    assert instrument(handler, Registry()) is handler
