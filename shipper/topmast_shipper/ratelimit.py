"""How many records a second a logger may write: what is too much is dropped, counted, and the count is written.

Token buckets, one a logger named in the limits (the nearest name above a record's own counts; `""` is every other).
Errors are never dropped: whoever logs a thousand a second has the rarest one among them.
"""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from threading import Lock

MAX_LOGGERS = 4096


@dataclass
class _Bucket:
    name: str
    per_second: float
    left: float
    at: float
    dropped: int = 0


class RateLimit(logging.Filter):
    """A filter for a handler. `total` is how many records it has dropped; `report` is told of each pause's number."""

    def __init__(
        self,
        limits: Mapping[str, float],
        clock: Callable[[], float],
        report: Callable[[str, int], None] = lambda _name, _dropped: None,
    ) -> None:
        """`limits` is records a second by logger name; a second's worth may come at once."""
        super().__init__()
        self._limits = dict(limits)
        self._clock = clock
        self._report = report
        self._buckets: dict[str, _Bucket] = {}
        self._of: dict[str, _Bucket | None] = {}
        self._lock = Lock()
        self.total = 0

    def filter(self, record: logging.LogRecord) -> bool:
        try:
            bucket = self._of[record.name]
        except KeyError:
            bucket = self._find(record.name)
        if bucket is None or record.levelno >= logging.ERROR:
            return True
        with self._lock:
            now = self._clock()
            bucket.left = min(bucket.left + (now - bucket.at) * bucket.per_second, max(bucket.per_second, 1.0))
            bucket.at = now
            if bucket.left < 1:
                bucket.dropped += 1
                self.total += 1
                return False
            bucket.left -= 1
            dropped, bucket.dropped = bucket.dropped, 0
        if dropped:
            self._report(bucket.name, dropped)
        return True

    def close(self) -> None:
        """Report what was dropped since the last record that passed."""
        for bucket in self._buckets.values():
            dropped, bucket.dropped = bucket.dropped, 0
            if dropped:
                self._report(bucket.name, dropped)

    def _find(self, name: str) -> _Bucket | None:
        found = None
        at = name
        while True:
            if at in self._limits:
                found = self._buckets.setdefault(
                    at, _Bucket(at, self._limits[at], max(self._limits[at], 1.0), self._clock())
                )
                break
            if not at:
                break
            at = at.rpartition(".")[0]
        if len(self._of) >= MAX_LOGGERS:
            self._of.clear()
        self._of[name] = found
        return found
