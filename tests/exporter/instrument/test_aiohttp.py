import asyncio
from collections.abc import Callable

import aiohttp
import pytest
from topmast_exporter.instrument.aiohttp import instrument_aiohttp, trace_config
from topmast_exporter.registry import Registry
from topmast_exporter.testing import samples

Calls = Callable[[Registry], dict[tuple[str, str, str], float]]


def test_calls_are_counted_by_host_method_and_status(server: str, calls: Calls) -> None:
    registry = Registry()

    async def ask() -> None:
        async with instrument_aiohttp(aiohttp.ClientSession(), registry) as http:
            for method, path in [("GET", "500"), ("HEAD", "200"), ("GET", "302"), ("HACK", "200")]:
                async with http.request(method, f"{server}/{path}"):
                    pass

    asyncio.run(ask())

    assert calls(registry) == {
        ("127.0.0.1", "GET", "500"): 1,
        ("127.0.0.1", "HEAD", "200"): 1,
        ("127.0.0.1", "GET", "204"): 1,  # the redirect and where it leads to, one call
        ("127.0.0.1", "_other", "501"): 1,
    }
    assert len(samples(registry, "app_http_client_request_duration_seconds_count")) == 4


def test_calls_without_an_answer_are_timeouts_or_errors(server: str, port: int, calls: Calls) -> None:
    registry = Registry()

    async def ask() -> None:
        async with aiohttp.ClientSession(trace_configs=[trace_config(registry)]) as http:
            with pytest.raises(TimeoutError):
                await http.get(f"{server}/hang", timeout=aiohttp.ClientTimeout(total=0.2))
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(http.get(f"{server}/hang"), 0.2)
            with pytest.raises(aiohttp.ClientConnectorError):
                await http.get(f"http://localhost:{port}/")

    asyncio.run(ask())

    assert calls(registry) == {("127.0.0.1", "GET", "timeout"): 2, ("localhost", "GET", "error"): 1}
