"""A stretch of time that `topmast cost` is asked about, and the ledger that answers."""

import os
import time
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import click
from topmast_exporter.errors import ExporterError
from topmast_exporter.ledger_report import Row, report
from topmast_exporter.ledger_store import FILE

from topmast import config, lock
from topmast.cli import Call
from topmast.commands.inbox import age
from topmast.errors import NoLedgerError, TopmastError
from topmast.layout import Layout

# Where the Prometheus is that knows what the caches saved; in a container docker-compose.monitoring.yml says it.
PROMETHEUS = "TOPMAST_PROMETHEUS_URL"
_YEARS = (1971, 2999)


def moment(value: str) -> timedelta | datetime:
    """Return `7d` as a timedelta, `2026-11-01` or `2026-11-01T12:00` as a datetime (of the budgets' time zone)."""
    try:
        when = datetime.fromisoformat(value)
    except ValueError:
        try:
            return age(value)
        except click.BadParameter as error:
            raise click.BadParameter(f"{value[:40]!r}: say 24h, 7d, or a day such as 2026-11-01") from error
    if not _YEARS[0] <= when.year <= _YEARS[1]:
        raise click.BadParameter(f"{value[:40]!r}: a year from {_YEARS[0]} to {_YEARS[1]}")
    return when


class Window:
    """A stretch of time in the budgets' time zone, and the ledger that is asked about it."""

    def __init__(self, call: Call, since: timedelta | datetime, until: timedelta | datetime | None) -> None:
        layout = Layout(call.home, call.state)
        self.settings = config.load(call.config, layout).values
        self.zone = ZoneInfo(self.settings["budgets"]["timezone"])
        self.folder = Path(self.settings["exporter"]["data"])
        self.now = time.time()
        self.since = max(0.0, self._at(since))
        self.until = self.now if until is None else self._at(until)
        self.prometheus = os.environ.get(PROMETHEUS) or _prometheus(layout)
        """The appliance's own, while it runs: another one's at the same port knows other applications."""
        if self.since >= self.until:
            first, last = self._words(self.since), self._words(self.until)
            if until is None:
                raise click.UsageError(
                    f"--since ({first}) is not in the past: say an earlier day, or an age such as 7d"
                )
            raise click.UsageError(
                f"--since ({first}) is not before --until ({last}), which is not included itself: say a later --until"
            )
        if not (self.folder / FILE).is_file():
            raise NoLedgerError(
                f"{self.folder / FILE}: no ledger yet: it is made at the first start (`topmast up`); an exporter of "
                "its own has its ledger where `exporter.data` says (-c FILE)"
            )

    def _at(self, when: timedelta | datetime) -> float:
        if isinstance(when, timedelta):
            return self.now - when.total_seconds()
        return (when if when.tzinfo else when.replace(tzinfo=self.zone)).timestamp()

    @property
    def words(self) -> str:
        return f"from {self._words(self.since)} to {self._words(self.until)} ({self.zone.key})"

    def _words(self, at: float) -> str:
        return datetime.fromtimestamp(at, self.zone).strftime("%Y-%m-%d %H:%M")

    def dates(self) -> tuple[Any, Any]:
        """Return the first and the last day that there can be calls of."""
        # the report's quarters begin where the first of them does
        first = datetime.fromtimestamp(self.since, self.zone).date()
        return first, datetime.fromtimestamp(max(self.since, min(self.until - 1, self.now)), self.zone).date()

    def report(self, by: tuple[str, ...], since: float | None = None) -> list[Row]:
        """Return the spend by some dimensions, the dearest first; days the newest first."""
        try:
            # the quarter of an hour that runs now is part of what was spent until now
            start = self.since if since is None else since
            found = report(self.folder, by, start, self.until, self.zone.key)
        except ExporterError as error:
            raise NoLedgerError(str(error)) from error
        return sorted(found, key=lambda row: row.group[0], reverse=True) if by[:1] == ("day",) else found


def _prometheus(layout: Layout) -> str | None:
    try:
        components = lock.status(layout)["components"]
    except TopmastError:
        return None  # nothing runs here: the ledger can be read all the same
    return next((f"http://{one['address']}" for one in components if one["name"] == "prometheus"), None)
