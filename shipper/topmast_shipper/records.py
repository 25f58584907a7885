"""A spool's file format: what one process appends with one write each, and another reads while it grows.

    record  magic(4) length(4, little-endian) crc32(4, little-endian, of the payload) payload(length)

A record is whole or it is not there: what a killed writer left half-written fails its length or its CRC, and the next
whole record is found by its magic (SHIPPING.md sections 5 and 6.5: spool torn tail, corruption in the middle).
"""

import errno
import fcntl
import os
import struct
import time
import zlib
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

# Not in UTF-8 text: 0xF5 begins no character.
MAGIC = b"\xf5TM1"
_HEADER = struct.Struct("<4sII")
HEADER_BYTES = _HEADER.size
MAX_PAYLOAD_BYTES = 1 << 20
LONGEST_BYTES = HEADER_BYTES + MAX_PAYLOAD_BYTES
SEGMENT_BYTES = 64 << 20
# Of many records, so much goes out with one write.
WRITE_BYTES = 4 << 20
SYNC_SECONDS: dict[str, float | None] = {"none": None, "interval": 0.1, "always": 0.0}
"""How long after a sync the next record is synced too; None: never, the kernel writes it within some 30 s."""


class Record(NamedTuple):
    """A payload and where its record lies."""

    payload: bytes
    start: int
    end: int


class Read(NamedTuple):
    """What a piece of a segment holds."""

    records: list[Record]
    end: int
    """Behind the last whole record, or the damage behind it."""
    damaged: int
    """Bytes passed over because they were no record."""


def encode(payload: bytes) -> bytes:
    """Return the record of a payload, to be appended with one write."""
    return _HEADER.pack(MAGIC, len(payload), zlib.crc32(payload)) + payload


def torn(data: bytes) -> bool:
    """Return whether that is the beginning of one record: what a writer that was killed had written of it."""
    if len(data) < HEADER_BYTES:
        return data[: len(MAGIC)] == MAGIC[: len(data)]
    magic, length, _ = _HEADER.unpack_from(data)
    return bool(magic == MAGIC and len(data) < HEADER_BYTES + length <= LONGEST_BYTES)


def decode(data: bytes, start: int, max_records: int, *, final: bool) -> Read:
    """Return the whole records in `data`, which begins at byte `start` of its segment.

    The rest may be a record that is being written: it is left alone unless another begins behind it, it is longer
    than any record, or the segment is `final` (its writer is gone). Then it is damage.
    """
    records: list[Record] = []
    position, damaged = 0, 0
    while position < len(data) and len(records) < max_records:
        payload = _payload(data, position)
        if payload is not None:
            end = position + HEADER_BYTES + len(payload)
            records.append(Record(payload, start + position, start + end))
            position = end
            continue
        following = _next(data, position + 1)
        if following < 0:
            following = len(data) if final else max(position, len(data) - LONGEST_BYTES)
        if following == position:
            break
        damaged += following - position
        position = following
    return Read(records, start + position, damaged)


def _payload(data: bytes, position: int) -> bytes | None:
    """Return the payload of the record that begins there; None when none does, or not all of it is there."""
    if len(data) - position < HEADER_BYTES:
        return None
    magic, length, crc = _HEADER.unpack_from(data, position)
    if magic != MAGIC or length > MAX_PAYLOAD_BYTES:
        return None
    payload = data[position + HEADER_BYTES : position + HEADER_BYTES + length]
    return payload if len(payload) == length and zlib.crc32(payload) == crc else None


def _next(data: bytes, position: int) -> int:
    """Return where the next whole record begins; -1 when there is none."""
    while (position := data.find(MAGIC, position)) >= 0:
        if _payload(data, position) is not None:
            return position
        position += 1
    return -1


def abandoned(descriptor: int) -> bool:
    """Return whether no process has the segment open for writing any more."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    fcntl.flock(descriptor, fcntl.LOCK_UN)
    return True


class Writer:
    """Appends records to `NAME.PID.NUMBER.seg` in a folder: one write each, no thread, no lock but the kernel's.

    Each process has segments of its own: after a fork the child opens another.
    """

    def __init__(
        self,
        folder: str,
        name: str,
        segment_bytes: int = SEGMENT_BYTES,
        *,
        sync: str = "none",
        make_room: Callable[[str, int], None] | None = None,
    ) -> None:
        """`make_room(folder, bytes)` is asked before a segment begins, and raises OSError when it may not.

        `sync` is one of SYNC_SECONDS. A record outlives this process with each; with `always` a power cut too, for
        some 0.3 ms a record (SHIPPING.md section 6.5); with `interval` all but what was written within 100 ms after
        a sync: no thread waits for its time to come, it is synced with a later record or at the end.
        """
        self._sync_seconds = SYNC_SECONDS[sync]
        self._synced_at = -1.0
        self._unsynced = False
        self._folder = folder
        self._name = name
        self._segment_bytes = segment_bytes
        self._make_room = make_room
        self._descriptor = -1
        self._pid = 0
        self._left = 0

    def append(self, payload: bytes) -> None:
        """Append a record; it outlives this process when this returns. Raises OSError, and then nothing is there."""
        self._write(encode(payload))

    def _write(self, record: bytes) -> None:
        if os.getpid() != self._pid or self._left < len(record):
            self._open(len(record))
        written = os.write(self._descriptor, record)
        if written != len(record):
            self._take_back(written)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self._left -= len(record)
        if self._sync_seconds is not None:
            self._sync(self._sync_seconds)

    def _sync(self, seconds: float) -> None:
        self._unsynced = True
        if time.monotonic() - self._synced_at >= seconds:
            os.fdatasync(self._descriptor)
            self._unsynced = False
            self._synced_at = time.monotonic()  # when it ended: a slow disk is not synced without a pause

    def _take_back(self, written: int) -> None:
        """Cut off the part that a full disk took. A reader may have passed records in it: nothing follows there."""
        self._left = 0
        with suppress(OSError):  # the reader passes over what is left, and counts it
            os.ftruncate(self._descriptor, os.lseek(self._descriptor, 0, os.SEEK_CUR) - written)

    def append_many(self, payloads: Sequence[bytes]) -> None:
        """Append records with one write for as many as fit a segment; as `append` otherwise."""
        parts: list[bytes] = []
        size = 0
        for payload in payloads:
            parts.append(encode(payload))
            size += len(parts[-1])
            if size > WRITE_BYTES:
                self._write(b"".join(parts))
                parts, size = [], 0
        if parts:
            self._write(b"".join(parts))

    def close(self) -> None:
        """Let go of the segment. Raises OSError when what is in it could not be synced."""
        descriptor, owned = self._descriptor, self._pid == os.getpid()
        self._descriptor, self._pid, self._left = -1, 0, 0
        if descriptor < 0:
            return
        try:
            if self._unsynced and owned:
                os.fdatasync(descriptor)
        finally:
            self._unsynced = False
            os.close(descriptor)  # in a child of a fork, only its copy of the parent's

    def _open(self, needed_bytes: int) -> None:
        self.close()
        if self._make_room is not None:
            self._make_room(self._folder, max(self._segment_bytes, needed_bytes))
        made = _make(self._folder)
        pid, number = os.getpid(), 0
        while True:
            path = f"{self._folder}/{self._name}.{pid}.{number:06d}.seg"
            try:
                flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC
                self._descriptor = os.open(path, flags, 0o600)
                # for as long as somebody may write: the kernel lets go of it, however the process ends
                fcntl.flock(self._descriptor, fcntl.LOCK_SH)
                break
            except FileExistsError:
                number += 1  # of an earlier process with this number, or of another handler of ours
        if self._sync_seconds is not None:
            for folder in (self._folder, *made):
                _sync_folder(folder)
        self._pid, self._left = pid, self._segment_bytes


def _make(folder: str) -> list[str]:
    """Make a folder and those above it; return those that have a new name in them."""
    above = []
    path = Path(folder).absolute()
    while not path.is_dir():
        path = path.parent
        above.append(str(path))
    Path(folder).mkdir(mode=0o700, parents=True, exist_ok=True)
    return above


def _sync_folder(folder: str) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
