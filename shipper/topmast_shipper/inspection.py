"""What a shipper remembers, against the files as they are: for people who ask why. Reads only; needs no lock."""

from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

from topmast_shipper.checkpoint import FileRecord, Remembered, remembered
from topmast_shipper.component import Cursor
from topmast_shipper.tail.archive import Archive
from topmast_shipper.tail.birth import differ
from topmast_shipper.tail.descriptors import Descriptors
from topmast_shipper.tail.discovery import Found, legible, look, whereabouts
from topmast_shipper.tail.generation import Generation
from topmast_shipper.tail.identity import HEAD_BYTES, digest

_LINE_BYTES = 1 << 20
_UNFINISHED = "the last line is not finished yet"
_UNREADABLE = "unreadable: it cannot be opened"
_NO_GZIP = "nothing of it can be read as gzip: it is damaged, or being written"


@dataclass(frozen=True)
class FileState:
    """A file and how far one sink is in it."""

    input: str
    path: str
    """Where it is now; where it was when it is gone. As text: other bytes as `\\xff`."""
    sink: str
    stream: str
    generation: int
    offset: int
    size: int | None
    """Bytes, decompressed; None for a file that is gone."""
    unread_bytes: int
    verdict: str
    """Why the shipper goes on there, or does not."""


def states(data: Path, sinks: Sequence[str]) -> list[FileState]:
    """Return every file that is remembered, once for each sink. Raises StateError."""
    memory = remembered(data)
    return [_state(memory, record, sink) for record in memory.files.values() for sink in sinks]


def explain(data: Path, sinks: Sequence[str], path: Path) -> list[FileState]:
    """Return the states of the file that is at a path now; none when it was never read. Raises StateError.

    Of a compressed file that was never read it is what keeps it from being read, where that can be seen.
    """
    there = look(str(path))
    memory = remembered(data)
    record = memory.files.get(there.key) if there is not None else None
    if record is not None:
        return [_state(memory, record, sink) for sink in sinks]
    return _unread_archive(memory, there, sinks) if there is not None and there.compressed else []


def _unread_archive(memory: Remembered, found: Found, sinks: Sequence[str]) -> list[FileState]:
    with closing(_opened_archive(found)) as archive:
        record = _copied(memory, archive) if archive.size else None
        if record is not None:
            states = [_state(memory, record, sink) for sink in sinks]
            waits = f"a copy of {states[0].path}: it waits until that is gone" if states else ""
            return [
                replace(each, path=legible(found.path), size=archive.size, unread_bytes=0, verdict=waits)
                for each in states
            ]
        if not archive.size and found.status.st_size and not archive.complete:
            verdict = _NO_GZIP if archive.open() else _UNREADABLE
            return [FileState("", legible(found.path), sink, "", 0, 0, 0, 0, verdict) for sink in sinks]
    return []


def _copied(memory: Remembered, archive: Archive) -> FileRecord | None:
    """Return the content of a file that is there and has all of a compressed one."""
    head = archive.bytes_at(0, HEAD_BYTES)
    for record in memory.contents.values():
        key = (record.device, record.inode)
        if memory.files.get(key) != record or digest(head[: record.head_length]) != record.head_digest:
            continue
        found = whereabouts(record.path, record.target, key)
        if found is None:
            continue
        with closing(_opened(found)) as file:
            if archive.within(file):
                return record
    return None


def _state(memory: Remembered, record: FileRecord, sink: str) -> FileState:
    cursor = memory.cursors.get((record.stream, record.generation), {}).get(sink, Cursor())
    found = whereabouts(record.path, record.target, (record.device, record.inode))
    if found is None:
        return FileState(
            record.input, legible(record.path), sink, record.stream, record.generation, cursor.offset, None, 0, "gone"
        )  # fmt: skip
    file = _opened(found)
    verdict = _verdict(file, record, cursor)
    file.close()
    unread = max(0, file.size - cursor.offset) if verdict in ("read on", "complete", _UNFINISHED) else file.size
    return FileState(
        record.input, legible(found.path), sink, record.stream, record.generation,
        cursor.offset, file.size, unread, verdict,
    )  # fmt: skip


def _opened(found: Found) -> Generation:
    if found.compressed:
        return _opened_archive(found)
    file = Generation(found.path, *found.key, -1, max_line_bytes=_LINE_BYTES, descriptors=Descriptors(1))
    file.size = found.status.st_size
    return file


def _opened_archive(found: Found) -> Archive:
    archive = Archive(found.path, *found.key, -1, max_line_bytes=_LINE_BYTES, descriptors=Descriptors(1))
    archive.measure()
    return archive


def _verdict(file: Generation, record: FileRecord, cursor: Cursor) -> str:
    if not file.open():
        return _UNREADABLE
    if differ(file.born_ns, record.born_ns):
        return "another file: the one that was read is gone, and its inode came again"
    if file.size < cursor.offset:
        return "truncated: its content is read as a new one"
    if digest(file.bytes_at(0, record.head_length)) != record.head_digest:
        return "another content: its beginning is not the one that was read"
    if not file.holds(cursor):
        return "another content: what lies before the offset is not what was read"
    if file.unfinished(cursor.offset):
        return _UNFINISHED
    return "complete" if cursor.offset == file.size else "read on"
