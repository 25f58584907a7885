"""Outgoing calls of requests: `instrument_requests(session)`, or `instrument_requests()` for all of the process.

A call is one `session.send` as the application sees it: redirects inside of it are one call, under the host that was
asked first. Its time ends with the answer, body included unless it is streamed.
"""

from collections.abc import Callable
from contextvars import ContextVar
from time import perf_counter
from typing import Any
from urllib.parse import urlsplit

from topmast_exporter.instrument.httpx import HttpClientMetrics, status_of
from topmast_exporter.registry import Registry

# requests follows a redirect by sending again, through the same method.
_inside: ContextVar[bool] = ContextVar("topmast_requests", default=False)


def instrument_requests(session: Any = None, registry: Registry | None = None) -> Any:
    """Return the same session, with its calls counted. Without one, every session of the process from now on.

    `requests.get` and its siblings make a session for each call: only the second form sees them.
    """
    metrics = HttpClientMetrics(registry)
    if session is None:
        import requests

        requests.Session.send = _measured(requests.Session.send, metrics)  # type: ignore[method-assign]  # see above
        return requests.Session
    session.send = _measured(session.send, metrics)
    return session


def _measured(send: Callable[..., Any], metrics: HttpClientMetrics) -> Callable[..., Any]:
    def measured(*args: Any, **options: Any) -> Any:
        if _inside.get():
            return send(*args, **options)
        # The request is the last of the arguments: of the class's method it is the second one.
        request = options.get("request", args[-1] if args else None)
        started, status, token = perf_counter(), "", _inside.set(True)
        try:
            response = send(*args, **options)
            status = str(response.status_code)
        except Exception as error:
            status = status_of(error)
            raise
        finally:
            _inside.reset(token)
            if status:
                _count(metrics, request, status, perf_counter() - started)
        return response

    return measured


def _count(metrics: HttpClientMetrics, request: Any, status: str, seconds: float) -> None:
    try:
        metrics.count(urlsplit(request.url).hostname or "", request.method, status, seconds)
    except Exception:  # noqa: BLE001 a guard: an instrument never raises into the application
        metrics.registry.count_internal_error("requests")
