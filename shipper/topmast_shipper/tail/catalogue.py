"""The files of one input as generations: who is who after a rotation, a truncation, a restart.

One sweep has this order, and a kill between any two steps is safe: look at everything; let go of contents that
were truncated or replaced; recognise their copies; only then fix the streams of new contents. What is fixed is
stored before its first line is read. Facts: SHIPPING.md section 5.
"""

import os
import time
from collections.abc import Callable, Iterable, Sequence
from threading import Lock

from topmast_shipper.checkpoint import Checkpoint, FileRecord
from topmast_shipper.tail.archives import Archives
from topmast_shipper.tail.copies import Copies, Verdict
from topmast_shipper.tail.deleted import Deleted
from topmast_shipper.tail.descriptors import Descriptors
from topmast_shipper.tail.discovery import Found, discover, folders, looks_rotated, parted, siblings, whereabouts
from topmast_shipper.tail.failures import Failures
from topmast_shipper.tail.follow import Follow
from topmast_shipper.tail.generation import AnyFile, Generation
from topmast_shipper.tail.identity import HEAD_BYTES, digest, first_line
from topmast_shipper.tail.names import Names
from topmast_shipper.tail.own import Own

Clock = Callable[[], float]


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
        failed: Callable[[], None] = lambda: None,
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
        self._failures = Failures(failed, clock)
        self._copies = Copies(checkpoint, self._sinks, follow.rotate_wait_seconds, lost, clock)
        self._descriptors = Descriptors(follow.max_open_files)
        self._names = Names(follow, checkpoint, wall)
        self._archives = Archives(
            self._make, self._names, checkpoint, self._copies, self._failures, lost, self._sinks, wall
        )
        self._deleted = Deleted(self._unread, self._archives.waits_for, lost, clock)
        self._own = Own(follow.input, follow.written)
        self._resumed = False

    def go_on(self, follow: Follow, sinks: Sequence[str], inputs: Sequence[str]) -> None:
        """Follow what a new configuration says, while nobody sweeps.

        What is open stays open: its name may be gone, and with it what is unread.
        """
        self._follow = self._names.follow = follow
        self._sinks = tuple(sinks)
        self._others = frozenset(inputs) - {follow.input}
        self._copies.go_on(self._sinks, follow.rotate_wait_seconds)
        self._descriptors.most = follow.max_open_files
        self._archives.go_on(self._sinks)
        self._own = Own(follow.input, follow.written)
        for file in [each for each in self._files.values() if self._own.holds(each.where)]:
            self._drop(file)
        self._resumed = False  # what every sink had may be new to one
        for file in [*self._files.values(), *self._archives.unsettled()]:
            file.max_line_bytes, file.framing = follow.max_line_bytes, follow.framing
            file.origin = self._names.origin(file)

    def sources(self) -> list[Generation]:
        with self._mutex:
            files = [each for each in self._files.values() if each.stream]
        return self._archives.sources() + files

    def folders(self) -> Iterable[str]:
        with self._mutex:
            holding = {os.path.dirname(each.path) for each in self._files.values()}  # noqa: PTH120 - as in discovery
        return folders(self._follow.patterns) | holding

    @property
    def open_files(self) -> int:
        with self._mutex:
            return sum(each.opened for each in self._files.values())

    @property
    def crowded(self) -> bool:
        return self._archives.crowded

    def settled(self, file: Generation) -> bool:
        """Return whether every sink has all of it."""
        return self._unread(file) == 0

    def _unread(self, file: Generation) -> int:
        return self._checkpoint.unread(self._sinks, file.stream, file.generation, file.size)

    def sweep(self) -> bool:
        """Look at every file; return whether something grew, appeared or began anew."""
        grew = self._look()
        # whoever truncated a file has copied it before: a second look sees the copy
        return (self._look() or grew) if self._fresh else grew

    def _look(self) -> bool:
        self._fresh.clear()
        grew = False
        archives, plain = parted(self._own.without(discover(self._follow.patterns, self._follow.exclude)))
        moved = [] if self._resumed else self._own.without(self._moved({each.key for each in plain}))
        beside, gone = parted(moved)
        found = [*gone, *plain]
        seen = {each.key for each in found}
        for each in found:
            with self._failures.at(each.path):
                grew |= self._meet(each)
        for key in [key for key in self._files if key not in seen]:
            with self._failures.at(self._files[key].where):
                grew |= self._miss(key)
        grew |= self._recognise_copies(archives, beside)
        grew |= self._fix_streams()
        grew |= self._finish()
        self._checkpoint.touch([*self._files, *(each.key for each in archives)])
        self._resumed = True
        return grew

    def close(self) -> None:
        """Let go of everything; what is unread in files that have no name any more is counted."""
        for file in [*self._files.values(), *self._archives.unsettled()]:
            with self._failures.at(file.where):
                self._deleted.leave(file)
        with self._mutex:
            for file in self._files.values():
                file.close()
            self._files.clear()
        self._archives.close()

    def _moved(self, seen: set[tuple[int, int]]) -> list[Found]:
        """Return the files that we knew and that have left the patterns while we were away."""
        moved = []
        seen = seen | self._files.keys() | {each.key for each in self._archives.unsettled()}
        for record in self._checkpoint.contents():
            key = (record.device, record.inode)
            if record.input != self._follow.input:
                continue
            current = self._checkpoint.file(*key) == record
            if current and key in seen:
                continue
            there = whereabouts(record.path, record.target, key) if current else None
            if there is None or there.compressed:
                self._copies.await_gone(record)  # its inode may be another's by now
            if there is not None:
                moved.append(there)
        return moved

    def _meet(self, found: Found) -> bool:
        """Take note of a file that is there."""
        file = self._files.get(found.key)
        if file is None:
            return self._open(found)
        if found.path != file.path:
            file.rotated = True
        file.where, file.beside = found.path, False
        return self._follow_up(file, found.status)

    def _follow_up(self, file: Generation, status: os.stat_result) -> bool:
        """Take note of what became of a file that we follow; return whether there is something to read."""
        changed = status.st_size != file.size or status.st_mtime_ns != file.modified_ns
        if not (changed or file.replaced):
            return False
        if not file.open():
            return False  # renamed since the look; the next sweep finds it under its new name
        file.modified_ns = status.st_mtime_ns
        if self._is_another(file, status.st_size):
            self._let_go(file)
            return True
        if status.st_size == file.size:
            return False
        file.size = status.st_size
        file.final = file.paused = False
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

    def _open(self, found: Found) -> bool:
        record = self._checkpoint.file(*found.key)
        if record is not None and record.input in self._others:
            return False
        file = self._make(found, Generation)
        if file is None:
            return False
        if record is not None:
            self._resume(file, record)
        with self._mutex:
            self._files[file.key] = file
        self._changed_at[file.key] = self._clock() - max(0.0, self._wall() - file.modified_ns / 1e9)
        return True

    def _make(self, found: Found, kind: type[AnyFile]) -> AnyFile | None:
        """Return the file, opened; None when it cannot be, or the path changed hands since the look."""
        descriptor = -1
        with self._failures.at(found.path):
            descriptor = os.open(found.path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        if descriptor < 0:
            return None
        try:
            status = os.fstat(descriptor)
        except OSError:
            os.close(descriptor)
            raise
        if (status.st_dev, status.st_ino) != found.key:
            os.close(descriptor)
            return None
        file = self._following(found.path, found.key, descriptor, kind)
        file.size, file.modified_ns = status.st_size, status.st_mtime_ns
        real = os.path.realpath(found.path)
        file.target = real if real != found.path else ""
        return file

    def _following(self, path: str, key: tuple[int, int], descriptor: int, kind: type[AnyFile]) -> AnyFile:
        follow = self._follow
        return kind(
            path, *key, descriptor,
            max_line_bytes=follow.max_line_bytes, descriptors=self._descriptors, framing=follow.framing,
        )  # fmt: skip

    def _resume(self, file: Generation, record: FileRecord) -> None:
        """Go on in a known file, if its content is still the one that we knew."""
        head = file.bytes_at(0, record.head_length)
        # its copy may go on with it: two under one name would take each other's ids
        holder = self._checkpoint.content(record.stream, record.generation)
        its = holder is None or (holder.device, holder.inode) == file.key
        if its and file.may_be(record, head) and self._held(file, record.stream, record.generation):
            file.rotated = file.path != record.path
            file.path, file.target = record.path, record.target or file.target
            self._names.give(file, record, head)
        else:
            self._copies.await_copy(record, size=None)
            self._fresh.add(file.key)

    def _let_go(self, file: Generation) -> None:
        """The content is gone, the file goes on with another one."""
        record = self._checkpoint.file(*file.key)
        if file.stream and record is not None:
            self._copies.await_copy(record, file.size, file.fate)
        status = file.status()
        path, descriptor = file.path, file.release()
        following = self._following(path, file.key, descriptor, Generation)
        following.where, following.target, following.beside = file.where, file.target, file.beside
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
            there = whereabouts(file.where, file.target, key)
            if there is None:
                self._gone(file)
                return False
            file.where, status = there.path, there.status
            if file.stream and self.settled(file) and self._quiet(file) and status.st_size == file.size:
                self._drop(file)
                return False
        return self._follow_up(file, status)

    def _gone(self, file: Generation) -> None:
        """The file was removed while it was not open: what is unread may be in a copy, or is lost."""
        record = self._checkpoint.file(*file.key)
        if file.stream and record is not None and not self.settled(file):
            self._copies.await_copy(record, file.size, "deleted")
        self._drop(file)

    def _recognise_copies(self, archives: list[Found], moved: list[Found]) -> bool:
        """Give what is left of truncated contents its copy as the source to go on with."""
        adopted = False
        compressed, plain = parted([each for path in self._copies.awaited_paths() for each in siblings(path)])
        for each in plain:
            if each.key not in self._files and self._checkpoint.file(*each.key) is None:
                with self._failures.at(each.path):
                    adopted |= self._open(each)
                if each.key in self._files:
                    self._files[each.key].beside = True
        for file in [each for each in self._files.values() if not each.stream]:
            file.waiting = True  # also when it cannot be judged
            with self._failures.at(file.where):
                adopted |= self._judge(file)
        adopted |= self._archives.sweep(archives, moved + compressed, self._files)
        self._copies.expire()
        return adopted

    def _judge(self, file: Generation) -> bool:
        """Find out what a new content is; return whether it is the copy of a known one."""
        verdict, record = self._copies.judge(file, self._files, self._changed_at.get(file.key, 0.0))
        if verdict is Verdict.COPY and record is not None:
            head = file.bytes_at(0, HEAD_BYTES)
            file.path, file.target, file.rotated = record.path, record.target, True
            self._names.store(file, record.stream, record.generation, head)
        elif verdict is not Verdict.WAIT:
            file.waiting = False
            if file.beside:
                self._drop(file)  # outside the patterns and no copy: none of our business
        return verdict is Verdict.COPY

    def _fix_streams(self) -> bool:
        """Name the new contents whose first line is complete, and store the names."""
        fixed = False
        for file in list(self._files.values()):
            with self._failures.at(file.where):
                if file.stream:
                    self._names.let_head_grow(file)
                elif file.key not in self._fresh and not file.waiting:
                    fixed |= self._fix_stream(file)
        return fixed

    def _fix_stream(self, file: Generation) -> bool:
        head = file.bytes_at(0, min(HEAD_BYTES, file.size))  # only what was judged: a copy may have grown since
        line = first_line(head) or (head if file.final else b"")
        if line:
            self._names.store_new(file, head, line)
        return bool(line)

    def _finish(self) -> bool:
        """Let the last, unterminated lines of rotated files go; give back the descriptors of finished ones.

        Returns whether a pause has completed something.
        """
        paused = False
        framing = self._follow.framing
        paths = [each.path for each in self._files.values()]
        for file in list(self._files.values()):
            if framing and not file.paused and self._quiet(file, framing.wait_seconds):
                file.paused = paused = True
            if self._quiet(file) and (file.rotated or looks_rotated(file.path, paths)):
                file.final = True
            with self._failures.at(file.where):
                self._give_back(file)
        archives = {each.key: each for each in self._archives.unsettled()}
        for archive in archives.values():
            with self._failures.at(archive.where):
                self._deleted.note(archive)
        for file in self._deleted.give_up({**archives, **self._files}, self._follow):
            if file.key in archives:
                self._archives.drop(file.key)
            else:
                self._drop(file)
        return paused

    def _give_back(self, file: Generation) -> None:
        deleted = file.rotated and self._deleted.note(file)
        if self._quiet(file) and (file.stream or not file.size) and self.settled(file):
            if deleted:
                self._drop(file)
            elif self._clock() - self._changed_at[file.key] >= self._follow.close_quiet_seconds:
                file.close()

    def _quiet(self, file: Generation, seconds: float | None = None) -> bool:
        least = self._follow.rotate_wait_seconds if seconds is None else seconds
        return self._clock() - self._changed_at.get(file.key, 0.0) >= least

    def _drop(self, file: Generation) -> None:
        file.close()
        with self._mutex:
            self._files.pop(file.key, None)
        self._changed_at.pop(file.key, None)
        self._deleted.forget(file.key)
