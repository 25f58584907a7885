"""The template of the route that served a request, read from what the router left in the scope.

Nothing is matched again: matching every route once more is what makes an instrument's cost grow with the number of
routes. What routers leave (FastAPI 0.165, Starlette 1.10):

- `scope["route"].path` lacks the prefix of an `include_router`; the whole template is
  `scope["fastapi"]["effective_route_context"].path`, for sockets and mounts `….starlette_route.path`.
- A mount's prefix stands in `scope["root_path"]`, but as the client wrote it, so it is resolved through the mounts.
- FastAPI's own pages (/docs) and what `add_route` adds leave no route, only their endpoint.
- 404 leaves neither; 405 leaves the route.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from topmast_exporter.admission import UNMATCHED

MAX_DEPTH = 8
"""Of mounts within mounts: a cycle ends somewhere."""


def known_routes(app: Any, prefix: str = "", depth: int = 0) -> Iterator[tuple[str, str, Any]]:
    """Yield (method, template, endpoint) of every route that the application declares, mounts included."""
    if depth > MAX_DEPTH:
        return
    for route in _routes(app):
        if getattr(route, "endpoint", None) is not None:
            yield from _methods(route, prefix)
        elif getattr(route, "app", None) is not None:
            yield from known_routes(_inner(route), prefix + getattr(route, "path", ""), depth + 1)


def template_of(app: Any, scope: Mapping[str, Any], outer_root: str) -> str:
    """Return the template of the route that served the request, or `__unmatched__`.

    `outer_root` is the scope's root_path before the application saw it.
    """
    root = scope.get("root_path", "")
    inside = root[len(outer_root) :] if root.startswith(outer_root) else ""
    prefix, mounted = mount_template(app, inside)
    path = routed_path(scope)
    route = scope.get("route")
    endpoint = scope.get("endpoint")
    # Starlette also names a Mount as the route: the last part of the prefix already.
    if path is not None and not _is_mount(route):
        return prefix + path or "/"
    if endpoint is None:
        return UNMATCHED
    for _, template, known in known_routes(mounted):
        if known is endpoint:
            return prefix + template
    # A mounted application without routes of its own (StaticFiles) is its mount; one with routes had no match.
    return UNMATCHED if hasattr(endpoint, "routes") else prefix or UNMATCHED


def routed_path(scope: Mapping[str, Any]) -> str | None:
    """Return the path template of the route that the innermost router chose, or None."""
    inner = scope.get("fastapi")
    if inner is not None:
        context = inner.get("effective_route_context")
        if context is not None:
            path: str | None = context.path
            if path:
                return path
            plain = getattr(context, "starlette_route", None)
            if plain is not None and not _is_mount(plain):
                return getattr(plain, "path", None)
    route = scope.get("route")
    return None if route is None else getattr(route, "path", None)


def mount_template(app: Any, inside: str) -> tuple[str, Any]:
    """Return (template, innermost application) of the mounts that took `inside` off the path."""
    template = ""
    for _ in range(MAX_DEPTH):
        if not inside:
            break
        for route in _routes(app):
            regex = getattr(route, "path_regex", None)
            if not _is_mount(route) or regex is None:
                continue
            # The longest part first: the rest of `inside` belongs to mounts within this one.
            match = regex.match(inside + "/")
            if match is not None:
                rest = "/" + match.groupdict().get("path", "")
                template += route.path
                inside = rest.rstrip("/")
                app = _inner(route)
                break
        else:
            break
    return template, app


def _routes(app: Any) -> Iterator[Any]:
    """Yield the routes and mounts of an application, those of FastAPI's included routers with their prefix."""
    for route in getattr(app, "routes", None) or ():
        contexts = getattr(route, "effective_route_contexts", None)
        if contexts is None:
            yield route
        else:
            for context in contexts():
                # Whatever is no API route (a mount, a socket) has its whole path in here instead.
                yield context if context.path else getattr(context, "starlette_route", None)


def _methods(route: Any, prefix: str) -> Iterator[tuple[str, str, Any]]:
    path = getattr(route, "path", None)
    if path is None:
        return
    methods = getattr(route, "methods", None) or ()
    for method in sorted(methods):
        # Starlette adds HEAD to every GET.
        if method != "HEAD" or "GET" not in methods:
            yield method, prefix + path, getattr(route, "endpoint", None)


def _is_mount(route: Any) -> bool:
    return route is not None and getattr(route, "endpoint", None) is None and getattr(route, "app", None) is not None


def _inner(route: Any) -> Any:
    """Return what a mount mounts, seen through the middleware that it may be wrapped in."""
    return route if getattr(route, "routes", None) else route.app
