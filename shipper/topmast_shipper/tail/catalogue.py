"""The files of one input as generations: who is who after a rotation, a truncation, a restart.

One sweep has this order, and a kill between any two steps is safe: look at everything; let go of contents that
were truncated or replaced; recognise their copies; only then fix the streams of new contents. What is fixed is
stored before its first line is read. Facts: SHIPPING.md section 5.
"""

import logging
import os
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Lock

from topmast_shipper.checkpoint import Checkpoint, FileRecord
from topmast_shipper.event import Origin
from topmast_shipper.tail.copies import Copies, Verdict
from topmast_shipper.tail.discovery import Found, discover, folders, holder, look, looks_rotated, siblings
from topmast_shipper.tail.generation import Generation
from topmast_shipper.tail.identity import HEAD_BYTES, digest, first_line, stream_id

_log = logging.getLogger(__name__)
Clock = Callable[[], float]


@dataclass(frozen=True)
class Follow:
    """What to follow, and how patiently."""

    input: str
    patterns: tuple[str, ...]
    service: str = ""
    exclude: tuple[str, ...] = ()
    max_line_bytes: int = 1 << 20
    rotate_wait_seconds: float = 5.0
    """A rotated file is finished when nothing was appended for so long."""
    close_quiet_seconds: float = 300.0
    """A file that was read to its end and did not change for so long gives its descriptor back."""


class Catalogue:
    """Keeps the generations of one input. `sweep` belongs to one thread; `sources` to any."""

    def __init__(
        self,
        follow: Follow,
        checkpoint: Checkpoint,
        sinks: Sequence[str],
        inputs: Sequence[str],
        *,
        lost: Callable[[str, int], None],
        clock: Clock = time.monotonic,
        wall: Clock = time.time,
    ) -> None:
        self._follow = follow
        self._checkpoint = checkpoint
        self._sinks = tuple(sinks)
        self._others = frozenset(inputs) - {follow.input}
        self._clock = clock
        self._wall = wall
        self._mutex = Lock()
        self._files: dict[tuple[int, int], Generation] = {}
        self._changed_at: dict[tuple[int, int], float] = {}
        self._fresh: set[tuple[int, int]] = set()
        """Files whose content was let go in this sweep: they wait for the next, which sees their copies."""
        self._complained: set[str] = set()
        self._copies = Copies(checkpoint, self._sinks, follow.rotate_wait_seconds, lost, clock)
        self._resumed = False

    def sources(self) -> list[Generation]:
        with self._mutex:
            return [each for each in self._files.values() if each.stream]

    def folders(self) -> Iterable[str]:
        with self._mutex:
            holding = {os.path.dirname(each.path) for each in self._files.values()}  # noqa: PTH120 - as in discovery
        return folders(self._follow.patterns) | holding

    @property
    def open_files(self) -> int:
        with self._mutex:
            return sum(each.opened for each in self._files.values())

    def settled(self, file: Generation) -> bool:
        """Return whether every sink has all of it."""
        return all(
            self._checkpoint.cursor(sink, file.stream, file.generation).offset >= file.size for sink in self._sinks
        )

    def sweep(self) -> bool:
        """Look at every file; return whether something grew, appeared or began anew."""
        grew = self._look()
        # whoever truncated a file has copied it before: a second look sees the copy
        return (self._look() or grew) if self._fresh else grew

    def _look(self) -> bool:
        self._fresh.clear()
        grew = False
        found = discover(self._follow.patterns, self._follow.exclude)
        if not self._resumed:
            found = self._with_moved(found)
        seen = {each.key for each in found}
        for each in found:
            grew |= self._meet(each)
        for key in [key for key in self._files if key not in seen]:
            grew |= self._miss(key)
        grew |= self._recognise_copies(seen)
        grew |= self._fix_streams()
        self._finish()
        self._checkpoint.touch(self._files)
        self._resumed = True
        return grew

    def close(self) -> None:
        with self._mutex:
            for file in self._files.values():
                file.close()
            self._files.clear()

    def _with_moved(self, found: list[Found]) -> list[Found]:
        """Add the files that we knew and that have left the patterns while we were away; they come first."""
        seen = {each.key for each in found}
        moved = []
        for record in self._checkpoint.files():
            if record.input == self._follow.input and (record.device, record.inode) not in seen:
                there = holder(record.path, (record.device, record.inode))
                if there is not None:
                    moved.append(there)
        return moved + found

    def _meet(self, found: Found) -> bool:
        """Take note of a file that is there."""
        file = self._files.get(found.key)
        if file is None:
            return self._open(found)
        if found.path != file.path:
            file.rotated = True
        return self._follow_up(file, found.status, found.path)

    def _follow_up(self, file: Generation, status: os.stat_result, path: str) -> bool:
        """Take note of what became of a file that we follow; return whether there is something to read."""
        changed = status.st_size != file.size or status.st_mtime_ns != file.modified_ns
        if not (changed or file.replaced):
            return False
        if not file.opened and not self._reopen(file, path):
            return False
        file.modified_ns = status.st_mtime_ns
        if self._is_another(file, status.st_size):
            self._let_go(file)
            return True
        if status.st_size == file.size:
            return False
        file.size = status.st_size
        file.final = False
        self._changed_at[file.key] = self._clock()
        return True

    def _is_another(self, file: Generation, size: int) -> bool:
        """Return whether the content is no longer the one that we follow."""
        if file.replaced or size < file.size:
            return True
        record = self._checkpoint.file(*file.key)
        if not file.stream or record is None:
            return False
        if digest(file.bytes_at(0, record.head_length)) != record.head_digest:
            return True
        # grown, a read compares the bytes before each cursor; as long as before, nobody reads
        return size == file.size and not self._held(file, file.stream, file.generation)

    def _held(self, file: Generation, stream: str, generation: int) -> bool:
        return all(file.holds(self._checkpoint.cursor(sink, stream, generation)) for sink in self._sinks)

    def _reopen(self, file: Generation, path: str) -> bool:
        descriptor = self._descriptor(path)
        if descriptor is None:
            return False
        file.open(descriptor)
        status = file.status()
        if status is not None and (status.st_dev, status.st_ino) == file.key:
            return True
        file.close()  # renamed since the look; the next sweep finds it under its new name
        return False

    def _open(self, found: Found) -> bool:
        record = self._checkpoint.file(*found.key)
        if record is not None and record.input in self._others:
            return False
        descriptor = self._descriptor(found.path)
        if descriptor is None:
            return False
        status = os.fstat(descriptor)
        file = Generation(
            found.path,
            status.st_dev,
            status.st_ino,
            descriptor,
            max_line_bytes=self._follow.max_line_bytes,
        )
        file.size, file.modified_ns = status.st_size, status.st_mtime_ns
        if file.key in self._files:
            file.close()  # the path changed hands between the look and the open; the next sweep knows better
            return False
        if record is not None and file.key == found.key:
            self._resume(file, record)
        with self._mutex:
            self._files[file.key] = file
        self._changed_at[file.key] = self._clock() - max(0.0, self._wall() - status.st_mtime)
        return True

    def _resume(self, file: Generation, record: FileRecord) -> None:
        """Go on in a known file, if its content is still the one that we knew."""
        head = file.bytes_at(0, record.head_length)
        if digest(head) == record.head_digest and self._held(file, record.stream, record.generation):
            file.rotated = file.path != record.path
            file.path = record.path
            self._name(file, record.stream, record.generation, head)
        else:
            self._copies.await_copy(record, size=None)
            self._fresh.add(file.key)

    def _name(self, file: Generation, stream: str, generation: int, head: bytes) -> None:
        file.head = first_line(head) or b""
        file.generation = generation
        file.origin = Origin(self._follow.input, file.path, self._follow.service)
        file.stream = stream

    def _let_go(self, file: Generation) -> None:
        """The content is gone, the file goes on with another one."""
        record = self._checkpoint.file(*file.key)
        if file.stream and record is not None:
            self._copies.await_copy(record, size=file.size)
        status = file.status()
        path, descriptor = file.path, file.release()
        following = Generation(path, file.device, file.inode, descriptor, max_line_bytes=self._follow.max_line_bytes)
        if status is not None:
            following.size, following.modified_ns = status.st_size, status.st_mtime_ns
        with self._mutex:
            self._files[file.key] = following
        self._changed_at[file.key] = self._clock()
        self._fresh.add(file.key)

    def _miss(self, key: tuple[int, int]) -> bool:
        """Take note of a file that no pattern matches any more: renamed or removed."""
        file = self._files[key]
        file.rotated = True
        status = file.status()
        if status is None:
            if look(file.path) is None or self._quiet(file):
                self._drop(file)
            return False
        return self._follow_up(file, status, file.path)

    def _recognise_copies(self, seen: set[tuple[int, int]]) -> bool:
        """Give what is left of truncated contents its copy as the source to go on with."""
        adopted = False
        for path in self._copies.awaited_paths():
            for each in siblings(path):
                if each.key not in self._files and self._checkpoint.file(*each.key) is None:
                    adopted |= self._open(each)
        for file in [each for each in self._files.values() if not each.stream]:
            verdict, record = self._copies.judge(file, self._files, self._changed_at.get(file.key, 0.0))
            if verdict is Verdict.COPY and record is not None:
                head = file.bytes_at(0, HEAD_BYTES)
                self._remember(file, record.stream, record.generation, head)
                file.path, file.rotated = record.path, True
                self._name(file, record.stream, record.generation, head)
                adopted = True
            elif verdict is Verdict.WAIT:
                file.waiting = True
            elif file.key not in seen and file.key not in self._fresh:
                self._drop(file)  # a sibling outside the patterns that is no copy is none of our business
            else:
                file.waiting = False
        self._copies.expire()
        return adopted

    def _fix_streams(self) -> bool:
        """Name the new contents whose first line is complete, and store the names."""
        fixed = False
        for file in [each for each in self._files.values() if not each.stream]:
            if file.key in self._fresh or file.waiting:
                continue
            head = file.bytes_at(0, HEAD_BYTES)
            line = first_line(head)
            if line is None:
                continue
            stream = stream_id(file.device, file.inode, line)
            generation = self._checkpoint.next_generation(stream)
            self._remember(file, stream, generation, head)
            self._name(file, stream, generation, head)
            fixed = True
        for file in list(self._files.values()):
            record = self._checkpoint.file(*file.key)
            if file.stream and record is not None and record.head_length < min(HEAD_BYTES, file.size):
                # tiny files: the fingerprint grows with them, the name does not
                head = file.bytes_at(0, HEAD_BYTES)
                if len(head) == HEAD_BYTES or file.rotated:
                    self._remember(file, file.stream, file.generation, head)
        return fixed

    def _remember(self, file: Generation, stream: str, generation: int, head: bytes) -> None:
        self._checkpoint.remember(
            FileRecord(
                self._follow.input, file.device, file.inode, stream, generation,
                len(head), digest(head), file.path, self._wall(),
            )
        )  # fmt: skip

    def _finish(self) -> None:
        """Let the last, unterminated lines of rotated files go; give back the descriptors of finished ones."""
        paths = [each.path for each in self._files.values()]
        for file in list(self._files.values()):
            if not self._quiet(file):
                continue
            deleted = (status := file.status()) is not None and status.st_nlink == 0
            if file.rotated or deleted or looks_rotated(file.path, paths):
                file.final = True
            if file.stream and self.settled(file):
                if deleted:
                    self._drop(file)
                elif self._clock() - self._changed_at[file.key] >= self._follow.close_quiet_seconds:
                    file.close()

    def _quiet(self, file: Generation) -> bool:
        return self._clock() - self._changed_at.get(file.key, 0.0) >= self._follow.rotate_wait_seconds

    def _drop(self, file: Generation) -> None:
        file.close()
        with self._mutex:
            self._files.pop(file.key, None)
        self._changed_at.pop(file.key, None)

    def _descriptor(self, path: str) -> int | None:
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        except OSError as error:
            if path not in self._complained:
                self._complained.add(path)
                _log.warning("a file cannot be read, trying again: %s: %s", path, error.strerror)
            return None
        self._complained.discard(path)
        return descriptor


def absolute(patterns: Sequence[str], base: Path) -> tuple[str, ...]:
    """Return the patterns with relative ones taken from `base`."""
    return tuple(str(base / pattern) for pattern in patterns)
