"""Events that a sink will never take: kept on disk with the reason, so that a person can look and send again."""

import time
from collections.abc import Callable
from pathlib import Path

from topmast_shipper import ecs, timestamps
from topmast_shipper.event import Event

# One older file is kept beside the current one.
MAX_BYTES = 64 << 20


class DeadLetters:
    """An append-only NDJSON file: the line as it was, where it came from, who refused it and why."""

    def __init__(self, folder: Path, max_bytes: int = MAX_BYTES, clock: Callable[[], float] = time.time) -> None:
        self.path = folder / "dead-letters.ndjson"
        self._max_bytes = max_bytes
        self._clock = clock

    def add(self, sink: str, event: Event, reason: str) -> None:
        """Append one event. Raises OSError: the caller must not move on then."""
        letter = {
            "at": timestamps.isoformat(int(self._clock() * 1_000_000)),
            "sink": sink,
            "reason": reason,
            "id": event.id,
            "input": event.origin.input,
            "path": event.origin.path,
            "offset": event.start,
            "message": event.message,
        }
        if self.path.exists() and self.path.stat().st_size >= self._max_bytes:
            self.path.replace(self.path.with_suffix(".1.ndjson"))
        with self.path.open("ab", buffering=0) as file:
            file.write(ecs.dump(letter) + b"\n")
