"""One content of one file, read by position: what a sink's cursor points into.

A truncated or replaced file is another generation; whoever reads notices by the fingerprint of the bytes
before the cursor, in the same `pread` that brings the new ones (SHIPPING.md section 5: truncated and regrown).
"""

import os
from threading import Lock

from topmast_shipper.component import Block, Cursor
from topmast_shipper.event import Origin
from topmast_shipper.tail.identity import TAIL_BYTES, digest
from topmast_shipper.tail.lines import split


def cursor_at(block: Block, offset: int) -> Cursor:
    """Return the cursor for an offset inside the block, with the fingerprint of the bytes before it."""
    end = offset - block.data_start
    tail = block.data[max(0, end - TAIL_BYTES) : end]
    return Cursor(offset, len(tail), digest(tail))


class Generation:
    """An open file from its first byte on, until it is truncated, replaced or read to its end and gone."""

    def __init__(self, path: str, device: int, inode: int, descriptor: int, *, max_line_bytes: int) -> None:
        self.path = path
        """Where it was first seen: `log.file.path` of its lines, also after a rotation."""
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
        self.replaced = False
        """A read met other bytes than those it had passed: the content is a new one."""
        self._descriptor = descriptor
        self._lock = Lock()
        self._max_line_bytes = max_line_bytes

    @property
    def key(self) -> tuple[int, int]:
        return (self.device, self.inode)

    @property
    def opened(self) -> bool:
        return self._descriptor >= 0

    def open(self, descriptor: int) -> None:
        with self._lock:
            self._descriptor = descriptor

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
            return os.fstat(self._descriptor) if self._descriptor >= 0 else None

    def bytes_at(self, offset: int, length: int) -> bytes:
        """Return the bytes there; b"" when the file is closed."""
        with self._lock:
            return os.pread(self._descriptor, length, offset) if self._descriptor >= 0 else b""

    def holds(self, cursor: Cursor) -> bool:
        """Return whether the bytes before the cursor are the ones it passed."""
        tail = self.bytes_at(cursor.offset - cursor.tail_length, cursor.tail_length)
        return len(tail) == cursor.tail_length and (not tail or digest(tail) == cursor.tail_digest)

    def read(self, cursor: Cursor, max_bytes: int, max_lines: int) -> Block | None:
        if not self.stream or self.replaced or self.size <= cursor.offset:
            return None
        block = self._read(cursor, max_bytes, max_lines)
        if block is not None and block.end == cursor.offset and self.size - cursor.offset >= max_bytes:
            # a line longer than a block: once more with room for the longest
            block = self._read(cursor, self._max_line_bytes + 4096, max_lines)
        return block if block is not None and block.end > cursor.offset else None

    def _read(self, cursor: Cursor, max_bytes: int, max_lines: int) -> Block | None:
        final = self.final
        before = cursor.offset - cursor.tail_length
        data = self.bytes_at(before, cursor.tail_length + max_bytes)
        tail = data[: cursor.tail_length]
        met = digest(tail) == cursor.tail_digest if tail else cursor.offset > 0 or data.startswith(self.head)
        if len(tail) < cursor.tail_length or not met:
            self.replaced = self.opened
            return None
        at_end = len(data) < cursor.tail_length + max_bytes
        lines, end = split(
            data[cursor.tail_length :],
            cursor.offset,
            max_line_bytes=self._max_line_bytes,
            max_lines=max_lines,
            continued=bool(tail) and tail[-1] not in b"\n\0",
            final=final and at_end,
        )
        return Block(lines, end, data, before)
