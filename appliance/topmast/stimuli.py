"""What must move each of the overview's 17 panels, on the running demo, and when a panel has moved (PANELS by name).

A stimulus begins when its context is entered and is taken back when it is left, whatever happens in between.
"""

import contextlib
import os
import signal
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import requests

from topmast import demo, lock
from topmast.errors import TopmastError
from topmast.layout import LOOPBACK, Layout

LASTS_SECONDS = 120.0
Values = Mapping[str, float | None]
"""The last value of each series of a panel, by its legend."""
Moved = Callable[[Values, Values], bool]
Change = Callable[[Layout], AbstractContextManager[None]]


@dataclass(frozen=True)
class Stimulus:
    """One change of the demo, and the panels that it must move."""

    does: str
    change: Change
    moves: Mapping[str, Moved]


def highest(values: Values, beginning: str = "") -> float:
    """Return the greatest last value of the series whose name begins so; 0 when there is none."""
    return max(
        (value for name, value in values.items() if name.startswith(beginning) and value is not None), default=0
    )


def total(values: Values) -> float:
    return sum(value for value in values.values() if value is not None)


def rises(beginning: str = "", *, by: float = 0.0, to: float = 0.0) -> Moved:
    """Return whether the highest series of that beginning has risen by so much, and to so much at the least."""
    return lambda before, now: highest(now, beginning) > max(to, highest(before, beginning) + by)


def falls(beginning: str = "", *, by: float) -> Moved:
    """Return whether any series of that beginning has fallen by so much."""

    def moved(before: Values, now: Values) -> bool:
        pairs = [(old, now.get(name)) for name, old in before.items() if name.startswith(beginning)]
        return any(old is not None and new is not None and new < old - by for old, new in pairs)

    return moved


def any_rises(by: float) -> Moved:
    """Return whether any series has risen by so much, whatever the others did."""

    def moved(before: Values, now: Values) -> bool:
        pairs = [(before.get(name), new) for name, new in now.items()]
        return any(old is not None and new is not None and new > old + by for old, new in pairs)

    return moved


def grows(by: float) -> Moved:
    """Return whether the sum of the series has grown by so much."""
    return lambda before, now: total(now) > total(before) + by


def fault(name: str) -> Change:
    """Return what `topmast demo inject NAME` does, and `topmast demo clear`."""

    @contextmanager
    def change(layout: Layout) -> Iterator[None]:
        demo.start_fault(layout, name, LASTS_SECONDS)
        try:
            yield
        finally:
            demo.clear_faults(layout)

    return change


@contextmanager
def stopped_target(layout: Layout) -> Iterator[None]:
    """Hold node_exporter still: it accepts connections and answers nothing."""
    pid = next(one["pid"] for one in lock.status(layout)["components"] if one["name"] == "node_exporter")
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


@contextmanager
def slow_cache(layout: Layout) -> Iterator[None]:
    """Let the cache answer nobody for 40 ms, ten times a second (CLIENT PAUSE)."""
    ended = threading.Event()

    def pause() -> None:
        with socket.create_connection((LOOPBACK, layout.port("demo-redis")), 5) as plug:
            while not ended.wait(0.1):
                plug.sendall(b"CLIENT PAUSE 40 ALL\r\n")
                plug.recv(64)

    with ThreadPoolExecutor(1) as pool:
        told = pool.submit(pause)
        try:
            yield
        finally:
            ended.set()
            told.result(10)


@contextmanager
def many_requests(layout: Layout) -> Iterator[None]:
    """Send the demo's app some fifty requests a second more."""
    with _repeated(lambda session: session.get(f"{layout.url('demo-app')}/api/products", timeout=10)):
        yield


@contextmanager
def cache_hits(layout: Layout) -> Iterator[None]:
    """Ask one question over and over: all but the first answer come from the cache."""
    question = {"topic": "warm lamp", "text": "Which lamp is the warmest? (asked again)"}
    url = f"{layout.url('demo-app')}/api/assistant/ask"
    with _repeated(lambda session: session.post(url, json=question, timeout=10)):
        yield


@contextmanager
def _repeated(ask: Callable[[requests.Session], object], threads: int = 4, pause: float = 0.05) -> Iterator[None]:
    ended = threading.Event()

    def run() -> None:
        with requests.Session() as session:
            while not ended.wait(pause):
                # An app that is also being broken may refuse; the next request comes anyway.
                with contextlib.suppress(requests.RequestException):
                    ask(session)

    with ThreadPoolExecutor(threads) as pool:
        for _ in range(threads):
            pool.submit(run)
        try:
            yield
        finally:
            ended.set()


@contextmanager
def open_connections(layout: Layout) -> Iterator[None]:
    """Open twenty connections to PostgreSQL, as the shop does, and leave them idle."""
    import psycopg  # the demo's driver: only where there is a demo

    password = demo.postgres_password_file(layout).read_text(encoding="utf-8").strip()
    where = f"host={LOOPBACK} port={layout.port('demo-postgres')} user=shop dbname=shop connect_timeout=10"
    with contextlib.ExitStack() as stack:
        for _ in range(20):
            try:
                connection = psycopg.connect(where, password=password)
            except psycopg.Error as error:
                raise TopmastError(f"PostgreSQL: {error}") from error
            stack.enter_context(contextlib.closing(connection))
        yield


# A share that is seen beside what else writes to the disk.
_FILE_SHARE = 0.01
_FILE_MAX_BYTES = 4_000_000_000


@contextmanager
def large_file(layout: Layout) -> Iterator[None]:
    """Take 1 % of the state folder's disk, at most 4 GB and a quarter of what is free."""
    disk = os.statvfs(layout.state)
    free = disk.f_bavail * disk.f_frsize
    size = min(int(disk.f_blocks * disk.f_frsize * _FILE_SHARE), _FILE_MAX_BYTES, free // 4)
    path = Path(layout.state) / "proof.fill"
    try:
        with path.open("wb") as file:
            try:
                os.posix_fallocate(file.fileno(), 0, size)
            except OSError as error:
                raise TopmastError(f"{path}: {size / 1e6:.0f} MB: {error.strerror}") from error
        yield
    finally:
        path.unlink(missing_ok=True)


def rounds() -> list[list[Stimulus]]:
    """Return the stimuli in rounds: those of one round do not move each other's panels."""
    return [
        [
            Stimulus(
                "node_exporter is stopped",
                stopped_target,
                {"Services up": falls("node", by=0.5)},
            )
        ],
        [
            Stimulus(
                "inject latency", fault("latency"), {"Latency P50, P95, P99": rises("api P95", by=0.15, to=0.3)}
            ),
            Stimulus("the cache pauses", slow_cache, {"Latency P95 by namespace": rises(by=0.01, to=0.02)}),
            Stimulus(
                "twenty connections", open_connections, {"Connections against the limit": rises("Postgre", by=0.1)}
            ),
            Stimulus("a large file", large_file, {"Disk": rises(by=0.0005)}),
        ],
        [
            Stimulus(
                "inject errors",
                fault("errors"),
                {
                    "Error ratio": rises("requests (5xx)", by=0.02),
                    "Firing alerts": any_rises(by=0.5),
                    "Availability and error budget left": falls("error budget left", by=0.005),
                },
            ),
            Stimulus("inject log-errors", fault("log-errors"), {"Errors in the logs": rises("shop", by=10)}),
            Stimulus(
                "inject slow-query", fault("slow-query"), {"Query P95 by operation": rises("select", by=0.5, to=1)}
            ),
        ],
        [
            Stimulus("inject cache-flush", fault("cache-flush"), {"Hit ratio by namespace": falls(by=0.1)}),
            Stimulus("inject memory", fault("memory"), {"Memory": rises("app", by=0.002)}),
            Stimulus("fifty requests a second", many_requests, {"Requests by status class": rises("2xx", by=15)}),
        ],
        [
            Stimulus("inject cpu", fault("cpu"), {"CPU": rises("host", by=0.1, to=0.5)}),
            Stimulus(
                "inject cost-spike",
                fault("cost-spike"),
                {"Spend per hour by model": grows(10), "Spent against budget": rises("day", by=0.0005)},
            ),
        ],
        [
            Stimulus(
                "one question, again and again", cache_hits, {"Saved by the cache": rises("saved in 24 h", by=0.05)}
            )
        ],
    ]
