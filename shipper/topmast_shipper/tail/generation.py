"""One content of one file, read by position: what a sink's cursor points into.

A truncated or replaced file is another generation; whoever reads notices by the fingerprint of the bytes
before the cursor, in the same `pread` that brings the new ones (SHIPPING.md section 5: truncated and regrown).
"""

import errno
import os
from collections.abc import Callable, Sequence
from threading import Lock
from typing import TypeVar

from topmast_shipper.checkpoint import FileRecord
from topmast_shipper.component import Block, Cursor, Line
from topmast_shipper.event import Origin
from topmast_shipper.tail import lines as narrow
from topmast_shipper.tail import wide
from topmast_shipper.tail.birth import born_ns, differ
from topmast_shipper.tail.descriptors import Descriptors
from topmast_shipper.tail.discovery import holder, legible
from topmast_shipper.tail.grouping import Framing, group
from topmast_shipper.tail.identity import TAIL_BYTES, digest

# More than a window has lines: a group may take hundreds of them.
_LINES_OF_A_BLOCK = 1 << 20
Answer = TypeVar("Answer")
AnyFile = TypeVar("AnyFile", bound="Generation")


def cursor_at(block: Block, offset: int) -> Cursor:
    """Return the cursor for an offset inside the block, with the fingerprint of the bytes before it.

    Where lines lie across each other it is the place before them: a crash reads them all again.
    """
    offset = next((low for low, high in block.knots if low < offset < high), offset)
    end = offset - block.data_start
    tail = block.data[max(0, end - TAIL_BYTES) : end]
    return Cursor(offset, len(tail), digest(tail))


def descriptor_of(path: str, key: tuple[int, int]) -> int:
    """Return a descriptor of the file with this identity; -1 when the path leads to none, or to another."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError:
        return -1
    try:
        status = os.fstat(descriptor)
    except OSError:
        status = None
    if status is not None and (status.st_dev, status.st_ino) == key:
        return descriptor
    os.close(descriptor)
    return -1


class Generation:
    """A file from its first byte on, until it is truncated, replaced or read to its end and gone."""

    def __init__(
        self,
        path: str,
        device: int,
        inode: int,
        descriptor: int,
        *,
        max_line_bytes: int,
        descriptors: Descriptors,
        framing: Framing | None = None,
    ) -> None:
        self.path = path
        """Where it was first seen: `log.file.path` of its lines, also after a rotation."""
        self.where = path
        """Where it was last seen: where it is opened again."""
        self.target = ""
        """Where the path led, when it was a symbolic link."""
        self.device = device
        self.inode = inode
        self.stream = ""
        """Empty until the first complete line is there; nothing is read before."""
        self.generation = 0
        self.head = b""
        """The first line, which the stream is named after: what a read from the beginning must meet."""
        self.origin = Origin("")
        self.size = 0
        self.modified_ns = 0
        self.rotated = False
        """Another file has its name, or it has none: nobody will go on writing for long."""
        self.final = False
        """Rotated and quiet: an unterminated last line may go."""
        self.waiting = False
        """Perhaps a copy of a known content: not read until that is clear."""
        self.beside = False
        """Matched by no pattern: looked at because it may be the copy of a content that is gone."""
        self.replaced = False
        """A read met other bytes than those it had passed, or another file its inode: the content is a new one."""
        self.fate = "truncated"
        """What became of a content that is replaced: how it is counted if it does not come back."""
        self.paused = False
        """Nothing was added for a while: an event of several lines is complete."""
        self.cuts: frozenset[int] = frozenset()
        """Where a pause ended such an event."""
        self.store_cut: Callable[[int], None] = lambda _offset: None
        """Told of such a place before the event is read."""
        self.framing = framing
        self._descriptor = descriptor
        self._descriptors = descriptors
        self._lock = Lock()
        self.max_line_bytes = max_line_bytes
        self.born_ns = born_ns(descriptor) if descriptor >= 0 else None
        if descriptor >= 0:
            descriptors.opened(self)

    @property
    def key(self) -> tuple[int, int]:
        return (self.device, self.inode)

    @property
    def shown(self) -> str:
        """The path as its lines say it."""
        return legible(self.path)

    @property
    def opened(self) -> bool:
        return self._descriptor >= 0

    def open(self) -> bool:
        """Open the file again where it was last seen, or beside that; return whether it is open."""
        with self._lock:
            if self._descriptor >= 0:
                return True
            self._descriptor = self._opened()
            opened = self._descriptor >= 0
        if opened:
            self._descriptors.opened(self)
        return opened

    def _opened(self) -> int:
        """Return a descriptor of this very file; -1 when it is nowhere near."""
        for _ in range(2):
            descriptor = descriptor_of(self.where, self.key)
            if descriptor >= 0:
                self._recognise(descriptor)
                return descriptor
            there = holder(self.where, self.key)
            if there is None or there.path == self.where:
                break
            self.where = there.path
        return -1

    def _recognise(self, descriptor: int) -> None:
        """Take note when the inode was given to another file while this one was not open."""
        born = born_ns(descriptor)
        if differ(self.born_ns, born):
            self.replaced, self.fate = True, "deleted"
        self.born_ns = self.born_ns or born

    def give_back(self) -> bool:
        """Close the file, unless it has no name any more by which it could be opened again."""
        with self._lock:
            try:
                if self._descriptor >= 0 and os.fstat(self._descriptor).st_nlink == 0:
                    return False
            except OSError:
                pass  # a stale handle is good for nothing, and whoever needs room is not to blame for it
            if self._descriptor >= 0:
                os.close(self._descriptor)
            self._descriptor = -1
            return True

    def close(self) -> None:
        with self._lock:
            if self._descriptor >= 0:
                os.close(self._descriptor)
            self._descriptor = -1

    def release(self) -> int:
        """Give the descriptor to the generation that follows in the same file."""
        with self._lock:
            descriptor, self._descriptor = self._descriptor, -1
            return descriptor

    def status(self) -> os.stat_result | None:
        with self._lock:
            return self._asked(os.fstat) if self._descriptor >= 0 else None

    def bytes_at(self, offset: int, length: int) -> bytes:
        """Return the bytes there; b"" when the file cannot be opened."""
        while self.open():
            with self._lock:
                if self._descriptor >= 0:
                    return self._asked(lambda descriptor: os.pread(descriptor, length, offset))
        return b""

    def _asked(self, ask: Callable[[int], Answer]) -> Answer:
        try:
            return ask(self._descriptor)
        except OSError as error:
            if error.errno == errno.ESTALE:
                # what a file server has forgotten stays forgotten: the next one who asks opens it by its name
                os.close(self._descriptor)
                self._descriptor = -1
            raise

    def may_be(self, record: FileRecord, head: bytes) -> bool:
        """Return whether this is the file of a record, as far as its birth and its first bytes tell."""
        return not differ(self.born_ns, record.born_ns) and digest(head[: record.head_length]) == record.head_digest

    def holds(self, cursor: Cursor) -> bool:
        """Return whether the bytes before the cursor are the ones it passed."""
        tail = self.bytes_at(cursor.offset - cursor.tail_length, cursor.tail_length)
        return len(tail) == cursor.tail_length and (not tail or digest(tail) == cursor.tail_digest)

    def unfinished(self, offset: int) -> bool:
        """Return whether nothing is behind the offset but the beginning of a line: its writer is not done with it."""
        rest = self.size - offset
        return 0 < rest <= self.max_line_bytes and b"\n" not in self.bytes_at(offset, rest)

    def read(self, cursor: Cursor, max_bytes: int, max_lines: int) -> Block | None:
        if not self.stream or self.replaced or self.size <= cursor.offset:
            return None
        block = self._read(cursor, max_bytes, max_lines, forced=False)
        if block is not None and block.end == cursor.offset and self.size - cursor.offset >= max_bytes:
            # a line or a group longer than a block: once more with room for the longest
            most = self.max_line_bytes + (self.framing.max_bytes if self.framing else 0) + 4096
            block = self._read(cursor, max(most, max_bytes), max_lines, forced=True)
        return block if block is not None and block.end > cursor.offset else None

    def _read(self, cursor: Cursor, max_bytes: int, max_lines: int, *, forced: bool) -> Block | None:
        final, paused, size = self.final, self.paused, self.size
        before = cursor.offset - cursor.tail_length
        data = self.bytes_at(before, cursor.tail_length + max_bytes)
        tail = data[: cursor.tail_length]
        met = digest(tail) == cursor.tail_digest if tail else cursor.offset > 0 or data.startswith(self.head)
        if len(tail) < cursor.tail_length or not met or self.replaced:
            self.replaced = self.opened
            return None
        at_end = len(data) < cursor.tail_length + max_bytes
        lines, end = self._split(
            data[cursor.tail_length :],
            cursor.offset,
            tail,
            max_lines=_LINES_OF_A_BLOCK if self.framing else max_lines,
            final=final and at_end,
        )
        if self.framing is None:
            return Block(lines, end, data, before)
        # a pause ends where it was seen: what came since may go on with what is open
        quiet = at_end and (final or (paused and before + len(data) <= size))
        found = group(
            lines, end, self.framing, self.cuts, max_lines, paused=quiet, forced=forced and not at_end
        )  # fmt: skip
        if found.cut is not None:
            self.store_cut(found.cut)
            self.cuts |= {found.cut}
        return Block(found.lines, found.end, data, before, found.knots)

    def _split(
        self, data: bytes, start: int, tail: bytes, *, max_lines: int, final: bool
    ) -> tuple[Sequence[Line], int]:
        most = self.max_line_bytes
        if encoding := wide.encoding_of(self.head):
            rest = wide.continues(tail, encoding)
            return wide.split(
                data, start, encoding, max_line_bytes=most, max_lines=max_lines, continued=rest, final=final
            )
        rest = bool(tail) and tail[-1] not in b"\n\0"
        return narrow.split(data, start, max_line_bytes=most, max_lines=max_lines, continued=rest, final=final)
