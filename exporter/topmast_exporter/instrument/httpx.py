"""Outgoing calls of an httpx client: `instrument_httpx(client)` for httpx.Client and httpx.AsyncClient.

A call is one `client.send`: redirects and authentication round trips inside of it are one call, as the application
sees it. Its time ends with the answer, body included unless it is streamed. The host label is the request's host,
without its port: hosts are few, and beyond the admission they are `_other`.
"""

from inspect import iscoroutinefunction
from time import perf_counter
from typing import Any, TypeVar

from topmast_exporter.admission import OTHER
from topmast_exporter.registry import Registry, default_registry

C = TypeVar("C")

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
DURATION_BOUNDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)

TIMEOUT, FAILED = "timeout", "error"


class HttpClientMetrics:
    """The families of outgoing calls, whatever library makes them."""

    def __init__(self, registry: Registry | None = None) -> None:
        self.registry = registry = registry or default_registry()
        labels = ("host", "method", "status")
        self._requests = registry.counter(
            "app_http_client_requests_total",
            "Outgoing HTTP calls; status is the code, or timeout or error when there was no answer.",
            labels,
            ("host",),
        )
        self._durations = registry.histogram(
            "app_http_client_request_duration_seconds",
            "Time that outgoing HTTP calls took.",
            labels,
            DURATION_BOUNDS,
            ("host",),
        )

    def count(self, host: str, method: str, status: str, seconds: float) -> None:
        """Count one call. Never raises."""
        try:
            method = method.upper()
            labels = (host.lower(), method if method in METHODS else OTHER, status)
            self._requests.labels(*labels).inc()
            self._durations.labels(*labels).observe(seconds)
        except Exception:  # noqa: BLE001 a guard: an instrument never raises into the application
            self.registry.count_internal_error("http_client")


def instrument_httpx(client: C, registry: Registry | None = None) -> C:
    """Return the same httpx client, with its calls counted."""
    metrics = HttpClientMetrics(registry)
    target: Any = client
    send = target.send

    async def send_async(request: Any, **options: Any) -> Any:
        started = perf_counter()
        try:
            response = await send(request, **options)
        except BaseException as error:  # a timeout of the application's own cancels it
            metrics.count(request.url.host, request.method, status_of(error), perf_counter() - started)
            raise
        metrics.count(request.url.host, request.method, str(response.status_code), perf_counter() - started)
        return response

    def send_sync(request: Any, **options: Any) -> Any:
        started = perf_counter()
        try:
            response = send(request, **options)
        except Exception as error:
            metrics.count(request.url.host, request.method, status_of(error), perf_counter() - started)
            raise
        metrics.count(request.url.host, request.method, str(response.status_code), perf_counter() - started)
        return response

    target.send = send_async if iscoroutinefunction(send) else send_sync
    return client


def status_of(error: BaseException) -> str:
    """Return the status of a call without an answer: `timeout` (also when it was cancelled) or `error`."""
    names = {kind.__name__ for kind in type(error).__mro__}
    return TIMEOUT if names & {"TimeoutException", "TimeoutError", "Timeout", "CancelledError"} else FAILED
