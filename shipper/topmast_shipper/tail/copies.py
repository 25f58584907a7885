"""Is this new file a copy of a content that we know? What copytruncate leaves behind is not shipped again.

A copy begins with the known head and holds, before every sink's cursor, the bytes that the cursor passed. While
the original is still whole, it may be a copy whose truncation is about to come, or a file that only begins alike
(a banner): time tells, and in doubt it is a file of its own, for a line twice is better than a line lost.
"""

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

from topmast_shipper.checkpoint import Checkpoint, FileRecord
from topmast_shipper.component import Cursor
from topmast_shipper.tail.discovery import legible
from topmast_shipper.tail.generation import Generation
from topmast_shipper.tail.identity import HEAD_BYTES, digest

_log = logging.getLogger(__name__)
# How long a content with unread bytes that left its file waits for its copy to appear.
_PATIENCE_SECONDS = 60.0
# While we were away, whatever was to come has come.
_SHORT_PATIENCE_SECONDS = 2.0


class Verdict(Enum):
    """What a file without a stream is."""

    COPY = "copy"
    WAIT = "wait"
    OWN = "own"


@dataclass
class _Awaited:
    """A content that left its file before or after it was read."""

    record: FileRecord
    size: int | None
    """Bytes it had at the last look; None when it changed while we were away."""
    reason: str
    """Why it is gone: how it is counted if it does not come back."""
    until: float
    adopted: bool = False


class _Heads:
    """A file's first bytes, for comparison with many records at the price of one read."""

    def __init__(self, file: Generation) -> None:
        self._head = file.bytes_at(0, HEAD_BYTES)
        self._digests: dict[int, str] = {}

    def match(self, record: FileRecord) -> bool:
        length = record.head_length
        if len(self._head) < length:
            return False
        if length not in self._digests:
            self._digests[length] = digest(self._head[:length])
        return self._digests[length] == record.head_digest


class Copies:
    """Remembers contents that left their files, and finds them again."""

    def __init__(
        self,
        checkpoint: Checkpoint,
        sinks: Sequence[str],
        wait_seconds: float,
        lost: Callable[[str, int], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._checkpoint = checkpoint
        self._sinks = tuple(sinks)
        self._wait_seconds = wait_seconds
        self._lost = lost
        self._clock = clock
        self._awaited: list[_Awaited] = []

    def go_on(self, sinks: Sequence[str], wait_seconds: float) -> None:
        """Heed a new configuration; who is awaited is awaited."""
        self._sinks, self._wait_seconds = tuple(sinks), wait_seconds

    def await_copy(self, record: FileRecord, size: int | None, reason: str = "truncated") -> None:
        """Look out for the content of a file that lost it; `size` is None when that was while we were away."""
        self._awaited.append(_Awaited(record, size, reason, self._clock() + _PATIENCE_SECONDS))

    def await_gone(self, record: FileRecord) -> None:
        """Look out for the content of a file that is gone since the last run."""
        place = (record.stream, record.generation)
        if all((each.record.stream, each.record.generation) != place for each in self._awaited):
            self._awaited.append(_Awaited(record, None, "deleted", self._clock() + _SHORT_PATIENCE_SECONDS))

    def awaited_paths(self) -> set[str]:
        waiting = [each.record for each in self._awaited if not each.adopted]
        return {path for record in waiting for path in (record.path, record.target) if path}

    def judge(
        self, file: Generation, files: Mapping[tuple[int, int], Generation], changed_at: float
    ) -> tuple[Verdict, FileRecord | None]:
        """Return what the file is, and for a copy whose content it has."""
        doubtful = False
        heads = _Heads(file)
        for each in self._awaited:
            record = each.record
            if (record.device, record.inode) != file.key and self._may_be(file, heads, record):
                if self._continues(file, record):
                    each.adopted = True
                    return Verdict.COPY, record
                doubtful = True
        for record in self._checkpoint.files():
            original = files.get((record.device, record.inode))
            whole = original is not None and original is not file and original.stream == record.stream
            doubtful = doubtful or (whole and self._may_be(file, heads, record))
        quiet = self._clock() - changed_at >= self._wait_seconds
        return (Verdict.WAIT if doubtful and not quiet else Verdict.OWN), None

    def judge_archive(self, file: Generation) -> FileRecord | None:
        """Return whose content a compressed file has, also when its original is still there; None for its own."""
        heads = _Heads(file)
        for record in self._checkpoint.contents():
            if heads.match(record) and self._continues(file, record):
                return record
        return None

    def adopt(self, place: tuple[str, int]) -> None:
        """Take note that a content was found again."""
        for each in self._awaited:
            if (each.record.stream, each.record.generation) == place:
                each.adopted = True

    def expire(self) -> None:
        """Give up on copies that did not come; what was unread then is counted as lost."""
        waiting = []
        for each in self._awaited:
            if self._clock() < each.until:
                waiting.append(each)
            elif not each.adopted and each.size is not None:
                unread = each.size - min(cursor.offset for cursor in self._cursors(each.record))
                if unread > 0:
                    path = legible(each.record.path)
                    _log.error("a file was %s before it was read: %s: %d bytes", each.reason, path, unread)
                    self._lost(each.reason, unread)
        self._awaited = waiting

    def _cursors(self, record: FileRecord) -> list[Cursor]:
        return [self._checkpoint.cursor(sink, record.stream, record.generation) for sink in self._sinks]

    def _may_be(self, file: Generation, heads: _Heads, record: FileRecord) -> bool:
        """Return whether the file begins like that content and, as far as it goes, holds what was passed."""
        if file.size < record.head_length or not heads.match(record):
            return False
        return all(cursor.offset > file.size or file.holds(cursor) for cursor in self._cursors(record))

    def _continues(self, file: Generation, record: FileRecord) -> bool:
        """Return whether the file holds what every sink has passed (one that is shorter does not, yet)."""
        return all(cursor.offset <= file.size and file.holds(cursor) for cursor in self._cursors(record))
