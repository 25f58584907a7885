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

from topmast_shipper.checkpoint import Checkpoint, FileRecord, Place
from topmast_shipper.component import Cursor
from topmast_shipper.tail.discovery import legible
from topmast_shipper.tail.generation import Generation
from topmast_shipper.tail.identity import HEAD_BYTES, digest, first_line

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
    adopter: tuple[int, int] | None = None
    """The plain file that goes on with it (device and inode)."""


class _Heads:
    """A file's first bytes, for comparison with many records at the price of one read."""

    def __init__(self, file: Generation) -> None:
        self._head = file.bytes_at(0, HEAD_BYTES)
        self._digests: dict[int, str] = {}
        self.line = first_line(self._head) or self._head

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
        if all(_place(each.record) != _place(record) for each in self._awaited):
            self._awaited.append(_Awaited(record, None, "deleted", self._clock() + _SHORT_PATIENCE_SECONDS))

    def awaited_paths(self) -> set[str]:
        waiting = [each.record for each in self._awaited if not each.adopted]
        return {path for record in waiting for path in (record.path, record.target) if path}

    def judge(
        self, file: Generation, files: Mapping[tuple[int, int], Generation], changed_at: float
    ) -> tuple[Verdict, FileRecord | None]:
        """Return what the file is, and for a copy whose content it has."""
        heads = _Heads(file)
        known = [
            each
            for each in self._awaited
            if (each.record.device, each.record.inode) != file.key and self._may_be(file, heads, each.record)
        ]
        for each in sorted(known, key=lambda each: self._known(each.record), reverse=True):
            # two that go on under one name would take each other's ids
            if (not each.adopted or each.adopter == file.key) and self._continues(file, each.record):
                each.adopter = file.key  # it asks again where its name could not be stored: a full disk
                self._mark(each.record)
                return Verdict.COPY, each.record
        doubtful = bool(known)
        for record in self._checkpoint.files():
            original = files.get((record.device, record.inode))
            whole = original is not None and original is not file and original.stream == record.stream
            doubtful = doubtful or (whole and self._may_be(file, heads, record))
        quiet = self._clock() - changed_at >= self._wait_seconds
        return (Verdict.WAIT if doubtful and not quiet else Verdict.OWN), None

    def alike(self, file: Generation) -> list[FileRecord]:
        """Return the contents whose beginning, as far as it is known, a compressed file has: the longest first."""
        heads = _Heads(file)
        known = [(self._known(each), each) for each in self._checkpoint.contents() if heads.match(each)]
        known.sort(key=lambda each: each[0])  # there is no way back in such a file
        found = [
            (length, (record.device, record.inode) == file.key, record)
            for length, record in known
            if self._continues(file, record) and not self._doubtful(file, record, heads.line)
        ]
        return [record for *_, record in sorted(found, key=lambda each: each[:2], reverse=True)]

    def has(self, file: Generation, record: FileRecord) -> bool:
        """Return whether the file has what is known of a content."""
        return file.may_be(record, file.bytes_at(0, HEAD_BYTES)) and self._continues(file, record)

    def adopt(self, record: FileRecord, size: int) -> None:
        """Take note that a content was found again, with so many bytes of it."""
        self._mark(record, size)

    def expire(self) -> None:
        """Give up on copies that did not come; what was unread then is counted as lost."""
        waiting = []
        for each in self._awaited:
            if self._clock() < each.until:
                waiting.append(each)
            elif not each.adopted and each.size is not None:
                unread = self._unread(each.record, each.size)
                if unread > 0:
                    path = legible(each.record.path)
                    _log.error("a file was %s before it was read: %s: %d bytes", each.reason, path, unread)
                    self._lost(each.reason, unread)
        self._awaited = waiting

    def _mark(self, record: FileRecord, size: int | None = None) -> None:
        for each in self._awaited:
            whole = size is None or each.size is None or each.size <= size
            each.adopted |= whole and _place(each.record) == _place(record)

    def _cursors(self, record: FileRecord) -> list[Cursor]:
        return [self._checkpoint.cursor(sink, record.stream, record.generation) for sink in self._sinks]

    def _known(self, record: FileRecord) -> int:
        """Return how many bytes at its beginning, at least, are known by a fingerprint."""
        return max([record.head_length, *(cursor.offset for cursor in self._cursors(record))])

    def _doubtful(self, file: Generation, record: FileRecord, line: bytes) -> bool:
        """Return whether no more than the first line speaks for it, where a wrong guess would hide a loss."""
        if self._known(record) > len(line):
            return False
        awaited = [each.size for each in self._awaited if _place(each.record) == _place(record)]
        return any(size is not None and size != file.size and self._unread(record, size) > 0 for size in awaited)

    def _unread(self, record: FileRecord, size: int) -> int:
        return size - min([size, *(cursor.offset for cursor in self._cursors(record))])

    def _may_be(self, file: Generation, heads: _Heads, record: FileRecord) -> bool:
        """Return whether the file begins like that content and, as far as it goes, holds what was passed."""
        if file.size < record.head_length or not heads.match(record):
            return False
        return all(cursor.offset > file.size or file.holds(cursor) for cursor in self._cursors(record))

    def _continues(self, file: Generation, record: FileRecord) -> bool:
        """Return whether the file holds what every sink has passed (one that is shorter does not, yet)."""
        return all(cursor.offset <= file.size and file.holds(cursor) for cursor in self._cursors(record))


def _place(record: FileRecord) -> Place:
    return (record.stream, record.generation)
