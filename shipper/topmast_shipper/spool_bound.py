"""The bound of a spool's folder that several processes share: what gives way when nobody ships it, and how many went.

It is looked at when a segment begins, never for a record (SHIPPING.md section 5: spool disk full).
"""

import errno
import os
import time
from collections.abc import Callable
from typing import NamedTuple

from topmast_shipper.records import SEGMENT_BYTES, WRITE_BYTES, abandoned, decode

MAX_BYTES = 1 << 30
WHEN_FULL = ("drop_new", "drop_oldest")
"""Which records give way. None is waited for: an application must not stop because of its logs."""

ACTION = "spool_full"
"""The `event.action` of a record that tells how many are missing before it."""
_TELLS = b'"event.action":"spool_full"'

# A segment is this part of the bound: so many processes may each have one begun and shipped before they fill it.
_SEGMENTS = 256
# What a file costs a disk beside its content: a folder of very small segments is bounded too.
_FILE_BYTES = 4096
# How often a full folder is looked at again.
_LOOK_SECONDS = 0.5
# How many segments go at the most before one begins: they are read to count them, and a log call waits for that.
_MOST_AT_ONCE = 8


class _Segment(NamedTuple):
    written_at_nanoseconds: int
    path: str
    size: int


class Bound:
    """Says before each segment whether a folder may take it; drops the oldest where that is the policy."""

    def __init__(
        self,
        max_bytes: int,
        when_full: str,
        dropped: Callable[[int, str], object],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`dropped(records, why)` is told of each segment that went unshipped, or maybe so."""
        self._max_bytes = max_bytes
        self._drops_oldest = when_full == "drop_oldest"
        self._dropped = dropped
        self._clock = clock
        self._full_until = clock()
        self.segment_bytes = max(1, min(SEGMENT_BYTES, max_bytes // _SEGMENTS))

    def make_room(self, folder: str, needed_bytes: int) -> None:
        """Return when the folder may take so many bytes. Raises OSError when it may not."""
        if self._clock() >= self._full_until:
            segments = _segments(folder)
            over = sum(each.size + _FILE_BYTES for each in segments) + needed_bytes - self._max_bytes
            if over > 0 and self._drops_oldest:
                over -= self._drop(segments, over)
            if over <= 0:
                return
            self._full_until = self._clock() + _LOOK_SECONDS
        raise OSError(errno.EDQUOT, f"the spool holds its {self._max_bytes} bytes")

    def _drop(self, segments: list[_Segment], wanted_bytes: int) -> int:
        """Delete the oldest that nobody writes to, as far as is wanted; return how many bytes that gave."""
        given = tried = 0
        for segment in segments:
            if given >= wanted_bytes or tried == _MOST_AT_ONCE:
                break
            # one without content may have a writer that has not locked it yet, and gives nothing
            if segment.size and (count := _remove(segment.path)) is not None:
                tried += 1
                given += segment.size + _FILE_BYTES
                self._dropped(count, "the oldest gave way to what came later")
        return given


class Dropped:
    """How many records this process has dropped; the child of a fork begins at 0."""

    def __init__(self) -> None:
        self._pid = os.getpid()
        self._total = 0
        self.untold = 0
        """How many of them no record in the spool tells of."""
        self.why = ""

    @property
    def total(self) -> int:
        self._forked()
        return self._total

    def add(self, count: int, why: str) -> bool:
        """Count; return whether it is the first since the last were told of."""
        self._forked()
        first = not self.untold
        self._total += count
        self.untold += count
        self.why = why
        return first

    def to_tell(self) -> int:
        self._forked()
        return self.untold

    def told(self, count: int) -> None:
        self.untold -= count

    def _forked(self) -> None:
        if self._pid != os.getpid():
            self._pid, self._total, self.untold = os.getpid(), 0, 0


def _segments(folder: str) -> list[_Segment]:
    """Return the segments of a folder, the oldest first."""
    found = []
    try:
        with os.scandir(folder) as entries:
            for each in entries:
                if each.name.endswith(".seg"):
                    try:
                        status = each.stat()
                    except FileNotFoundError:
                        continue  # shipped meanwhile
                    found.append(_Segment(status.st_mtime_ns, each.path, status.st_size))
    except FileNotFoundError:
        return []  # the first record makes it
    return sorted(found)


def _remove(path: str) -> int | None:
    """Delete a segment and return how many records it held; None when somebody writes to it or it cannot be."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            if not abandoned(descriptor):
                return None
            count = _count(descriptor)
            os.unlink(path)  # noqa: PTH108 - a path of text, as in records.py
            return count
        finally:
            os.close(descriptor)
    except OSError:
        return None


def _count(descriptor: int) -> int:
    """Return how many records a segment holds, without those that tell of others."""
    count = position = 0
    while data := os.pread(descriptor, WRITE_BYTES, position):
        found = decode(data, position, WRITE_BYTES, final=len(data) < WRITE_BYTES)
        count += sum(_TELLS not in record.payload for record in found.records)
        if found.end == position:
            break  # no record in as much as holds several
        position = found.end
    return count
