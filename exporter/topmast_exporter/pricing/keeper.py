"""The prices in force: both tables and the overrides, handed to the ledger and to the drift whenever one changes."""

import logging
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from topmast_exporter.ledger import Ledger
from topmast_exporter.pricing import drift, refresh
from topmast_exporter.pricing.price import Pricer
from topmast_exporter.pricing.table import PriceTable, PriceTableError
from topmast_exporter.registry import Registry

log = logging.getLogger("topmast_exporter.prices")

LOOK_SECONDS = 15.0

_Identity = tuple[int, int, int] | None


class Keeper:
    """Reads the table file again when it is another one. One that cannot be used leaves the old in force."""

    def __init__(self, folder: Path, ledger: Ledger, registry: Registry) -> None:
        self._folder = folder
        self._ledger = ledger
        self._registry = registry
        self._drift = drift.Drift(ledger.models, registry)
        self._lock = threading.Lock()
        self._overrides: Mapping[str, Any] = {}
        self._table: PriceTable | None = None
        self._second: PriceTable | None = None
        self._seen: _Identity = None

    def start(self, overrides: Mapping[str, Any]) -> None:
        """Load the table; the first time it takes half a second. What fails is said, and is unpriced."""
        try:
            self._table = refresh.load(self._folder)
            log.info("prices", extra={"source": self._table.source, "models": self._table.model_count})
        except PriceTableError as error:
            self._failed("no price table: requests are unpriced", error)
        self._seen = self._identity()
        self.use(overrides)

    def compare(self, second: str) -> None:
        """Load the second table, the bundled one or that of a file: drift is known from now on."""
        try:
            self._second = drift.load(self._folder, second)
        except PriceTableError as error:
            self._failed("no second price table: drift is unknown", error)
        self.use(self._overrides)

    def use(self, overrides: Mapping[str, Any]) -> None:
        """Price by these overrides from the next batch on."""
        with self._lock:
            self._overrides = overrides
            self._ledger.use(Pricer(self._table, overrides))
            self._drift.use(self._table, overrides, self._second)

    def look(self) -> None:
        """Use the table file when it is another one than the last time."""
        seen = self._identity()
        if seen == self._seen or seen is None:
            return
        self._seen = seen
        try:
            self._table = refresh.check(self._folder / refresh.FILE)
        except PriceTableError as error:
            self._failed("the new price table cannot be used, the old one stays", error)
            return
        log.info("prices", extra={"source": self._table.source, "models": self._table.model_count})
        self.use(self._overrides)

    def watch(self, ending: threading.Event) -> None:
        """Look again and again until the end."""
        while not ending.wait(LOOK_SECONDS):
            self.look()

    def _identity(self) -> _Identity:
        try:
            status = (self._folder / refresh.FILE).stat()
        except OSError:
            return None
        return status.st_ino, status.st_mtime_ns, status.st_size

    def _failed(self, what: str, error: PriceTableError) -> None:
        self._registry.count_internal_error("prices")
        log.error(what, extra={"error": str(error)})
