"""HTTP requests of a WSGI application: Flask, Django, or any other.

One line installs it: `instrument(app)`. The families and the rules of `route` and `route_class` are METRICS.md's, as
they are for ASGI. A request ends when the server closes the answer, which it does after the last byte (PEP 3333), so
that a stream is measured whole; it begins to be answered with the first piece of its body: the headers wait for it.
"""

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from time import perf_counter
from types import TracebackType
from typing import Any, TypeVar

from topmast_exporter.admission import OTHER, UNMATCHED
from topmast_exporter.instrument.asgi import CLIENT_CLOSED, DISABLED, EXEMPLAR_FROM_SECONDS, Settings, trace_id_of
from topmast_exporter.instrument.django_routes import DjangoRoutes, is_django
from topmast_exporter.instrument.http_metrics import (
    APP_VARIABLE,
    LLM,
    METHODS,
    STREAM,
    HttpMetrics,
    Record,
    route_class,
)
from topmast_exporter.instrument.request import current
from topmast_exporter.instrument.wsgi_routes import ENDPOINT, ROUTE, Environ, FlaskRoutes, PlainRoutes, Routes
from topmast_exporter.registry import Registry, default_registry
from topmast_exporter.scrape import BusyError, Scraper, accepts_gzip, asked_names

__all__ = ["Middleware", "instrument", "route_class"]

ExcInfo = tuple[type[BaseException], BaseException, TracebackType] | tuple[None, None, None] | None
StartResponse = Callable[..., Callable[[bytes], object]]
Application = Callable[[Environ, StartResponse], Iterable[bytes]]
A = TypeVar("A")

# A cache of records, by route template: the bound is for an application that invents its templates.
MAX_RECORDS = 4_096

# A render of 50,000 series takes about 0.02 s: a scrape that waits for longer is better off with an answer.
SCRAPE_SECONDS = 10.0


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

    A Flask application stays the same object; any other WSGI application is wrapped. Nothing happens when the
    environment says TOPMAST_DISABLED=1. `version` and `commit` are what app_build_info says, from the environment
    (APP_VERSION, APP_COMMIT) when empty. `workers` names an application of several worker processes, as
    `asgi.instrument` has it.
    """
    if os.environ.get(DISABLED) == "1":
        return app
    registry = registry or default_registry()
    workers = workers or os.environ.get(APP_VARIABLE, "")
    if workers:
        from topmast_exporter.workers import push

        push.declare(registry, workers)
        metrics_path = None
    settings = Settings(
        metrics_path,
        route_classes or {},
        version or os.environ.get("APP_VERSION", ""),
        commit or os.environ.get("APP_COMMIT", ""),
    )
    target: Any = app
    if hasattr(target, "wsgi_app") and hasattr(target, "url_map"):
        target.wsgi_app = Middleware(target.wsgi_app, registry, settings, FlaskRoutes(target))
        return app
    routes: Routes = DjangoRoutes(target, registry) if is_django(target) else PlainRoutes()
    return Middleware(target, registry, settings, routes)  # type: ignore[return-value]  # a WSGI callable as before


class _Request:
    """One request under way; also its `start_response`."""

    __slots__ = (
        "answered",
        "calls_model",
        "done",
        "environ",
        "error",
        "middleware",
        "own",
        "path",
        "script",
        "start_response",
        "started",
        "status",
        "streams",
    )

    def __init__(self, middleware: "Middleware", environ: Environ, start_response: StartResponse) -> None:
        self.middleware = middleware
        self.environ = environ
        self.start_response = start_response
        self.script = environ.get("SCRIPT_NAME", "")
        self.path = environ.get("PATH_INFO", "")
        self.own = False
        self.calls_model = False
        self.streams = False
        self.done = False
        self.status = 0
        self.answered = 0.0
        self.error: BaseException | None = None
        self.started = perf_counter()

    def __call__(
        self, status: str, headers: list[tuple[str, str]], exc_info: ExcInfo = None
    ) -> Callable[[bytes], object]:
        try:
            self.status = int(status[:3])
            for name, value in headers:
                if name.lower() == "content-type":
                    self.streams = value.startswith("text/event-stream")
                    break
            self.middleware.routes.note(self.environ)
        except Exception:  # noqa: BLE001 a guard: what is wrong with it is for the server to say
            self.middleware.registry.count_internal_error("wsgi")
        if exc_info is None:
            return self.start_response(status, headers)
        return self.start_response(status, headers, exc_info)

    def finish(self, status: int) -> None:
        """Count the request, once; `status` is what it ends in when it was not answered."""
        if not self.done:
            self.done = True
            self.middleware.count(self, self.status or status, perf_counter())


class _Body:
    """The answer's body, watched from its first piece until it is closed."""

    __slots__ = ("_body", "_pieces", "_request")

    def __init__(self, body: Iterable[bytes], request: _Request) -> None:
        self._body = body
        self._request = request
        self._pieces: Iterator[bytes] | None = None

    def __iter__(self) -> Iterator[bytes]:
        body = self._body
        if type(body) is list or type(body) is tuple:
            # Nothing of the application runs between these pieces.
            self._request.answered = perf_counter()
            return iter(body)
        return self

    def __next__(self) -> bytes:
        request = self._request
        token = current.set(request)
        try:
            if self._pieces is None:
                self._pieces = iter(self._body)
            piece = next(self._pieces)
        except StopIteration:
            raise
        except Exception as error:
            request.middleware.raised(request, error)
            raise
        finally:
            current.reset(token)
        if not request.answered:
            request.answered = perf_counter()
        return piece

    def __len__(self) -> int:
        # A server makes a Content-Length of the one piece of a list.
        return len(self._body)  # type: ignore[arg-type]  # TypeError when it has none, as without us

    def __bool__(self) -> bool:
        return True

    def close(self) -> None:
        """The server has sent the last byte, or has given up; what the application does now is not the client's."""
        self._request.finish(500)
        close = getattr(self._body, "close", None)
        if close is not None:
            close()


class Middleware:
    """The measuring WSGI application around another one."""

    def __init__(
        self,
        app: Application,
        registry: Registry | None = None,
        settings: Settings | None = None,
        routes: Routes | None = None,
    ) -> None:
        self._app = app
        self._settings = settings or Settings()
        self.routes = routes or PlainRoutes()
        self.registry = registry or default_registry()
        self._endpoint = Endpoint(Scraper(self.registry))
        self._http = HttpMetrics(self.registry, self._settings.metrics_path or "", self._settings.route_classes)
        self._records: dict[tuple[str, str, int, str], Record] = {}
        self._begun_in = -1
        self.routes.attach(self._raised_inside)

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        if self._begun_in != self.registry.forks:
            self._begin()
        request = _Request(self, environ, start_response)
        request.own = request.path == self._settings.metrics_path
        self._http.began()
        token = current.set(request)
        try:
            body = (self._endpoint if request.own else self._app)(environ, request)
        except Exception as error:
            self.raised(request, error)
            request.finish(500)
            raise
        except BaseException:
            # The worker is told to stop, or the client is gone (gevent).
            request.finish(CLIENT_CLOSED)
            raise
        finally:
            current.reset(token)
        return _watched(body, request)

    def count(self, request: _Request, status: int, ended: float) -> None:
        """Count a request that has ended at `ended` (perf_counter). Never raises."""
        http = self._http
        try:
            record = self._record_of(request, status)
        except Exception:  # noqa: BLE001 a guard: an instrument never raises into the application
            self.registry.count_internal_error("wsgi")
            http.in_flight.dec()
            return
        took = ended - request.started
        http.ended(record, took, (request.answered or ended) - request.started)
        if took >= EXEMPLAR_FROM_SECONDS or status >= 500:
            parent = request.environ.get("HTTP_TRACEPARENT", "").encode("latin-1", "replace")
            trace_id = trace_id_of({"headers": [(b"traceparent", parent)]})
            if trace_id is not None:
                record.mark(took, trace_id)

    def raised(self, request: _Request, error: Exception) -> None:
        """Count an exception of the application, once. Never raises."""
        if error is request.error:
            return
        request.error = error
        try:
            self._http.raised(self._template(request), error)
        except Exception:  # noqa: BLE001 a guard: an instrument never raises into the application
            self.registry.count_internal_error("wsgi")

    def _raised_inside(self, error: Exception) -> None:
        request = current.get()
        if isinstance(request, _Request) and request.middleware is self:
            # Flask forgets its request before the exception leaves it.
            self.routes.note(request.environ)
            self.raised(request, error)

    def _record_of(self, request: _Request, status: int) -> Record:
        method = request.environ.get("REQUEST_METHOD", "")
        if method not in METHODS:
            method = OTHER
        template = self._template(request)
        kind = STREAM if request.streams else LLM if request.calls_model else ""
        key = (method, template, status, kind)
        record = self._records.get(key)
        if record is None:
            code = str(status) if 100 <= status <= 599 else OTHER
            endpoint = None if request.own else request.environ.get(ENDPOINT)
            record = self._http.record(method, template, self._http.class_of(template, endpoint, kind), code)
            if len(self._records) >= MAX_RECORDS:
                self._records.clear()
            self._records[key] = record
        return record

    def _template(self, request: _Request) -> str:
        if request.own:
            return self._settings.metrics_path or ""
        environ = request.environ
        template = environ.get(ROUTE)
        if not isinstance(template, str):
            return UNMATCHED
        # What a dispatcher took off the path (and nothing that a proxy's header put before it) is the mount's prefix.
        prefix = environ.get("SCRIPT_NAME", "")[len(request.script) :]
        mounted = prefix and request.path == prefix + environ.get("PATH_INFO", "")
        return prefix + template if mounted else template

    def _begin(self) -> None:
        """Start what belongs to this process: its start time, its routes at 0."""
        try:
            self._begun_in = self.registry.forks
            self._http.start(self._settings.version, self._settings.commit)
            self._http.start_routes(self.routes.known())
        except Exception:  # noqa: BLE001 a guard: an instrument never raises into the application
            self.registry.count_internal_error("wsgi")


def _watched(body: Iterable[bytes], request: _Request) -> Iterable[bytes]:
    wrapper = request.environ.get("wsgi.file_wrapper")
    if isinstance(wrapper, type) and isinstance(body, wrapper):
        # The server sends this one by sendfile(2), and knows it by its class.
        target: Any = body
        close = getattr(target, "close", None)

        def closed() -> None:
            request.finish(500)
            if close is not None:
                close()

        try:
            target.close = closed
        except AttributeError:
            return _Body(body, request)
        return body
    return _Body(body, request)


class Endpoint:
    """The WSGI application that answers `GET /metrics`, in the thread of whoever asks."""

    def __init__(self, scraper: Scraper) -> None:
        self._scraper = scraper

    def __call__(self, environ: Environ, start_response: StartResponse) -> list[bytes]:
        """Answer one request, whatever its path."""
        method = environ.get("REQUEST_METHOD", "")
        if method not in ("GET", "HEAD"):
            return _answer(start_response, "405 Method Not Allowed", "only GET and HEAD", ("Allow", "GET, HEAD"))
        try:
            names = asked_names(environ.get("QUERY_STRING", "").encode("latin-1", "replace"))
        except ValueError as error:
            return _answer(start_response, "400 Bad Request", str(error))
        gzipped = accepts_gzip(environ.get("HTTP_ACCEPT_ENCODING", ""))
        try:
            scrape = self._scraper.submit(environ.get("HTTP_ACCEPT", ""), names, gzipped).result(SCRAPE_SECONDS)
        except (BusyError, TimeoutError):
            return _answer(
                start_response, "503 Service Unavailable", "too many scrapes at once", ("Retry-After", "1")
            )
        start_response("200 OK", [(name.decode().title(), value.decode()) for name, value in scrape.headers()])
        return [] if method == "HEAD" else [scrape.body]


def _answer(start_response: StartResponse, status: str, text: str, *headers: tuple[str, str]) -> list[bytes]:
    body = text.encode() + b"\n"
    about = [("Content-Type", "text/plain; charset=utf-8"), ("Content-Length", str(len(body)))]
    start_response(status, [*headers, *about])
    return [body]
