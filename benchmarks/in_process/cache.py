"""What the cache wrapper adds to a GET of redis-py, whose connection answers from memory.

    python cache.py ROUNDS CALLS

Prints {"bare": microseconds, "added": microseconds} as JSON: interleaved rounds, CPU time, the median of the
differences. No server takes part: its time would only add noise.
"""

import gc
import json
import statistics
import sys
import time
from typing import Any

import redis
from redis.connection import Connection, ConnectionPool
from topmast_exporter.instrument.cache import wrap
from topmast_exporter.registry import Registry


class FromMemory(Connection):
    """Answers every command with the same value."""

    def connect(self) -> None: ...
    def connect_check_health(self, *_args: Any, **_options: Any) -> None: ...
    def send_command(self, *_args: Any, **_options: Any) -> None: ...
    def can_read(self, *_args: Any, **_options: Any) -> bool:
        return False

    def read_response(self, *_args: Any, **_options: Any) -> bytes:
        return b"x" * 100


def client() -> redis.Redis:
    return redis.Redis(connection_pool=ConnectionPool(connection_class=FromMemory))


def main(rounds: int, calls: int) -> dict[str, float]:
    registry = Registry()
    clients = {"bare": client(), "ours": wrap(client(), registry)}
    took: dict[str, list[float]] = {name: [] for name in clients}
    gc.collect()
    for number in range(rounds):
        for name in sorted(clients, reverse=number % 2 == 1):
            get = clients[name].get
            began = time.process_time()
            for _ in range(calls):
                get("llm:response:1234")
            took[name].append((time.process_time() - began) / calls * 1e6)
    hits = registry.counter("cache_requests_total", "", ("namespace", "operation", "result"), ("namespace",))
    assert hits.labels("llm_response", "get", "hit").value == rounds * calls
    added = statistics.median(one - bare for one, bare in zip(took["ours"], took["bare"], strict=True))
    return {"bare": statistics.median(took["bare"]), "added": added}


if __name__ == "__main__":
    print(json.dumps(main(*map(int, sys.argv[1:]))))
