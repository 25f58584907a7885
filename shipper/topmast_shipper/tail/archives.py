"""Which compressed files hold something that was never read: `app.log.2.gz` is app.log.1, most of the time.

A content that is known goes on at the decompressed offset under its own name, and ids; one that never was is read
once. While the original can still be read, its compressed copy waits. Facts: SHIPPING.md section 5 (gz rotated).

Each sink has a few at a time that are open for it: one that is down keeps those, and holds up no other sink.
"""

import logging
import os
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from threading import Lock
from typing import NamedTuple

from topmast_shipper.checkpoint import Checkpoint, FileRecord
from topmast_shipper.component import Cursor
from topmast_shipper.tail.archive import Archive
from topmast_shipper.tail.copies import Copies, Verdict
from topmast_shipper.tail.discovery import Found, legible, whereabouts
from topmast_shipper.tail.failures import Failures
from topmast_shipper.tail.generation import Generation
from topmast_shipper.tail.identity import HEAD_BYTES, TAIL_BYTES, digest, first_line, stream_id
from topmast_shipper.tail.names import Names
from topmast_shipper.tail.originals import Make, Originals

_log = logging.getLogger(__name__)
# For each sink: each that is being read keeps some MB of what it inflated.
_AT_ONCE = 16
# A compressed file that still has no end after this time will never have one.
_BROKEN_AFTER_SECONDS = 60.0

# Each member ends in its length modulo 2^32 (RFC 1952).
_TRAILER_MODULUS = 1 << 32

Key = tuple[int, int]
Files = Mapping[Key, Generation]


class _Waiting(NamedTuple):
    """A compressed file all of whose bytes its original has."""

    record: FileRecord
    stamp: tuple[int, int]
    size: int


class Archives:
    """Keeps the compressed files of one input. `sweep` belongs to one thread; `sources` to any."""

    def __init__(
        self,
        make: Make,
        names: Names,
        checkpoint: Checkpoint,
        copies: Copies,
        failures: Failures,
        lost: Callable[[str, int], None],
        sinks: Sequence[str],
        wall: Callable[[], float],
    ) -> None:
        self._make = make
        self._names = names
        self._checkpoint = checkpoint
        self._copies = copies
        self._failures = failures
        self._lost = lost
        self._originals = Originals(make, checkpoint, copies, failures)
        self._sinks = tuple(sinks)
        self._wall = wall
        self.crowded = False
        """Whether some wait until one of those that are being read is settled."""
        self._mutex = Lock()
        self._unsettled: dict[Key, Archive] = {}
        """Those that some sink has not got, in the order in which they were met."""
        self._reading: dict[Key, Archive] = {}
        """Of these the ones that are open."""
        self._done: dict[Key, tuple[int, int]] = {}
        """Size and time of those that hold nothing more for us."""
        self._beside: dict[Key, Found] = {}
        self._waiting: dict[Key, _Waiting] = {}
        """Copies of what can still be read where it was."""
        self._damaged: dict[Key, tuple[int, int]] = {}
        """Size and time of those of which that was told."""

    def sources(self) -> list[Generation]:
        with self._mutex:
            return list(self._reading.values())

    def unsettled(self) -> list[Archive]:
        return list(self._unsettled.values())

    def sweep(self, found: Iterable[Found], beside: Iterable[Found], files: Files) -> bool:
        """Look at the compressed files that a pattern matches, and those beside a content that is gone."""
        matched = {each.key: each for each in found}
        # what lies beside is looked for only for a while: it is kept in mind until it is judged
        self._beside |= {each.key: each for each in beside if each.key not in matched}
        there = matched | self._beside
        for key, archive in list(self._unsettled.items()):
            if archive.replaced or not self._lacking(archive):
                with self._failures.at(archive.where):
                    self._close(key, archive)
            elif key in there:
                archive.where = there[key].path
            elif not archive.opened and whereabouts(archive.where, "", key) is None:
                self._gone(key, archive)
        waiting = Counter(sink for each in self._unsettled.values() for sink in self._lacking(each))
        self.crowded = False
        for each in there.values():
            if each.key in self._unsettled or self._done.get(each.key) == _stamp(each):
                continue
            if self._sinks and all(waiting[sink] >= _AT_ONCE for sink in self._sinks):
                self.crowded = True
                break
            with self._failures.at(each.path):
                if self._meet(each, files, own=each.key in matched):
                    waiting.update(self._lacking(self._unsettled[each.key]))
        for kept in (self._done, self._waiting, self._damaged):
            for key in kept.keys() - there.keys():
                del kept[key]
        judged = self._done.keys() | self._unsettled.keys()
        self._beside = {key: each for key, each in self._beside.items() if key not in judged}
        return self._take_turns()

    def waits_for(self, file: Generation) -> bool:
        """Return whether a compressed copy of all of it is there, and is read once the file is gone."""
        place = (file.stream, file.generation)
        copies = [each for each in self._waiting.values() if (each.record.stream, each.record.generation) == place]
        return any(each.size >= file.size for each in copies)

    def go_on(self, sinks: Sequence[str]) -> None:
        """Heed a new configuration: there may be a sink that has nothing of what every other had."""
        self._sinks = tuple(sinks)
        self._done.clear()

    def close(self) -> None:
        with self._mutex:
            for each in self._unsettled.values():
                each.forget()
            self._unsettled.clear()
            self._reading.clear()

    def drop(self, key: Key) -> None:
        """Give up on one."""
        with self._mutex:
            self._reading.pop(key, None)
            self._unsettled.pop(key).forget()

    def _take_turns(self) -> bool:
        """Open the first few that each sink has not got, set aside the others; return whether one is open anew."""
        taken: Counter[str] = Counter()
        reading: dict[Key, Archive] = {}
        for key, archive in self._unsettled.items():
            lacking = self._lacking(archive)
            turns = [sink for sink in lacking if taken[sink] < _AT_ONCE]
            if turns:
                reading[key] = archive
                taken.update(turns)
            else:
                self.crowded |= bool(lacking)
                archive.set_aside()
        opened = reading.keys() - self._reading.keys()
        with self._mutex:
            self._reading = reading
        return bool(opened)

    def _lacking(self, archive: Archive) -> list[str]:
        """Return the sinks that have not got all of it."""
        place = (archive.stream, archive.generation)
        return [sink for sink in self._sinks if self._checkpoint.cursor(sink, *place).offset < archive.size]

    def _meet(self, found: Found, files: Files, *, own: bool) -> bool:
        waiting = self._waiting.get(found.key)
        if waiting is not None and waiting.stamp != _stamp(found):
            del self._waiting[found.key]
            waiting = None
        if waiting is not None and self._originals.there(waiting.record, found.key, files, self._unsettled.values()):
            if not own and whereabouts(found.path, "", found.key) is None:
                del self._waiting[found.key], self._beside[found.key]
            return False
        archive = self._make(found, Archive)
        if archive is None:
            self._beside.pop(found.key, None)  # renamed or removed since
            return False
        opened = False
        try:
            opened = self._judge(archive, found, files, waiting, own=own)
        finally:
            if not opened:
                archive.forget()
        return opened

    def _judge(self, archive: Archive, found: Found, files: Files, waiting: _Waiting | None, *, own: bool) -> bool:
        """Name the archive if there is something to read in it."""
        stamp = _stamp(found)
        head = archive.bytes_at(0, HEAD_BYTES)
        known = self._checkpoint.file(*found.key)
        if known is not None and archive.may_be(known, head) and self._ended(archive, known):
            self._done[found.key] = stamp
            return False
        archive.measure()
        if not archive.complete and self._wall() - found.status.st_mtime < _BROKEN_AFTER_SECONDS:
            return False  # it is being written
        if not archive.size:
            self._done[found.key] = stamp
            if own and not archive.complete and found.status.st_size:
                self._tell_damage(found, "nothing of it can be read", found.status.st_size)
            return False
        # of one that waited every byte was compared, and its original may have grown since
        verdict, record = (
            self._originals.judge(archive, files, self._unsettled.values())
            if waiting is None
            else (Verdict.COPY, waiting.record)
        )
        if verdict is Verdict.WAIT:
            if record is not None:
                self._waiting[found.key] = _Waiting(record, stamp, archive.size)
            return False
        if record is None and not own:
            self._done[found.key] = stamp
            return False
        self._adopt(archive, record, head)
        if not archive.complete:
            self._tell_damage(found, "its beginning is read", 0)
        if self._lacking(archive):
            return True
        self._close(found.key, archive)
        return False

    def _tell_damage(self, found: Found, what: str, size: int) -> None:
        """Tell and count once that a compressed file is damaged; `size` is in bytes, 0 for an unknown number."""
        if self._damaged.get(found.key) != _stamp(found):
            self._damaged[found.key] = _stamp(found)
            _log.error("a compressed file is damaged, %s: %s", what, legible(found.path))
            self._lost("damaged", size)

    def _adopt(self, archive: Archive, record: FileRecord | None, head: bytes) -> None:
        if record is not None:
            archive.path, archive.target = record.path, record.target
            self._names.store(archive, record.stream, record.generation, head)
            self._copies.adopt(record, archive.size)
        else:
            self._names.store_new(archive, head, first_line(head) or head)
        self._waiting.pop(archive.key, None)
        self._unsettled[archive.key] = archive

    def _ended(self, archive: Archive, record: FileRecord) -> bool:
        """Return whether a known archive was read to its end, without reading it again.

        A cursor beyond its end is that of another file, which had the inode before.
        """
        try:
            size = archive.trailer_size
        except OSError:
            return False
        cursors = [self._checkpoint.cursor(sink, record.stream, record.generation) for sink in self._sinks]
        return all(cursor.offset and cursor.offset % _TRAILER_MODULUS == size for cursor in cursors)

    def _close(self, key: Key, archive: Archive) -> None:
        try:
            status = os.stat(archive.where)  # noqa: PTH116 - as in discovery
        except OSError:
            status = None  # removed: nothing will be asked about it
        if status is not None and not archive.replaced:
            self._remember_end(archive)
            self._done[key] = (status.st_size, status.st_mtime_ns)
        self.drop(key)

    def _remember_end(self, archive: Archive) -> None:
        """Of the copy of what has grown since, which nobody can recognise once that is gone: remember it as read."""
        cursors = [self._checkpoint.cursor(sink, archive.stream, archive.generation) for sink in self._sinks]
        if all(cursor.offset <= archive.size for cursor in cursors):
            return
        head, begin = archive.bytes_at(0, HEAD_BYTES), max(0, archive.size - TAIL_BYTES)
        tail = archive.bytes_at(begin, archive.size - begin)
        if begin + len(tail) < archive.size:
            return
        stream = stream_id(archive.device, archive.inode, first_line(head) or head)
        place = (stream, self._checkpoint.next_generation(stream))
        for sink in self._sinks:
            self._checkpoint.advance(sink, {place: Cursor(archive.size, len(tail), digest(tail))})
        self._names.store(archive, *place, head)

    def _gone(self, key: Key, archive: Archive) -> None:
        """It was removed while it was set aside: what is unread may be in a copy, or is lost."""
        record = self._checkpoint.file(*key)
        if record is not None:
            self._copies.await_copy(record, archive.size, "deleted")
        self.drop(key)


def _stamp(found: Found) -> tuple[int, int]:
    return (found.status.st_size, found.status.st_mtime_ns)
