"""What an attacker's label values cost: memory and series, after random methods, paths and models.

    python attack.py ours|instrumentator|starlette_exporter REQUESTS SEED

Prints {"memory": MB, "series": label sets, "lines": lines of the scrape} as JSON. Run by benchmarks/exporter.py, each
side in a process of its own with the peers' interpreter. Models are ours alone: they go through the cache's record of
what a hit saved, whose `model` label is open.
"""

import asyncio
import gc
import json
import os
import random
import string
import sys
from pathlib import Path
from typing import Any

from asgi import HEADERS, VARIANTS, application, receive

NAMES = {"instrumentator": "prometheus-fastapi-instrumentator"}


async def swallow(_message: Any) -> None:
    """Answers are not looked at."""


async def ask(app: Any, method: str, path: str) -> None:
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "root_path": "",
        "headers": HEADERS,
        "client": ("127.0.0.1", 50_000),
        "server": ("127.0.0.1", 8_000),
        "state": {},
    }
    await app(scope, receive, swallow)


def resident() -> int:
    """Return the resident bytes of this process."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def word(chance: random.Random) -> str:
    return "".join(chance.choices(string.ascii_uppercase, k=12))


async def attack(side: str, count: int, chance: random.Random) -> dict[str, float]:
    registry: Any = None
    if side == "ours":
        from topmast_exporter.instrument.asgi import instrument
        from topmast_exporter.instrument.cache import CacheMetrics
        from topmast_exporter.registry import Registry

        registry = Registry()
        app = instrument(application("fastapi", 1), registry)
        cache = CacheMetrics(registry)
    else:
        app = VARIANTS[NAMES.get(side, side)](application("fastapi", 1))
    for _ in range(300):  # what the framework itself takes at its first requests
        await ask(app, "GET", "/things0/7")
        await ask(app, "GET", "/nothing")
    gc.collect()
    before = resident()
    for _ in range(count):
        await ask(app, word(chance), "/things0/7")
        await ask(app, "GET", f"/{word(chance)}/{word(chance)}")
        await ask(app, "GET", f"/things0/{word(chance)}")
        if registry is not None:
            cache.saved("llm_response", "openai", word(chance), usd=0.001, tokens=10)
    gc.collect()
    grown = resident() - before
    if registry is not None:
        from topmast_exporter.render import render

        series = sum(len(family) for family in registry.families())
        lines = render(registry)[0].count(b"\n")
    else:
        from prometheus_client import REGISTRY, generate_latest

        text = generate_latest(REGISTRY if side == "starlette_exporter" else app.peer_registry)
        series, lines = text.count(b"\n"), text.count(b"\n")
    return {"memory": grown / 2**20, "series": series, "lines": lines}


if __name__ == "__main__":
    chosen, requests, seed = sys.argv[1:]
    print(json.dumps(asyncio.run(attack(chosen, int(requests), random.Random(int(seed))))))
