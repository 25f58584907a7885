"""Events that a sink will never take: kept on disk with the reason, so that a person can look and send again."""

import fcntl
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from topmast_shipper import ecs, timestamps
from topmast_shipper.event import Event

# One older file is kept beside the current one.
MAX_BYTES = 64 << 20
CURRENT = "dead-letters.ndjson"
OLDER = "dead-letters.1.ndjson"


class DeadLetters:
    """An append-only NDJSON file: the line as it was, where it came from, who refused it and why."""

    def __init__(
        self,
        folder: Path,
        max_bytes: int = MAX_BYTES,
        clock: Callable[[], float] = time.time,
        lost: Callable[[str, int], None] = lambda _reason, _bytes: None,
    ) -> None:
        self.path = folder / CURRENT
        self._max_bytes = max_bytes
        self._clock = clock
        self._lost = lost

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
        with opened(self.path) as descriptor:
            size = os.fstat(descriptor).st_size
            line = ecs.dump(letter) + b"\n"
            if os.write(descriptor, line) != len(line):
                os.ftruncate(descriptor, size)  # half a letter would swallow the next one
                raise OSError(28, "no space left for a dead letter")
            if size + len(line) >= self._max_bytes:
                self._set_aside()

    def _set_aside(self) -> None:
        """Begin another file. What was set aside before is given up, and counted."""
        older = self.path.with_name(OLDER)
        given_up = older.stat().st_size if older.exists() else 0
        self.path.replace(older)
        if given_up:
            self._lost("dead_letters", given_up)


@contextmanager
def opened(path: Path) -> Iterator[int]:
    """Open a file of letters for appending, made if need be; nobody else writes or takes it meanwhile."""
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            try:
                there = path.stat().st_ino == os.fstat(descriptor).st_ino
            except FileNotFoundError:
                there = False
            if there:  # else it was taken between the two calls
                yield descriptor
                return
        finally:
            os.close(descriptor)
