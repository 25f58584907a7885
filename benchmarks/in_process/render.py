"""What a scrape of many series costs, and how long it stalls the event loop that serves requests.

    python render.py ours|peer SERIES SCRAPES

Prints {"render": seconds, "stall": seconds} as JSON, each the median over the scrapes: the CPU time of writing the
text (best understood as a ratio), and the longest time that a timer of 1 ms was late while the endpoint answered.
Run by benchmarks/exporter.py, each side in a process of its own with the peers' interpreter.
"""

import asyncio
import gc
import json
import statistics
import sys
import time
from collections.abc import Callable, MutableMapping
from typing import Any

LABELS = ("method", "route", "status")


def ours(series: int) -> tuple[Callable[[], object], Any]:
    from topmast_exporter.admission import Limits
    from topmast_exporter.registry import Registry
    from topmast_exporter.render import render
    from topmast_exporter.scrape import Endpoint, Scraper

    registry = Registry(Limits(10**9, 10**9))
    family = registry.counter("app_things_total", "Things.", LABELS)
    for number in range(series):
        family.labels("GET", f"/things/{number}", "200").inc(number)
    return lambda: render(registry), Endpoint(Scraper(registry))


def peer(series: int) -> tuple[Callable[[], object], Any]:
    from prometheus_client import CollectorRegistry, Counter, generate_latest, make_asgi_app

    registry = CollectorRegistry()
    family = Counter("app_things", "Things.", LABELS, registry=registry)
    for number in range(series):
        family.labels("GET", f"/things/{number}", "200").inc(number)
    return lambda: generate_latest(registry), make_asgi_app(registry)


async def stall(app: Any) -> float:
    """Return the longest lateness of a 1 ms timer during one scrape."""
    worst, done = 0.0, False

    async def tick() -> None:
        nonlocal worst
        while not done:
            due = time.perf_counter() + 0.001
            await asyncio.sleep(0.001)
            worst = max(worst, time.perf_counter() - due)

    async def receive() -> MutableMapping[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: MutableMapping[str, Any]) -> None:
        assert message.get("status", 200) == 200

    ticking = asyncio.create_task(tick())
    await asyncio.sleep(0.01)
    worst = 0.0
    headers = [(b"host", b"127.0.0.1"), (b"accept-encoding", b"gzip")]
    scope = {"type": "http", "method": "GET", "path": "/metrics", "query_string": b"", "headers": headers}
    await app(scope, receive, send)
    await asyncio.sleep(0.002)
    done = True
    await ticking
    return worst


async def main(side: str, series: int, scrapes: int) -> dict[str, float]:
    write, app = {"ours": ours, "peer": peer}[side](series)
    gc.collect()
    took = []
    for _ in range(scrapes):
        began = time.process_time()
        write()
        took.append(time.process_time() - began)
    stalls = [await stall(app) for _ in range(scrapes)]
    return {"render": statistics.median(took), "stall": statistics.median(stalls), "worst_stall": max(stalls)}


if __name__ == "__main__":
    print(json.dumps(asyncio.run(main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])))))
