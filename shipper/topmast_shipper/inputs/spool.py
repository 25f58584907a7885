"""Follows a spool: what the logging handler and `topmast ship --stdin` append, record by record.

A segment whose writer is gone and that every sink has is deleted. Facts: SHIPPING.md sections 5 and 7.2; the format:
records.py.
"""

import logging
import os
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Any

from topmast_shipper import records, redacting, rooms
from topmast_shipper.checkpoint import FileRecord
from topmast_shipper.component import Block, Cursor, Input, Kind, Line, Parser, Source
from topmast_shipper.event import Event, Origin
from topmast_shipper.intake import Intake
from topmast_shipper.placing import PATH
from topmast_shipper.rooms import Setting
from topmast_shipper.tail.failures import Failures
from topmast_shipper.tail.identity import digest, stream_id
from topmast_shipper.writable import refuse_folder

_log = logging.getLogger(__name__)
# An empty segment may belong to a writer that has opened it and not locked it yet.
_YOUNG_SECONDS = 5.0
# A sink that is well has read it by then.
_HOLD_DELETED_SECONDS = 60.0


@dataclass(frozen=True)
class Config:
    """Which folder, and whose records they are."""

    name: str
    path: Path
    parser: Any = "json_lines"
    service: str = ""
    redact: Any = False
    """True, or patterns of your own beside the usual secrets."""


class Segment:
    """One file of the spool, read by position; it only grows, and nobody truncates it."""

    generation = 0

    def __init__(self, path: Path, descriptor: int, stream: str, origin: Origin, setting: Setting) -> None:
        self.path = path
        self.stream = stream
        self.origin = origin
        self.size = 0
        self.final = False
        """Nobody writes to it any more."""
        self.deleted_at: float | None = None
        """Since when it has no name any more (the setting's clock): its application made room for newer records."""
        self.written_at = 0.0
        """When the last of it came."""
        self._descriptor = descriptor
        self._setting = setting
        # what the fastest sink has settled was counted before it was sent
        self._counted_to = max((cursor.offset for cursor in self.cursors()), default=0)
        self._lock = Lock()

    def cursors(self) -> list[Cursor]:
        """Return how far each sink is."""
        return [self._setting.checkpoint.cursor(sink, self.stream, 0) for sink in self._setting.sinks]

    def look(self) -> bool:
        """Take note of its size and of whether its writer is gone; return whether it grew or ended."""
        final = self.final or records.abandoned(self._descriptor)
        status = os.fstat(self._descriptor)  # after the question: nobody appends after a yes
        size, self.written_at = status.st_size, status.st_mtime
        if status.st_nlink == 0 and self.deleted_at is None:
            self.deleted_at = self._setting.clock()
        changed = (size, final) != (self.size, self.final)
        self.size, self.final = size, final
        return changed

    def read(self, cursor: Cursor, max_bytes: int, max_lines: int) -> Block | None:
        with self._lock:
            if self._descriptor < 0 or self.size <= cursor.offset:
                return None
            return self._read(cursor.offset, max_bytes, max_lines)

    def close(self) -> None:
        with self._lock:
            if self._descriptor >= 0:
                os.close(self._descriptor)
            self._descriptor = -1

    def _read(self, start: int, max_bytes: int, max_lines: int) -> Block | None:
        data, found = self._decoded(start, max_bytes, max_lines)
        position, asked = start, max_bytes
        # a record longer than a block, or damage of any length: on to the next whole one, with room for the longest
        while not found.records and len(data) == asked:
            position, asked = found.end, 2 * records.LONGEST_BYTES
            data, found = self._decoded(position, asked, max_lines)
        if found.end <= start:
            return None
        if found.damaged or position > start:
            self._count(start, found, data[: found.end - position])
        self._counted_to = max(self._counted_to, found.end)
        return Block([Line(*record) for record in found.records], found.end, data[: found.end - position], position)

    def _decoded(self, position: int, asked: int, max_lines: int) -> tuple[bytes, records.Read]:
        data = os.pread(self._descriptor, asked, position)
        final = self.final and position + asked >= self.size
        return data, records.decode(data, position, max_lines, final=final)

    def _count(self, start: int, found: records.Read, data: bytes) -> None:
        """Count what is no record from there on, to where `data` ends: each sink passes over it, it is lost once."""
        for record in (*found.records, records.Record(b"", found.end, found.end)):
            damaged = record.start - max(start, self._counted_to)
            if damaged > 0 and record.start == self.size and records.torn(data[-damaged:]):
                _log.warning("the last record of a spool was never finished: %s: %d bytes", self.path, damaged)
            elif damaged > 0:
                _log.error("records of a spool are damaged: %s: %d bytes", self.path, damaged)
                self._setting.lost("damaged", damaged)
            start = record.end


class SpoolInput:
    """One `spool:` entry of the configuration at work."""

    def __init__(self, config: Config, parser: Parser, setting: Setting) -> None:
        self.name = config.name
        self.service = config.service
        self._folder = setting.base / config.path
        self._intake = Intake(parser, redactor=redacting.redactor_of(config.redact, f"input {config.name}"))
        self._setting = setting
        # a full disk, too: what is followed already is read on, and deleting it is what makes room
        self._failures = Failures(setting.failed, setting.clock, passed_on=frozenset())
        self._mutex = Lock()
        self._segments: dict[tuple[int, int], Segment] = {}

    @property
    def open_files(self) -> int:
        with self._mutex:
            return len(self._segments)

    def sweep(self) -> bool:
        changed = False
        for path in self._paths():
            with self._failures.at(path):
                changed |= self._meet(Path(path))
        for key, segment in list(self._segments.items()):
            with self._failures.at(str(segment.path)):
                changed |= segment.look()
                if segment.final and (self._settled(segment) or self._held_long(segment)):
                    self._finish(key, segment)
        with self._failures.at(str(self._folder)):
            self._setting.checkpoint.touch(self._segments)
        return changed

    def sources(self) -> Sequence[Source]:
        with self._mutex:
            return list(self._segments.values())

    def folders(self) -> Iterable[str]:
        return (str(self._folder),)

    def events(self, source: Source, lines: Sequence[Line], now: float) -> Sequence[Event]:
        # what was read long after it came (a restart, a backlog) is not of now
        if isinstance(source, Segment):
            now = min(now, source.written_at)
        return self._intake.events(source, lines, now)

    def close(self) -> None:
        with self._mutex:
            for segment in self._segments.values():
                segment.close()
            self._segments.clear()

    def _paths(self) -> list[str]:
        """Return the segments that are not followed yet, the oldest first."""
        found: list[tuple[int, str]] = []
        # no folder: nobody has logged yet
        with self._failures.at(str(self._folder)), suppress(FileNotFoundError), os.scandir(self._folder) as entries:
            for each in entries:
                if not each.name.endswith(".seg"):
                    continue
                # it may go while we look
                with self._failures.at(each.path), suppress(FileNotFoundError):
                    status = each.stat()
                    if (status.st_dev, status.st_ino) not in self._segments:
                        found.append((status.st_mtime_ns, each.path))
        return [path for _, path in sorted(found)]

    def _meet(self, path: Path) -> bool:
        try:
            # what is no file at all is refused at its first read, instead of waiting for somebody to write to it
            descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        except FileNotFoundError:
            return False
        followed = False
        try:
            followed = self._follow(path, descriptor)
        finally:
            if not followed:
                os.close(descriptor)
        return followed

    def _follow(self, path: Path, descriptor: int) -> bool:
        """Follow what is open there; return whether it is a segment that is not followed yet. Raises OSError."""
        status = os.fstat(descriptor)
        key = (status.st_dev, status.st_ino)
        young = time.time() - status.st_mtime < _YOUNG_SECONDS
        complete = not young and records.abandoned(descriptor)
        head = os.pread(descriptor, records.HEADER_BYTES, 0)  # after the question: nobody appends after a yes
        # the stream is named after its beginning, which has to be there
        if key in self._segments or (len(head) < records.HEADER_BYTES and not complete):
            return False
        # an inode comes again, and a process number too: the first record's CRC tells them apart
        stream = stream_id(*key, path.name.encode() + head)
        known = self._setting.checkpoint.file(*key)
        if known is None or known.stream != stream:
            self._setting.checkpoint.remember(
                FileRecord(self.name, *key, stream, 0, len(head), digest(head), str(path), time.time())
            )
        segment = Segment(path, descriptor, stream, Origin(self.name, "", self.service), self._setting)
        segment.look()
        with self._mutex:
            self._segments[key] = segment
        return True

    def _settled(self, segment: Segment) -> bool:
        cursors = segment.cursors()
        return bool(cursors) and all(cursor.offset >= segment.size for cursor in cursors)

    def _held_long(self, segment: Segment) -> bool:
        """Return whether a deleted segment was held long enough: it takes the room that was to be made."""
        return segment.deleted_at is not None and self._setting.clock() - segment.deleted_at >= _HOLD_DELETED_SECONDS

    def _finish(self, key: tuple[int, int], segment: Segment) -> None:
        unread = segment.size - min((cursor.offset for cursor in segment.cursors()), default=0)
        if unread > 0:
            _log.error("a segment of a spool was deleted before it was shipped: %s: %d bytes", segment.path, unread)
            self._setting.lost("deleted", unread)
        if segment.deleted_at is None:  # else its name may be another's by now
            segment.path.unlink(missing_ok=True)
        with self._mutex:
            self._segments.pop(key)
        segment.close()


def build(options: Mapping[str, Any], setting: Setting) -> Input:
    config = Config(**{**options, "path": Path(options["path"])})
    return SpoolInput(config, rooms.parser(config.parser, f"input {config.name}"), setting)


def ask(options: Mapping[str, Any]) -> Sequence[str]:
    redacting.redactor_of(options.get("redact", Config.redact), f"input {options['name']}")
    folder = Path(options["path"])
    refuse_folder(folder)
    there = os.path.exists(folder)  # noqa: PTH110 - Path.exists raises where it may not look
    return () if there else (f"input {options['name']}: its folder is not there yet: {folder}",)


INPUT = Kind[Input](
    "spool",
    {
        "type": "object",
        "additionalProperties": False,
        "required": ["name", "path"],
        "properties": {
            "name": {"type": "string", "pattern": "^[a-z0-9][a-z0-9_.-]{0,63}$"},
            "path": PATH,
            "parser": {"type": ["string", "object"]},
            "service": {"type": "string", "maxLength": 100},
            "redact": redacting.SCHEMA,
        },
    },
    build,
    ask,
)
