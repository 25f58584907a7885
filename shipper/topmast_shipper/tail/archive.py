"""A log that was compressed by a rotation, read by decompressed position as if it were plain.

Source of the format: RFC 1952 (members follow each other; each ends in its CRC-32 and length). There is no way back
in such a file: each reader goes on in a stream of its own, and one that jumps begins anew.
"""

import importlib
import os
import zlib
from threading import Lock
from typing import Any

from topmast_shipper.tail.descriptors import Descriptors
from topmast_shipper.tail.generation import Generation
from topmast_shipper.tail.grouping import Framing

_RAW_BYTES = 64 << 10
_PIECE_BYTES = 1 << 20
# One for each sink, as a rule.
_STREAMS = 4
_GZIP = 31  # zlib.h: 16 for gzip's header, 15 for the window


class _Stream:
    """The decompressed bytes from one place on, as far as they were asked for."""

    def __init__(self, file: "Archive") -> None:
        self._file = file
        self._raw_at = 0
        self._raw = b""
        self._inflate = file.inflater()
        self.begin = 0
        self.bytes = b""
        self.at_member_end = False
        self.ended = False
        self.broken = False

    def need(self, offset: int, end: int) -> None:
        """Inflate up to `end` or to the end of the file; forget what lies before `offset`."""
        pieces, there = [self.bytes], self.begin + len(self.bytes)
        while there < end and not self.ended:
            piece = self._more()
            there += len(piece)
            pieces.append(piece)
            if there <= offset:
                pieces = [b""]
                self.begin = there
        whole = b"".join(pieces)
        passed = min(max(0, offset - self.begin), len(whole))
        self.bytes = whole[passed:]
        self.begin += passed

    def _more(self) -> bytes:
        if not self._raw:
            self._raw = self._file.raw_at(self._raw_at, _RAW_BYTES)
            self._raw_at += len(self._raw)
        if not self._raw or (self.at_member_end and not self._raw.strip(b"\0")):
            self.ended = True  # what pads a tape is no member
            return b""
        self.at_member_end = False
        try:
            piece: bytes = self._inflate.decompress(self._raw, _PIECE_BYTES)
        except Exception as error:  # noqa: BLE001 - zlib's error and isal's have no root in common
            del error
            self.ended = self.broken = True
            return b""
        self._raw = self._inflate.unconsumed_tail
        if self._inflate.eof:
            self._raw = self._inflate.unused_data
            self._inflate = self._file.inflater()
            self.at_member_end = True
        return piece


class Archive(Generation):
    """A compressed file as a generation that nobody writes to any more."""

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
        super().__init__(
            path, device, inode, descriptor, max_line_bytes=max_line_bytes, descriptors=descriptors, framing=framing
        )  # fmt: skip
        self.complete = False
        self.rotated = self.final = self.paused = True
        self._streams: list[_Stream] = []
        self._inflating = Lock()

    @staticmethod
    def inflater() -> Any:
        """Return a decompressor: isal's, which takes a quarter of the time, where it is installed."""
        try:
            return importlib.import_module("isal.isal_zlib").decompressobj(wbits=_GZIP)
        except ImportError:
            return zlib.decompressobj(wbits=_GZIP)

    def raw_at(self, offset: int, length: int) -> bytes:
        return super().bytes_at(offset, length)

    def measure(self) -> None:
        """Read it once from end to end: `size` and whether it is `complete`, with every checksum."""
        stream = _Stream(self)
        while not stream.ended:
            stream.need(stream.begin + len(stream.bytes), stream.begin + len(stream.bytes) + _PIECE_BYTES)
        self.size = stream.begin + len(stream.bytes)
        self.complete = stream.at_member_end and not stream.broken

    def bytes_at(self, offset: int, length: int) -> bytes:
        with self._inflating:
            near = [each for each in self._streams if each.begin <= offset]
            stream = max(near, key=lambda each: each.begin, default=None) or _Stream(self)
            # who was used last is the last
            self._streams = [*(each for each in self._streams if each is not stream), stream][-_STREAMS:]
            stream.need(offset, offset + length)
            return stream.bytes[:length] if stream.begin == offset else b""

    def within(self, other: Generation) -> bool | None:
        """Return whether another file has all of its bytes at the same places; None when that cannot be said now."""
        size = other.size
        if not isinstance(other, Archive):
            status = other.status() if other.open() else None
            if status is None or status.st_size < size:
                return None  # removed or truncated since the last look
            size = status.st_size
        for offset in range(0, self.size if self.size <= size else 0, _PIECE_BYTES):
            length = min(_PIECE_BYTES, self.size - offset)
            there = other.bytes_at(offset, length)
            if len(there) < length:
                return None
            if self.bytes_at(offset, length) != there:
                return False
        return self.size <= size

    def forget(self) -> None:
        """Give the descriptor and the memory back."""
        with self._inflating:
            self._streams.clear()
        self.close()

    def set_aside(self) -> None:
        """Give back as `forget`, but for the descriptor of one that has no name any more; the next read opens it."""
        with self._inflating:
            self._streams.clear()
        self.give_back()

    @property
    def trailer_size(self) -> int:
        """The length that the last member says it has, modulo 2^32; -1 when there is none."""
        status = os.stat(self.where)  # noqa: PTH116 - as in discovery
        raw = self.raw_at(max(0, status.st_size - 4), 4)
        return int.from_bytes(raw, "little") if len(raw) == 4 else -1
