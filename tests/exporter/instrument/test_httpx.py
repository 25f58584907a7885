import asyncio
from collections.abc import Callable

import httpx
import pytest
from topmast_exporter.instrument.httpx import instrument_httpx
from topmast_exporter.registry import Registry
from topmast_exporter.testing import samples

Calls = Callable[[Registry], dict[tuple[str, str, str], float]]


def test_calls_are_counted_by_host_method_and_status(server: str, calls: Calls) -> None:
    registry = Registry()

    with instrument_httpx(httpx.Client(follow_redirects=True), registry) as http:
        http.get(f"{server}/500")
        http.head(f"{server}/200")
        http.get(f"{server}/302")  # with where it leads to, one call
        http.request("HACK", f"{server}/200")

    assert calls(registry) == {
        ("127.0.0.1", "GET", "500"): 1,
        ("127.0.0.1", "HEAD", "200"): 1,
        ("127.0.0.1", "GET", "204"): 1,
        ("127.0.0.1", "_other", "501"): 1,
    }
    assert len(samples(registry, "app_http_client_request_duration_seconds_count")) == 4


def test_calls_without_an_answer_are_timeouts_or_errors(server: str, port: int, calls: Calls) -> None:
    registry = Registry()

    async def ask() -> None:
        async with instrument_httpx(httpx.AsyncClient(timeout=0.2), registry) as http:
            with pytest.raises(httpx.TimeoutException):
                await http.get(f"{server}/hang")
            with pytest.raises(httpx.ConnectError):
                await http.get(f"http://localhost:{port}/")
        async with instrument_httpx(httpx.AsyncClient(), registry) as http:
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(http.get(f"{server}/hang"), 0.2)

    asyncio.run(ask())

    assert calls(registry) == {("127.0.0.1", "GET", "timeout"): 2, ("localhost", "GET", "error"): 1}
