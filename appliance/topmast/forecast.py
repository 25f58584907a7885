"""When is the disk full? From the pace of the last six hours, and from what is really taken in.

The disk's pace is Prometheus' own regression over the same six hours that the alert DatabaseDiskFilling looks at
(`predict_linear(node_filesystem_avail_bytes[6h], 4 * 3600) < 0`): days until full below a sixth are its four hours.
"""

import contextlib
import os
import sqlite3
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from topmast.checkup import Checkup
from topmast.layout import Layout

DAY_SECONDS = 86_400
# DatabaseDiskFilling: nearly full, or full within so long while less than a quarter is free.
NEARLY_FULL, A_QUARTER, ALERT_SECONDS = 0.1, 0.25, 4 * 3600
# Prometheus' documentation: one to two bytes a sample; until a first block was written that tells.
BYTES_PER_SAMPLE = 1.7
# Less than this says more of the start than of the pace.
LEAST_SECONDS = 1800
MB = 1e6

Ask = Callable[[str], float | None]
"""Answer a PromQL expression with one number, or None."""


@dataclass(frozen=True)
class Forecast:
    """What is known; None is not known (yet)."""

    free: float
    """Of the disk's size, 0 to 1."""
    days: float | None
    """Until the disk is full at its pace; None when it is not getting fuller."""
    metrics_per_day: float | None
    """Bytes."""
    metrics_at_most: float
    logs_per_day: float | None
    logs_at_most: float

    @property
    def alarming(self) -> bool:
        """Return whether DatabaseDiskFilling's condition holds."""
        soon = self.days is not None and self.days * DAY_SECONDS < ALERT_SECONDS
        return self.free < NEARLY_FULL or (self.free < A_QUARTER and soon)


def forecast(
    layout: Layout,
    retention: Mapping[str, Any],
    ask: Ask,
    clock: Callable[[], float] = time.time,
    stored: Path | None = None,
) -> Forecast | None:
    """Return the forecast for the disk of `stored`, the state folder's when not said; None when nobody watches it."""
    disk = f'{{job="node", mountpoint="{mountpoint(stored or layout.state)}"}}'
    free = ask(f"max(node_filesystem_avail_bytes{disk} / node_filesystem_size_bytes{disk})")
    if free is None:
        return None
    now = ask(f"max(predict_linear(node_filesystem_avail_bytes{disk}[6h], 0))")
    pace = ask(f"max(deriv(node_filesystem_avail_bytes{disk}[6h]))")
    age = ask(f"time() - min(min_over_time(timestamp(node_filesystem_avail_bytes{disk})[6h:1m]))")
    known = now is not None and pace is not None and age is not None and age >= LEAST_SECONDS
    days = now / -pace / DAY_SECONDS if known and now is not None and pace is not None and pace < 0 else None
    return Forecast(
        free=free,
        days=days,
        metrics_per_day=_metrics_per_day(ask) if known else None,
        metrics_at_most=float(retention["metrics_bytes"]),
        logs_per_day=_logs_per_day(layout.log_store, clock()),
        logs_at_most=float(retention["logs_bytes"]),
    )


def mountpoint(path: Path) -> str:
    """Return where the disk that holds `path` is mounted, as node_exporter names it."""
    path = path.resolve()
    while not os.path.ismount(path):
        path = path.parent
    return str(path)


def _metrics_per_day(ask: Ask) -> float | None:
    samples = ask("sum(rate(prometheus_tsdb_head_samples_appended_total[30m]))")
    if samples is None:
        return None
    size = ask(
        "sum(prometheus_tsdb_compaction_chunk_size_bytes_sum) / sum(prometheus_tsdb_compaction_chunk_samples_sum)"
    )
    # NaN before the first block.
    return samples * DAY_SECONDS * (size if size and size == size else BYTES_PER_SAMPLE)


def _logs_per_day(store: Path, now: float) -> float | None:
    """Return the store's bytes by the time that its lines span; None for less than half an hour of them."""
    parts = sorted(store.glob("*.sqlite")) if store.is_dir() else []
    if not parts:
        return None
    oldest = None
    with (
        contextlib.suppress(sqlite3.Error),
        contextlib.closing(sqlite3.connect(f"{parts[0].resolve().as_uri()}?mode=ro", uri=True, timeout=5)) as part,
    ):
        oldest = part.execute("SELECT min(time) FROM events").fetchone()[0]
    if oldest is None or now - oldest / 1e6 < LEAST_SECONDS:
        return None
    seconds = float(now - oldest / 1e6)
    return sum(path.stat().st_size for path in parts) / seconds * DAY_SECONDS


def checkup(found: Forecast | None) -> Checkup:
    """Return the forecast as one line; it fails when the alert's condition holds."""
    name = "disk forecast"
    if found is None:
        return Checkup(name, ok=True, message="nobody watches this disk yet")
    until = "not getting fuller (or watched for less than half an hour)"
    if found.days is not None:
        until = f"full in {found.days:.1f} days at its pace" if found.days < 365 else "not full within a year"
    kinds = (
        ("metrics", found.metrics_per_day, found.metrics_at_most),
        ("logs", found.logs_per_day, found.logs_at_most),
    )
    told = [
        f"{kind} take {per_day / MB:,.0f} MB a day, at most {most / MB:,.0f} MB"
        for kind, per_day, most in kinds
        if per_day is not None
    ]
    message = "; ".join([f"{found.free:.0%} free, {until}", *told])
    if not found.alarming:
        return Checkup(name, ok=True, message=message)
    return Checkup(name, ok=False, message=message, remedy="free some disk, or lower `retention:` in topmast.yml")
