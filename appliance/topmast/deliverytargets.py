"""The sinks that `prove delivery` kills a shipper at: what each is told, what goes wrong with it, what it has.

A store of SQLite is the real one. Logstash and Elasticsearch are stand-ins that fail as they are told to: the
scriptable Lumberjack server and the scriptable bulk API of topmast_shipper's testing modules.
"""

import json
import random
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from typing import Any, NamedTuple

from topmast_shipper import store
from topmast_shipper import testing_elasticsearch as bulk
from topmast_shipper.testing_elasticsearch import BulkStandIn
from topmast_shipper.testing_lumberjack import (
    LumberjackServer,
    accept_then_close,
    keep_alive,
    no_ack,
    partial_ack,
    reset_after_bytes,
    torn_ack,
    well,
)

_STILL_SECONDS = 0.05
_PAUSE = Event()


class Arrived(NamedTuple):
    """One document that a sink has: its id, and the number of its line."""

    id: str
    number: int


@dataclass(frozen=True)
class Target:
    """A sink under proof."""

    options: dict[str, Any]
    """Its entry of the configuration."""
    arrived: Callable[[], list[Arrived]]
    """Everything that it has, in its order; on a wire as often as it was sent."""
    trouble: Callable[[random.Random], None]
    """Make the next things go wrong."""
    keys: bool
    """The store behind it tells documents apart by their ids; what comes twice is there once."""
    met: Callable[[], Counter[str]] = Counter
    """What went wrong so far, by its name."""
    requests: Callable[[], int] | None = None
    """How often it was asked for something: of a sink that takes long to start, so that lives reach its work."""


def wait_until_still(count: Callable[[], int]) -> None:
    """Return when a count has not grown for a while: what a killed shipper had sent may still be on its way."""
    before, now = -1, count()
    while now != before:
        _PAUSE.wait(_STILL_SECONDS)
        before, now = now, count()


@contextmanager
def _sqlite(folder: Path) -> Iterator[Target]:
    logs = folder / "logs"
    found: list[Arrived] = []
    seen: dict[Path, int] = {}

    def arrived() -> list[Arrived]:
        """A store only grows: what was read before is not read again."""
        for part in store.parts(logs):
            with closing(sqlite3.connect(part.path, timeout=10)) as connection:
                since = seen.get(part.path, 0)
                rows = connection.execute("SELECT n, id, document FROM events WHERE n > ? ORDER BY n", (since,))
                for seen[part.path], key, document in rows:
                    found.append(Arrived(key, json.loads(document)["n"]))
        return found

    yield Target({"sqlite": {"path": str(logs)}}, arrived, lambda _chance: None, keys=False)


@contextmanager
def _logstash(folder: Path) -> Iterator[Target]:
    del folder
    with LumberjackServer("logstash") as server:

        def arrived() -> list[Arrived]:
            wait_until_still(lambda: len(server.events))
            return [Arrived(document["event"]["id"], document["n"]) for document in server.events]

        def trouble(chance: random.Random) -> None:
            faults = [
                well(),
                keep_alive(2),
                torn_ack(),
                partial_ack(1),
                partial_ack(1, then="answer"),
                no_ack(),
                no_ack(taken=False),
                accept_then_close(),
                reset_after_bytes(chance.randrange(1, 4096)),
            ]
            server.script(*chance.sample(faults, 3))

        options = {"hosts": [server.address], "timeout_seconds": 5}
        yield Target({"logstash": options}, arrived, trouble, keys=True, met=lambda: server.met)


@contextmanager
def _elasticsearch(folder: Path) -> Iterator[Target]:
    del folder
    with BulkStandIn() as server:

        def arrived() -> list[Arrived]:
            """An index has no order of arrival: it is searched by the place in the file, as `log.offset` has it."""
            wait_until_still(lambda: server.count)
            there = sorted(server.documents.items(), key=lambda each: (each[0][:20], each[1]["log"]["offset"]))
            return [Arrived(key, document["n"]) for key, document in there]

        def trouble(chance: random.Random) -> None:
            if server.script_left:
                return  # the last life met none: what waits is enough
            busy = {chance.randrange(100) for _ in range(10)}
            faults = [
                bulk.well(),
                bulk.refuses(429, "es_rejected_execution_exception"),
                bulk.refuses(503, "cluster_block_exception"),
                bulk.partly_busy(busy),
                bulk.reset(),
                bulk.reset(stored=chance.randrange(50)),
                bulk.reset_after_bytes(chance.randrange(1, 1024)),
                bulk.stall(stored=True),
                bulk.stall(stored=False),
                bulk.half_answer(),
            ]
            server.script(*chance.sample(faults, 3))

        options = {"hosts": [server.url], "timeout_seconds": 0.5}
        yield Target(
            {"elasticsearch": options}, arrived, trouble, keys=False, met=lambda: server.met,
            requests=lambda: server.requests,
        )  # fmt: skip


TARGETS = {"elasticsearch": _elasticsearch, "logstash": _logstash, "sqlite": _sqlite}
