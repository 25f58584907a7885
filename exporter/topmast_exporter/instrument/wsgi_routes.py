"""The template of the route that served a WSGI request, as Flask, Django or the application itself leaves it.

It stands in the environ, `environ["topmast.route"] = "/items/{item}"`, where any application may write it. Nothing is
matched again: Flask's own request names its rule while it answers (it stands in `environ["werkzeug.request"]` until
then), and Django's handler is asked as it resolves a request (`django_routes.py`).
"""

from collections.abc import Callable, Iterator, MutableMapping
from typing import Any, Protocol

Environ = MutableMapping[str, Any]
Raised = Callable[[Exception], None]

ROUTE, ENDPOINT = "topmast.route", "topmast.endpoint"

# Flask answers these itself wherever it answers GET.
IMPLIED = frozenset({"HEAD", "OPTIONS"})


class Routes(Protocol):
    """What an instrument asks of a framework."""

    def note(self, environ: Environ) -> None:
        """Write the route's template and endpoint into the environ, when there is one; the answer begins now."""

    def known(self) -> Iterator[tuple[str, str, Any]]:
        """Yield (method, template, endpoint) of every route."""

    def attach(self, raised: Raised) -> None:
        """Call `raised` with every exception that the framework turns into a 500 itself."""


class PlainRoutes:
    """Of an application that says its routes itself, or not."""

    def note(self, environ: Environ) -> None:
        """The application has done it."""

    def known(self) -> Iterator[tuple[str, str, Any]]:
        """Yield nothing: only traffic shows them."""
        yield from ()

    def attach(self, raised: Raised) -> None:
        """Nothing to listen to: exceptions leave the application."""


class FlaskRoutes:
    """Of a Flask application, and of those mounted in it by a DispatcherMiddleware."""

    def __init__(self, app: Any) -> None:
        self._app = app

    def note(self, environ: Environ) -> None:
        """Note the rule of the innermost Flask request."""
        request = environ.get("werkzeug.request")
        rule = getattr(request, "url_rule", None) or self._rule_of_another_method(request)
        if rule is not None:
            environ[ROUTE] = rule.rule
            if rule.map is self._app.url_map:
                environ[ENDPOINT] = self._app.view_functions.get(rule.endpoint)

    def known(self) -> Iterator[tuple[str, str, Any]]:
        """Yield every rule of the application's map."""
        for rule in self._app.url_map.iter_rules():
            view = self._app.view_functions.get(rule.endpoint)
            for method in sorted((rule.methods or set()) - IMPLIED):
                yield method, rule.rule, view

    def attach(self, raised: Raised) -> None:
        """Listen to Flask's signal: outside of debug mode an exception becomes a 500 inside of Flask."""
        from flask import got_request_exception

        def receive(_sender: Any, exception: Exception, **_: Any) -> None:
            raised(exception)

        got_request_exception.connect(receive, self._app, weak=False)

    def _rule_of_another_method(self, request: Any) -> Any:
        # 405: the path has a route, the method is not one of it.
        methods = getattr(getattr(request, "routing_exception", None), "valid_methods", None)
        if not methods:
            return None
        adapter = self._app.url_map.bind_to_environ(request.environ)
        return adapter.match(method=methods[0], return_rule=True)[0]
