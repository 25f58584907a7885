"""An ingest as it runs: a socket, uvicorn, a real ledger with real prices."""

import asyncio
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from topmast_exporter import listener
from topmast_exporter.config import Address
from topmast_exporter.guard import WebFile
from topmast_exporter.ingest import Ingest
from topmast_exporter.ledger import Ledger
from topmast_exporter.ledger_events import blocks, snapshot
from topmast_exporter.pricing import refresh
from topmast_exporter.pricing.price import COMPONENTS, Pricer
from topmast_exporter.pricing.tokens import FIELDS
from topmast_exporter.registry import Registry
from topmast_exporter.standalone import _listen
from topmast_exporter.testing import value


class Running:
    """One ingest that answers on `url`."""

    def __init__(self, folder: Path, pricer: Pricer, token: str = "", *, listens_on_loopback: bool = True) -> None:
        self.folder = folder
        self.registry = Registry()
        self.ledger = Ledger(folder, pricer, self.registry)
        self.ledger.start()
        self._socket = _listen(Address("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        self.ingest = Ingest(self.ledger, self.registry, token, listens_on_loopback, folder=folder)
        self._server = listener.server(self.ingest, WebFile(None), self.ingest.at_once())
        self._thread = threading.Thread(target=lambda: asyncio.run(self._server.serve(sockets=[self._socket])))
        self._thread.start()

    def stop(self) -> None:
        self._server.should_exit = True
        self._thread.join()
        self.ledger.stop()
        self.ingest.close()

    def post(self, path: str, body: bytes, content_type: str = "application/json", **headers: str) -> Any:
        """Return (status, headers, body) of a POST."""
        named = {name.replace("_", "-"): text for name, text in headers.items()}
        request = urllib.request.Request(self.url + path, body, {"content-type": content_type, **named})
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return answer.status, answer.headers, answer.read()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.headers, error.read()

    def count(self, name: str, /, **labels: str) -> float | None:
        """Return a metric's value now."""
        return value(self.registry, name, **labels)

    def rows(self, *columns: str) -> list[dict[str, Any]]:
        """Return the ledger's single events in order of their time, without the empty columns unless asked for."""
        with snapshot(self.folder) as connection:
            stored = [one for _, block in blocks(connection, 0.0, 1e12) for one in block.stored()]
        found = [
            {
                **one.event._asdict(),
                **(one.event.tokens._asdict() if one.event.tokens is not None else dict.fromkeys(FIELDS)),
                "duration_us": None if one.event.duration_seconds is None else one.event.duration_seconds * 1e6,
                "price_status": one.price.status,
                "price_reason": one.price.reason,
                **{f"cost_{part}": cost for part, cost in zip(COMPONENTS, one.price.parts, strict=True)},
            }
            for one in sorted(stored, key=lambda one: (one.event.at, one.event.id))
        ]
        return [{name: row[name] for name in columns} for row in found]


@pytest.fixture(scope="session")
def pricer(tmp_path_factory: pytest.TempPathFactory) -> Pricer:
    return Pricer(refresh.load(tmp_path_factory.mktemp("prices")))


@pytest.fixture
def start(tmp_path: Path, pricer: Pricer) -> Iterator[Callable[..., Running]]:
    """`start(token="…")`: an ingest; the folder stays the same for one that is started after another stopped."""
    started: list[Running] = []

    def start(**options: Any) -> Running:
        started.append(Running(tmp_path, pricer, **options))
        return started[-1]

    yield start
    for one in started:
        one.stop()


@pytest.fixture
def ingest(start: Callable[..., Running]) -> Running:
    return start()
