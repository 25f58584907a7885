"""Outgoing calls of aiohttp: `instrument_aiohttp(session)`, or `ClientSession(trace_configs=[trace_config()])`.

Both use aiohttp's own client tracing. Redirects inside of a call are one call, under the host that was asked first.
Its time ends with the answer's headers: the body is read by the application, later.
"""

from time import perf_counter
from typing import TYPE_CHECKING, Any, TypeVar

from topmast_exporter.instrument.httpx import HttpClientMetrics, status_of
from topmast_exporter.registry import Registry

if TYPE_CHECKING:
    from aiohttp import TraceConfig

S = TypeVar("S")


def instrument_aiohttp(session: S, registry: Registry | None = None) -> S:
    """Return the same ClientSession, with its calls counted."""
    config = trace_config(registry)
    config.freeze()
    target: Any = session
    target.trace_configs.append(config)
    return session


def trace_config(registry: Registry | None = None) -> "TraceConfig":
    """Return a trace configuration for a new ClientSession, which counts its calls."""
    import aiohttp

    metrics = HttpClientMetrics(registry)

    async def begun(_session: Any, call: Any, _params: Any) -> None:
        call.topmast_started = perf_counter()

    async def ended(_session: Any, call: Any, params: Any) -> None:
        _count(metrics, call, params, str(params.response.status))

    async def failed(_session: Any, call: Any, params: Any) -> None:
        _count(metrics, call, params, status_of(params.exception))

    config: aiohttp.TraceConfig = aiohttp.TraceConfig()
    config.on_request_start.append(begun)
    config.on_request_end.append(ended)
    config.on_request_exception.append(failed)
    return config


def _count(metrics: HttpClientMetrics, call: Any, params: Any, status: str) -> None:
    try:
        seconds = perf_counter() - call.topmast_started
        metrics.count(params.url.host or "", params.method, status, seconds)
    except Exception:  # noqa: BLE001 a guard: an instrument never raises into the application
        metrics.registry.count_internal_error("aiohttp")
