"""What a shipper remembers, against the files as they are: for people who ask why. Reads only; needs no lock."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from topmast_shipper.checkpoint import FileRecord, Remembered, remembered
from topmast_shipper.component import Cursor
from topmast_shipper.tail.discovery import holder, look
from topmast_shipper.tail.identity import digest


@dataclass(frozen=True)
class FileState:
    """A file and how far one sink is in it."""

    input: str
    path: str
    """Where it is now; where it was when it is gone."""
    sink: str
    stream: str
    generation: int
    offset: int
    size: int | None
    """None for a file that is gone."""
    unread_bytes: int
    verdict: str
    """Why the shipper goes on there, or does not."""


def states(data: Path, sinks: Sequence[str]) -> list[FileState]:
    """Return every file that is remembered, once for each sink. Raises StateError."""
    memory = remembered(data)
    return [_state(memory, record, sink) for record in memory.files.values() for sink in sinks]


def explain(data: Path, sinks: Sequence[str], path: Path) -> list[FileState]:
    """Return the states of the file that is at a path now; none when it was never read. Raises StateError."""
    there = look(str(path))
    memory = remembered(data)
    record = memory.files.get(there.key) if there is not None else None
    return [_state(memory, record, sink) for sink in sinks] if record is not None else []


def _state(memory: Remembered, record: FileRecord, sink: str) -> FileState:
    cursor = memory.cursors.get((record.stream, record.generation), {}).get(sink, Cursor())
    found = holder(record.path, (record.device, record.inode))
    path, size = (found.path, found.status.st_size) if found is not None else (record.path, None)
    verdict = "gone" if size is None else _verdict(Path(path), size, record, cursor)
    unread = max(0, (size or 0) - cursor.offset) if verdict in ("read on", "complete") else (size or 0)
    return FileState(
        record.input, path, sink, record.stream, record.generation, cursor.offset, size, unread, verdict
    )  # fmt: skip


def _verdict(path: Path, size: int, record: FileRecord, cursor: Cursor) -> str:
    try:
        with path.open("rb") as file:
            head = file.read(record.head_length)
            file.seek(cursor.offset - cursor.tail_length)
            tail = file.read(cursor.tail_length)
    except OSError as error:
        return f"unreadable: {error.strerror}"
    if size < cursor.offset:
        return "truncated: its content is read as a new one"
    if digest(head) != record.head_digest:
        return "another content: its beginning is not the one that was read"
    if tail and digest(tail) != cursor.tail_digest:
        return "another content: what lies before the offset is not what was read"
    return "complete" if cursor.offset == size else "read on"
