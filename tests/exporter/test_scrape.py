import asyncio
import gzip
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from prometheus_client import Metric
from topmast_exporter.registry import Registry
from topmast_exporter.scrape import MAX_WAITING, BusyError, Endpoint, Scraper, accepts_gzip, asked_names
from topmast_exporter.testing import value


class Gate:
    """A foreign collector that waits until it is opened, and counts how often it was collected."""

    def __init__(self) -> None:
        self.opened, self.entered = threading.Event(), threading.Event()
        self.times = 0

    def collect(self) -> Iterator[Metric]:
        self.times += 1
        self.entered.set()
        self.opened.wait(10)
        return iter(())


def test_those_who_wait_for_the_same_get_the_same_render() -> None:
    registry, gate = Registry(), Gate()
    registry.register(gate)
    scraper = Scraper(registry)

    first = scraper.submit()
    assert gate.entered.wait(10)
    waiting = [scraper.submit() for _ in range(20)]
    gate.opened.set()

    bodies = {one.result(10).body for one in waiting}
    assert first.result(10).body
    assert len(bodies) == 1
    assert gate.times == 2  # one that was under way, one for all who came meanwhile
    assert value(registry, "exporter_render_seconds_count") == 2


def test_who_comes_after_an_increment_sees_it_though_a_render_is_under_way() -> None:
    registry, gate = Registry(), Gate()
    registry.register(gate)
    counter = registry.counter("x_total", "x").labels()
    scraper = Scraper(registry)

    scraper.submit()
    assert gate.entered.wait(10)
    counter.inc()
    second = scraper.submit()
    gate.opened.set()

    assert b"x_total 1.0\n" in second.result(10).body


def test_a_flood_of_different_scrapes_is_refused() -> None:
    registry, gate = Registry(), Gate()
    registry.register(gate)
    scraper = Scraper(registry)
    scraper.submit()
    assert gate.entered.wait(10)

    for number in range(MAX_WAITING):
        scraper.submit(names=frozenset({str(number)}))
    with pytest.raises(BusyError):
        scraper.submit(names=frozenset({"one more"}))
    gate.opened.set()


def answer(
    endpoint: Endpoint, method: str = "GET", query: bytes = b"", **headers: str
) -> tuple[int, dict[bytes, bytes], bytes]:
    """Return (status, headers, body) of one request."""
    sent: list[Any] = []
    encoded = [(name.replace("_", "-").encode(), text.encode()) for name, text in headers.items()]

    async def send(message: Any) -> None:
        sent.append(message)

    async def receive() -> Any:
        raise AssertionError("a scrape has no body")

    scope = {"type": "http", "method": method, "path": "/metrics", "query_string": query, "headers": encoded}
    asyncio.run(endpoint(scope, receive, send))
    return sent[0]["status"], dict(sent[0]["headers"]), sent[1]["body"]


def test_a_small_answer_is_not_compressed_and_a_large_one_is() -> None:
    registry = Registry()
    endpoint = Endpoint(Scraper(registry))

    _, small, _ = answer(endpoint, query=b"name[]=exporter_series", accept_encoding="gzip")
    family = registry.counter("x_total", "x", ("name",))
    for number in range(100):
        family.labels(f"number {number}")
    _, large, body = answer(endpoint, accept_encoding="br, gzip;q=0.5")

    assert b"content-encoding" not in small
    assert large[b"content-encoding"] == b"gzip"
    assert b'x_total{name="number 99"} 0.0' in gzip.decompress(body)


def test_head_answers_without_a_body() -> None:
    status, headers, body = answer(Endpoint(Scraper(Registry())), "HEAD")

    assert (status, body) == (200, b"")
    assert int(headers[b"content-length"]) > 0


@pytest.mark.parametrize(
    ("method", "query", "status"),
    [
        pytest.param("DELETE", b"", 405, id="method"),
        pytest.param("GET", b"&".join([b"name[]=x"] * 300), 400, id="too many names"),
        pytest.param("GET", b"\xff\xfe=%zz&name[]=%00", 200, id="nonsense"),
    ],
)
def test_a_hostile_request_gets_a_plain_answer(method: str, query: bytes, status: int) -> None:
    assert answer(Endpoint(Scraper(Registry())), method, query)[0] == status


def test_one_scraper_that_hangs_up_does_not_cost_the_others_their_answer() -> None:
    registry, gate = Registry(), Gate()
    registry.register(gate)
    endpoint = Endpoint(Scraper(registry))

    async def both() -> int:
        done: list[int] = []

        async def send(message: Any) -> None:
            done.append(message.get("status", 0))

        async def receive() -> Any: ...

        scope = {"type": "http", "method": "GET", "path": "/metrics", "query_string": b"", "headers": []}
        impatient = asyncio.create_task(endpoint(dict(scope), receive, send))
        patient = asyncio.create_task(endpoint(dict(scope), receive, send))
        await asyncio.to_thread(gate.entered.wait, 10)
        impatient.cancel()
        gate.opened.set()
        await patient
        return done[0]

    assert asyncio.run(both()) == 200


@pytest.mark.parametrize(
    ("header", "accepted"),
    [
        ("gzip", True),
        ("GZIP;q=1.0", True),
        ("br;q=1, gzip;q=0.1", True),
        ("gzip;q=0", False),
        ("identity", False),
        ("", False),
    ],
)
def test_gzip_is_used_only_where_it_is_taken(header: str, accepted: bool) -> None:
    assert accepts_gzip(header) is accepted


def test_the_filter_is_read_from_the_query() -> None:
    assert asked_names(b"name[]=a&name%5B%5D=b&other=c") == {"a", "b"}
