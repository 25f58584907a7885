"""An ingest as it runs: a socket, uvicorn, a real ledger with real prices."""

import asyncio
import sqlite3
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
from topmast_exporter.pricing import refresh
from topmast_exporter.pricing.price import Pricer
from topmast_exporter.registry import Registry
from topmast_exporter.standalone import _listen
from topmast_exporter.testing import value


class Running:
    """One ingest that answers on `url`."""

    def __init__(self, folder: Path, pricer: Pricer, token: str = "") -> None:
        self.folder = folder
        self.registry = Registry()
        self.ledger = Ledger(folder, pricer, self.registry)
        self.ledger.start()
        self._socket = _listen(Address("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        self._ingest = Ingest(self.ledger, self.registry, token, folder=folder)
        self._server = listener.server(self._ingest, WebFile(None))
        self._thread = threading.Thread(target=lambda: asyncio.run(self._server.serve(sockets=[self._socket])))
        self._thread.start()

    def stop(self) -> None:
        self._server.should_exit = True
        self._thread.join()
        self.ledger.stop()
        self._ingest.close()

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
        with sqlite3.connect(self.folder / "ledger.sqlite") as database:
            database.row_factory = sqlite3.Row
            found = [dict(row) for row in database.execute("SELECT * FROM event ORDER BY at_ms, id")]
        database.close()
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
