"""What has arrived where: files, and each sink's cursor in them. Torn tails and bit rot cost a re-send, never a line.

One append-only file, a line a fact: CRC-32 of the rest as 8 hexadecimal characters, a space, a JSON array.
Every append is one write and one fdatasync (0.25 ms, SHIPPING.md section 6.5). A bad line is skipped: each
fact is whole in itself and the last one wins, so the worst is an older cursor, and the stores know re-sent
events by their ids. The file is rewritten (tmp, fsync, rename, fsync of the folder) when it has grown enough.
A path that is no UTF-8 is an array of one text, the hexadecimal digits of its bytes.
"""

import fcntl
import os
import time
import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import astuple, dataclass, replace
from pathlib import Path
from threading import Lock
from typing import Any, NamedTuple

import orjson

from topmast_shipper.component import Cursor
from topmast_shipper.errors import InUseError, StateError

_FORMAT = ["topmast-shipper-checkpoint", 1]
# A cursor line has some 100 bytes: 1 MiB is ten thousand windows, and is read in a few milliseconds.
_COMPACT_BYTES = 1 << 20
# Contents that left their file are looked for when a compressed file comes to light.
_MAX_LEFT = 4096
FORGET_SECONDS = 30 * 86400.0
# A start forgets nothing: only after this time has every input looked at its files, and touched what is there.
GRACE_SECONDS = 600.0
_DAY_SECONDS = 86400.0

Place = tuple[str, int]
"""Stream and generation."""


@dataclass(frozen=True, slots=True)
class FileRecord:
    """A file whose stream is fixed."""

    input: str
    device: int
    inode: int
    stream: str
    generation: int
    head_length: int
    head_digest: str
    path: str
    seen_at: float
    """Unix seconds, to the day."""
    target: str = ""
    """Where the path led, when it was a symbolic link."""
    born_ns: int | None = None
    """When the inode was made; None where nobody knows."""


class Remembered(NamedTuple):
    """What a checkpoint says at one moment."""

    files: dict[tuple[int, int], FileRecord]
    contents: dict[Place, FileRecord]
    """Also of those that left their file: a copy may come to light."""
    cursors: dict[Place, dict[str, Cursor]]
    cuts: dict[Place, set[int]]
    bad_lines: int


def remembered(folder: Path) -> Remembered:
    """Return what the checkpoint in a folder says, also while a shipper writes it. Raises StateError."""
    path, found = folder / "checkpoint.log", Remembered({}, {}, {}, {}, 0)
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return found
    except OSError as error:
        raise StateError(f"{path}: {error.strerror}") from error
    bad_lines = 0
    for line in filter(None, data.split(b"\n")):
        fact = _fact(line)
        if fact is None or not _take(fact, found):
            bad_lines += 1
    return found._replace(bad_lines=bad_lines)


def held(folder: Path) -> bool:
    """Return whether a shipper is at work in the folder, without making anything there."""
    try:
        lock = os.open(folder / "lock", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(lock)
    return False


class Checkpoint:
    """The one durable memory of a shipper. Thread-safe; holds the lock of its folder until closed."""

    def __init__(
        self,
        folder: Path,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._folder = folder
        self._monotonic = monotonic
        self._began = clock() - monotonic()
        self._forget_at = self._now() + GRACE_SECONDS
        self._mutex = Lock()
        self._files: dict[tuple[int, int], FileRecord] = {}
        self._contents: dict[Place, FileRecord] = {}
        self._cursors: dict[Place, dict[str, Cursor]] = {}
        self._cuts: dict[Place, set[int]] = {}
        self.bad_lines = 0
        """Lines that failed their CRC at the last start."""
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._lock_file = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise StateError(f"{folder}: {error.strerror}") from error
        try:
            fcntl.flock(self._lock_file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(self._lock_file)
            raise InUseError(f"{folder}: another shipper is at work here") from error
        self._path = folder / "checkpoint.log"
        self._file = -1
        self._written = 0
        self._torn = False
        """The file may end in half a line."""
        self._load()
        self._compact()

    def file(self, device: int, inode: int) -> FileRecord | None:
        return self._files.get((device, inode))

    def files(self) -> list[FileRecord]:
        with self._mutex:
            return list(self._files.values())

    def contents(self) -> list[FileRecord]:
        """Return every content that is remembered, also when its inode belongs to another by now."""
        with self._mutex:
            return list(self._contents.values())

    def content(self, stream: str, generation: int) -> FileRecord | None:
        """Return the file that has this content, by what was stored last; None when it is not remembered."""
        return self._contents.get((stream, generation))

    def cursor(self, sink: str, stream: str, generation: int) -> Cursor:
        """Return how far the sink is; the beginning when it never got anything of it."""
        return self._cursors.get((stream, generation), {}).get(sink, Cursor())

    def unread(self, sinks: Iterable[str], stream: str, generation: int, size: int) -> int:
        """Return how many of so many bytes the slowest of these sinks has not got."""
        offsets = [self.cursor(sink, stream, generation).offset for sink in sinks]
        return max([size - offset for offset in offsets if offset < size], default=0)

    def next_generation(self, stream: str) -> int:
        """Return the number of a new content in this stream: 0, or one more than the last that was seen."""
        with self._mutex:
            known = [number for name, number in self._cursors if name == stream]
            known += [number for name, number in self._contents if name == stream]
        return max(known, default=-1) + 1

    def remember(self, record: FileRecord) -> None:
        """Store which stream a file is. Raises OSError when it could not be made durable."""
        now = self._now()
        if abs(now - record.seen_at) > _DAY_SECONDS:
            record = replace(record, seen_at=now)  # the wall clock was set since the start
        with self._mutex:
            self._store([record])

    def advance(self, sink: str, cursors: Mapping[Place, Cursor]) -> None:
        """Store how far a sink is. Raises OSError, and changes nothing, when it could not be made durable."""
        with self._mutex:
            self._append([_line("cursor", sink, *place, *cursor) for place, cursor in cursors.items()])
            for place, cursor in cursors.items():
                self._cursors.setdefault(place, {})[sink] = cursor
            if self._written > _COMPACT_BYTES:
                self._compact()

    def cuts(self, stream: str, generation: int) -> frozenset[int]:
        """Return where a pause ended an event of several lines."""
        with self._mutex:
            return frozenset(self._cuts.get((stream, generation), ()))

    def cut(self, stream: str, generation: int, offset: int) -> None:
        """Store that an event ends there. Raises OSError when it could not be made durable."""
        with self._mutex:
            self._append([_line("cut", stream, generation, offset)])
            self._cuts.setdefault((stream, generation), set()).add(offset)

    def touch(self, keys: Iterable[tuple[int, int]]) -> None:
        """Note that these files are still there, so that they are not forgotten; once a day, forget the others."""
        now = self._now()
        known = [record for record in map(self._files.get, keys) if record is not None]
        seen = [replace(each, seen_at=now) for each in known if abs(now - each.seen_at) > _DAY_SECONDS]
        with self._mutex:
            seen += [replace(each, seen_at=now) for each in self._holders(seen)]
            if seen:
                self._store(seen)
            if now >= self._forget_at:
                self._forget_at = now + _DAY_SECONDS
                self._forget(now)
                self._compact()

    def close(self) -> None:
        with self._mutex:
            if self._file >= 0:
                os.close(self._file)
                os.close(self._lock_file)
            self._file = -1

    def _now(self) -> float:
        """Return Unix seconds as the start had them: a clock that is set meanwhile makes nothing old."""
        return self._began + self._monotonic()

    def _holders(self, records: Iterable[FileRecord]) -> list[FileRecord]:
        """Return the other files in which the content of one of these went on: what is stored last has it."""
        holders = [(each, self._contents.get((each.stream, each.generation), each)) for each in records]
        return [
            holder
            for each, holder in holders
            if (holder.device, holder.inode) != (each.device, each.inode)
            and self._files.get((holder.device, holder.inode)) == holder
        ]

    def _store(self, records: Sequence[FileRecord]) -> None:
        self._append(map(_file_line, records))
        for record in records:
            self._files[(record.device, record.inode)] = record
            self._contents[(record.stream, record.generation)] = record

    def _append(self, lines: Iterable[bytes]) -> None:
        data = b"\n" * self._torn + b"".join(lines)
        before = os.fstat(self._file).st_size
        try:
            if os.write(self._file, data) != len(data):
                raise OSError(28, "no space left for the checkpoint")
            os.fdatasync(self._file)
        except OSError:
            # half a line would swallow the next one
            os.ftruncate(self._file, before)
            raise
        self._torn = False
        self._written += len(data)

    def _load(self) -> None:
        found = remembered(self._folder)
        self._files, self._contents, self._cursors, self._cuts, self.bad_lines = found

    def _forget(self, now: float) -> None:
        """Let go of what was not seen for long, also of what a wrong clock says was seen long after now."""
        self._files = {key: each for key, each in self._files.items() if abs(now - each.seen_at) < FORGET_SECONDS}
        self._contents = {
            place: each for place, each in self._contents.items() if abs(now - each.seen_at) < FORGET_SECONDS
        }

    def _compact(self) -> None:
        """Write what is still of use to a new file in place of the old one."""
        left = [
            record for record in self._contents.values() if self._files.get((record.device, record.inode)) != record
        ][-_MAX_LEFT:]
        # of two with one content, or with one inode, the last one has it
        files = sorted(
            self._files.values(), key=lambda each: self._contents.get((each.stream, each.generation)) == each
        )
        self._contents = {(each.stream, each.generation): each for each in [*left, *files]}
        named = self._contents.keys()
        self._cursors = {place: sinks for place, sinks in self._cursors.items() if place in named}
        # a sink reads on from its cursor: what lies before all of them is of no use any more
        first = {place: min(each.offset for each in sinks.values()) for place, sinks in self._cursors.items()}
        kept = {place: {each for each in cuts if each > first.get(place, 0)} for place, cuts in self._cuts.items()}
        self._cuts = {place: cuts for place, cuts in kept.items() if cuts and place in named}
        lines = [_line(*_FORMAT)]
        lines += [_file_line(record) for record in [*left, *files]]
        for place, sinks in self._cursors.items():
            lines += [_line("cursor", sink, *place, *cursor) for sink, cursor in sinks.items()]
        lines += [_line("cut", *place, offset) for place, cuts in self._cuts.items() for offset in sorted(cuts)]
        fresh = self._path.with_suffix(".tmp")
        try:
            with fresh.open("wb") as file:
                file.write(b"".join(lines))
                file.flush()
                os.fsync(file.fileno())
            fresh.replace(self._path)
            _sync_folder(self._folder)
        except OSError as error:
            if self._file >= 0:
                # the old file still serves; the next window tries again
                return
            if not self._path.exists():
                raise StateError(f"{self._path}: {error.strerror}") from error
            # a full disk does not keep a shipper from starting: it looks after its files and waits for room
            self._torn = True
        try:
            opened = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)
        except OSError as error:
            raise StateError(f"{self._path}: {error.strerror}") from error
        if self._file >= 0:
            os.close(self._file)
        self._file = opened
        self._written = 0


def _take(fact: list[Any], into: Remembered) -> bool:
    kind, *values = fact
    if fact == _FORMAT:
        return True
    if kind == "file" and len(values) in (9, 10, 11):
        record = FileRecord(*map(_read, values))
        into.files[(record.device, record.inode)] = record
        into.contents[(record.stream, record.generation)] = record
        return True
    if kind == "cursor" and len(values) == 6:
        sink, stream, generation, offset, length, digest = values
        into.cursors.setdefault((stream, generation), {})[sink] = Cursor(offset, length, digest)
        return True
    if kind == "cut" and len(values) == 3:
        stream, generation, offset = values
        into.cuts.setdefault((stream, generation), set()).add(offset)
        return True
    return False


def _file_line(record: FileRecord) -> bytes:
    return _line("file", *map(_written, astuple(record)))


def _written(value: Any) -> Any:
    """Return a record's value as JSON can have it."""
    if isinstance(value, str):
        try:
            value.encode()
        except UnicodeEncodeError:
            return [os.fsencode(value).hex()]
    return value


def _read(written: Any) -> Any:
    return os.fsdecode(bytes.fromhex(written[0])) if isinstance(written, list) else written


def _line(*values: object) -> bytes:
    data = orjson.dumps(values)
    return b"%08x %s\n" % (zlib.crc32(data), data)


def _fact(line: bytes) -> list[Any] | None:
    """Return the fact in a line; None when its CRC does not hold."""
    crc, _, data = line.partition(b" ")
    try:
        if int(crc, 16) != zlib.crc32(data):
            return None
        fact = orjson.loads(data)
    except ValueError:
        return None
    return fact if isinstance(fact, list) and fact else None


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
