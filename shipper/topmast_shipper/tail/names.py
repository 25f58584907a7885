"""Which stream a file is: named after its first line, and stored before that is read."""

from collections.abc import Callable

from topmast_shipper.checkpoint import Checkpoint, FileRecord
from topmast_shipper.event import Origin
from topmast_shipper.tail.containers import name_of
from topmast_shipper.tail.follow import Follow
from topmast_shipper.tail.generation import Generation
from topmast_shipper.tail.identity import HEAD_BYTES, digest, first_line, stream_id


class Names:
    """Gives the files of one input their streams."""

    def __init__(self, follow: Follow, checkpoint: Checkpoint, wall: Callable[[], float]) -> None:
        self.follow = follow
        self._checkpoint = checkpoint
        self._wall = wall

    def give(self, file: Generation, record: FileRecord, head: bytes) -> None:
        """Let the file be the content that is known."""
        stream, generation = record.stream, record.generation
        file.head = first_line(head) or b""
        file.generation = generation
        file.origin = self.origin(file)
        file.cuts = self._checkpoint.cuts(stream, generation)
        file.store_cut = lambda offset: self._checkpoint.cut(stream, generation, offset)
        file.stream = stream

    def origin(self, file: Generation) -> Origin:
        """Return what its lines say of where they are from."""
        service = self.follow.service or (name_of(file.path) if self.follow.framing else "")
        return Origin(self.follow.input, file.shown, service)

    def store(self, file: Generation, stream: str, generation: int, head: bytes) -> None:
        """Store what the file is, then let it be that. Raises OSError when it could not be made durable."""
        self.give(file, self._remember(file, stream, generation, head), head)

    def store_new(self, file: Generation, head: bytes, line: bytes) -> None:
        """Name a content that was never seen after its first line. Raises as `store`."""
        stream = stream_id(file.device, file.inode, line)
        self.store(file, stream, self._checkpoint.next_generation(stream), head)

    def let_head_grow(self, file: Generation) -> None:
        """Of a tiny file: the fingerprint grows with it, the name does not."""
        record = self._checkpoint.file(*file.key)
        if record is not None and record.head_length < min(HEAD_BYTES, file.size):
            head = file.bytes_at(0, HEAD_BYTES)
            if len(head) == HEAD_BYTES or file.rotated:
                self._remember(file, file.stream, file.generation, head)

    def _remember(self, file: Generation, stream: str, generation: int, head: bytes) -> FileRecord:
        record = FileRecord(
            self.follow.input, file.device, file.inode, stream, generation,
            len(head), digest(head), file.path, self._wall(), file.target, file.born_ns,
        )  # fmt: skip
        self._checkpoint.remember(record)
        return record
