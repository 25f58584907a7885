"""The shop's cache: six namespaces in one Redis, each with its prefix and its time to live."""

import json
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from redis.asyncio import Redis
from topmast_exporter.instrument.cache import CacheMetrics

REQUESTS_PER_MINUTE = 600
_SEPARATOR = ":"


@dataclass(frozen=True)
class Namespace:
    """One kind of cached value."""

    prefix: str
    ttl_seconds: int


NAMESPACES = {
    "llm_response": Namespace("llm", 900),
    "embedding": Namespace("emb", 1800),
    "semantic": Namespace("sem", 900),
    "session": Namespace("sess", 900),
    "rag": Namespace("rag", 900),
    "rate_limit": Namespace("rl", 60),
}


class Cache:
    """JSON values under `prefix:key`."""

    def __init__(self, redis: "Redis") -> None:
        # One line measures the client: hits, misses, latency, errors, its pool.
        self.metrics = CacheMetrics()
        self._redis = self.metrics.wrap(redis, pool="cache")

    async def get(self, namespace: str, key: str) -> Any | None:
        """Return the value, or None when it is not there."""
        raw = await self._redis.get(_name(namespace, key))
        return None if raw is None else json.loads(raw)

    async def set(self, namespace: str, key: str, value: Any) -> None:
        # ± 20 %: what was made together must not expire together.
        ttl = round(NAMESPACES[namespace].ttl_seconds * random.uniform(0.8, 1.2))
        await self._redis.set(_name(namespace, key), json.dumps(value), ex=ttl)

    async def remember(self, namespace: str, key: str, make: Callable[[], Awaitable[Any]]) -> Any:
        """Return the value; a missing one is made and kept."""
        found = await self.get(namespace, key)
        if found is None:
            found = await make()
            await self.set(namespace, key, found)
        return found

    async def admit(self, client: str) -> bool:
        """Count a request of a client; return whether it is within its minute's allowance."""
        name = _name("rate_limit", client)
        async with self._redis.pipeline() as together:
            together.set(name, 0, ex=NAMESPACES["rate_limit"].ttl_seconds, nx=True)
            together.incr(name)
            new, counted = await together.execute()
        # A pipeline tells no hit from a miss: the application does.
        self.metrics.lookup("rate_limit", "miss" if new else "hit")
        return int(counted) <= REQUESTS_PER_MINUTE

    async def flush(self) -> None:
        await self._redis.flushdb()

    async def fill(self, megabytes: int) -> None:
        """Write that much that nobody asks for (the fault `memory`)."""
        block = "x" * 200_000
        for _ in range(megabytes * 5):
            number = await self._redis.incr("junk")
            await self._redis.set(f"junk:{number}", block, ex=60)


def _name(namespace: str, key: str) -> str:
    return f"{NAMESPACES[namespace].prefix}{_SEPARATOR}{key}"
