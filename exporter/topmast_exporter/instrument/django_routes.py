"""The routes of Django: what its handler resolves, every pattern of its URLconf, and the exceptions it answers.

`resolve_request` of the handler is listened to, so that a template is the one that Django itself matched
(`resolver_match.route`, with a slash before it): `/items/<int:item>/`, whatever `include()` it stands in.
"""

import sys
from collections.abc import Callable, Iterator
from typing import Any

from topmast_exporter.instrument.wsgi_routes import ENDPOINT, ROUTE, Environ, Raised
from topmast_exporter.registry import Registry

# A function view does not say what it answers.
USUAL_METHODS = ("GET", "POST")

Resolved = Callable[[Any, str, Any], None]


def is_django(app: Any) -> bool:
    """Return whether this is a handler of Django's, WSGI or ASGI."""
    return hasattr(app, "resolve_request") and hasattr(app, "load_middleware")


def on_resolved(handler: Any, registry: Registry, resolved: Resolved) -> None:
    """Call `resolved(request, template, view)` for every request that the handler finds a route for."""
    resolve = handler.resolve_request

    def resolve_request(request: Any) -> Any:
        match = resolve(request)
        try:
            found = request.resolver_match
            resolved(request, template_of(found.route), _marked(found.func))
        except Exception:  # noqa: BLE001 a guard: an instrument never raises into the application
            registry.count_internal_error("django")
        return match

    handler.resolve_request = resolve_request


def on_exception(raised: Callable[[Any, Exception], None]) -> None:
    """Call `raised(request, error)` for every exception that Django turns into a 500, for as long as it runs."""
    from django.core.signals import got_request_exception  # type: ignore[import-untyped]  # Django has no types

    def receive(request: Any = None, **_: Any) -> None:
        error = sys.exc_info()[1]  # the signal is sent while it is handled
        if isinstance(error, Exception):
            raised(request, error)

    got_request_exception.connect(receive, weak=False)


def known_routes() -> Iterator[tuple[str, str, Any]]:
    """Yield (method, template, view) of every pattern of the root URLconf."""
    from django.urls import get_resolver  # type: ignore[import-untyped]  # Django has no types

    yield from _known(get_resolver().url_patterns, "")


def template_of(route: str) -> str:
    """Return a `resolver_match.route` as a template: `/` and the pattern, without the anchor of a regex."""
    return "/" + route.removeprefix("^")


def _known(patterns: Any, prefix: str) -> Iterator[tuple[str, str, Any]]:
    for pattern in patterns:
        own = str(pattern.pattern)
        # As URLResolver joins them.
        route = prefix + own.removeprefix("^") if prefix else own
        inner = getattr(pattern, "url_patterns", None)
        if inner is not None:
            yield from _known(inner, route)
        else:
            for method in _methods(pattern.callback):
                yield method, template_of(route), _marked(pattern.callback)


def _marked(view: Any) -> Any:
    """Return what a decorator marks: the class behind View.as_view() and behind the view sets of REST framework."""
    return getattr(view, "view_class", None) or getattr(view, "cls", None) or view


def _methods(view: Any) -> list[str]:
    actions = getattr(view, "actions", None)  # a view set of REST framework: {"get": "list"}
    if actions:
        return [method.upper() for method in actions]
    kind = getattr(view, "view_class", None)
    if kind is None:
        return list(USUAL_METHODS)
    answered = (name.upper() for name in kind.http_method_names if hasattr(kind, name))
    return [method for method in answered if method not in ("HEAD", "OPTIONS")]


class DjangoRoutes:
    """Of a WSGIHandler."""

    def __init__(self, handler: Any, registry: Registry) -> None:
        def resolved(request: Any, template: str, view: Any) -> None:
            request.environ[ROUTE] = template
            request.environ[ENDPOINT] = view

        on_resolved(handler, registry, resolved)

    def note(self, environ: Environ) -> None:
        """It is noted already."""

    def known(self) -> Iterator[tuple[str, str, Any]]:
        """Yield every pattern of the root URLconf."""
        yield from known_routes()

    def attach(self, raised: Raised) -> None:
        """Listen to Django's signal."""
        on_exception(lambda _request, error: raised(error))
