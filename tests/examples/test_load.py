"""The customers ask what the app understands, and the same seed asks the same."""

import asyncio
import contextlib

import httpx
import pytest
from reference_app.load import Customers, Plan


def paths(seed: int, count: int) -> list[str]:
    """Return what the customers of a seed ask first, sorted by nothing: in their order."""
    asked: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(f"{request.method} {request.url.raw_path.decode()}")
        return httpx.Response(202 if request.url.path.endswith("/runs") else 200, json={"id": "r"})

    async def run() -> None:
        transport = httpx.MockTransport(answer)
        async with httpx.AsyncClient(transport=transport, base_url="http://shop") as client:
            customers = Customers(client, Plan(rate=1e6, seed=seed))
            task = asyncio.create_task(customers.run())
            while len(asked) < count:
                await asyncio.sleep(0)
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    asyncio.run(run())
    return asked[:count]


def test_the_same_seed_asks_the_same() -> None:
    assert paths(7, 200) == paths(7, 200)
    assert paths(7, 200) != paths(8, 200)


def test_every_kind_of_request_is_made() -> None:
    asked = {path.split("?")[0] for path in paths(7, 2000)}

    assert {"GET /api/products", "GET /api/search", "GET /api/cart", "PUT /api/cart"} <= asked
    assert {"POST /api/checkout", "POST /api/assistant/ask", "POST /api/assistant/stream"} <= asked
    assert {"POST /api/agents/order-support/runs", "GET /health"} <= asked


def test_a_shop_that_does_not_answer_is_asked_again() -> None:
    async def run() -> tuple[int, int]:
        def refuse(request: httpx.Request) -> httpx.Response:
            raise httpx.ConnectError("refused", request=request)

        async with httpx.AsyncClient(transport=httpx.MockTransport(refuse), base_url="http://shop") as client:
            customers = Customers(client, Plan(rate=1e6))
            task = asyncio.create_task(customers.run())
            while customers.failed < 50:
                await asyncio.sleep(0)
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
            return customers.answered, customers.failed

    answered, failed = asyncio.run(run())

    assert answered == 0
    assert failed >= 50


@pytest.mark.parametrize("value", ["1", "25"])
def test_the_rate_is_configured_by_the_environment(value: str) -> None:
    assert Plan.from_environment({"LOAD_RATE": value}).rate == float(value)
