"""HTTP requests of a Django project, under WSGI and under ASGI.

    application = instrument(get_wsgi_application())        # or get_asgi_application()

The families and rules are those of every HTTP instrument (`http_metrics.py`); routes are read in `django_routes.py`.
"""

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from inspect import iscoroutinefunction
from typing import Any

from topmast_exporter.instrument import asgi, wsgi
from topmast_exporter.instrument.django_routes import known_routes, on_exception, on_resolved
from topmast_exporter.instrument.http_metrics import HttpMetrics
from topmast_exporter.registry import Registry, default_registry

_SERVED_BY = "topmast.served_by"


@dataclass(frozen=True, slots=True)
class _Route:
    """What an ASGI framework leaves in the scope."""

    path: str
    endpoint: Any
    methods: tuple[str, ...] = ()


def instrument(
    application: Any,
    registry: Registry | None = None,
    metrics_path: str | None = "/metrics",
    *,
    route_classes: Mapping[str, str] | None = None,
    version: str = "",
    commit: str = "",
    workers: str = "",
) -> Any:
    """Return Django's handler, WSGI or ASGI, measured and with its metrics at `metrics_path`.

    Nothing happens when the environment says TOPMAST_DISABLED=1. The options are those of `asgi.instrument`.
    """
    registry = registry or default_registry()
    about: dict[str, Any] = {"route_classes": route_classes, "version": version, "commit": commit, "workers": workers}
    if not iscoroutinefunction(type(application).__call__):
        return wsgi.instrument(application, registry, metrics_path, **about)
    if os.environ.get(asgi.DISABLED) == "1":
        return application
    return asgi.instrument(_Handler(application, registry), registry, metrics_path, **about)


class _Handler:
    """Django's ASGIHandler, with what it resolves left in the scope as other frameworks leave it."""

    def __init__(self, handler: Any, registry: Registry) -> None:
        self._handler = handler
        self._registry = registry
        self._http = HttpMetrics(registry, "", {})
        on_resolved(handler, registry, self._resolved)
        on_exception(self._raised)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        scope[_SERVED_BY] = self

        async def send_lower_case(message: Any) -> None:
            # The ASGI specification has header names in lower case; Django sends them as they were written.
            if message["type"] == "http.response.start":
                message = {**message, "headers": [(name.lower(), value) for name, value in message["headers"]]}
            await send(message)

        await self._handler(scope, receive, send_lower_case)

    @property
    def routes(self) -> Iterator[_Route]:
        """Every route of the project: read when the first request is there, the URLconf is loaded by then."""
        for method, template, view in known_routes():
            yield _Route(template, view, (method,))

    def _resolved(self, request: Any, template: str, view: Any) -> None:
        request.scope["route"] = _Route(template, view)
        request.scope["endpoint"] = view

    def _raised(self, request: Any, error: Exception) -> None:
        try:
            scope = getattr(request, "scope", {})
            if scope.get(_SERVED_BY) is self:
                route = scope.get("route")
                self._http.raised("__unmatched__" if route is None else route.path, error)
        except Exception:  # noqa: BLE001 a guard: an instrument never raises into the application
            self._registry.count_internal_error("django")
