"""Whose content a compressed file has: one that can still be read, one that is gone, or none that is known.

Of contents that are gone it goes on with the one of which it has the longest beginning, as far as every sink has
that. What many files begin with (a CSV header, a banner) proves little: where the original can be read every byte
is compared, and a file that is longer than the original is no copy of it.
"""

from collections.abc import Collection, Mapping
from enum import Enum
from typing import Protocol

from topmast_shipper.checkpoint import Checkpoint, FileRecord
from topmast_shipper.tail.archive import Archive
from topmast_shipper.tail.copies import Copies, Verdict
from topmast_shipper.tail.discovery import Found, whereabouts
from topmast_shipper.tail.failures import Failures
from topmast_shipper.tail.generation import AnyFile, Generation

Key = tuple[int, int]
Files = Mapping[Key, Generation]


class Make(Protocol):
    """Opens what was found; None when it cannot be, which is told."""

    def __call__(self, found: Found, kind: type[AnyFile], /) -> AnyFile | None: ...


class _Original(Enum):
    """What became of a content of which a compressed file has the beginning."""

    GONE = "gone"
    HAS_IT = "has all of the compressed file"
    HAS_NOT = "only begins like it"
    UNCLEAR = "cannot be read just now"


class Originals:
    """Judges the compressed files of one input; belongs to one thread."""

    def __init__(self, make: Make, checkpoint: Checkpoint, copies: Copies, failures: Failures) -> None:
        self._make = make
        self._checkpoint = checkpoint
        self._copies = copies
        self._failures = failures

    def judge(
        self, archive: Archive, files: Files, archives: Collection[Archive]
    ) -> tuple[Verdict, FileRecord | None]:
        """Return what a compressed file is, and for a copy of what.

        One that waits is a copy of what is there; without a record it cannot be said just now. Raises OSError.
        """
        gone = None
        if self._of_no_name_yet(archive, files):
            return Verdict.WAIT, None
        for record in self._copies.alike(archive):
            original = self._compared(record, archive, files, archives)
            if original is _Original.HAS_IT:
                return Verdict.WAIT, record
            if original is _Original.UNCLEAR:
                return Verdict.WAIT, None
            if original is _Original.GONE:
                gone = gone or record
        return (Verdict.COPY, gone) if gone else (Verdict.OWN, None)

    def there(self, record: FileRecord, key: Key, files: Files, archives: Collection[Archive]) -> bool:
        """Return whether a content can still be read elsewhere than in the file of this key."""
        followed = _followed(record, key, files, archives)
        return followed is not None or self._elsewhere(record, key, files) is not None

    def _of_no_name_yet(self, archive: Archive, files: Files) -> bool:
        """Return whether a file that is open and has no name yet has all of it."""
        for each in [each for each in files.values() if not each.stream]:
            with self._failures.at(each.where):
                if archive.within(each) is not False:
                    return True
        return False

    def _compared(
        self, record: FileRecord, archive: Archive, files: Files, archives: Collection[Archive]
    ) -> _Original:
        followed = _followed(record, archive.key, files, archives)
        if followed is not None:
            return _verdict(archive.within(followed))
        found = self._elsewhere(record, archive.key, files)
        if found is None:
            return _Original.GONE
        file = self._make(found, Archive) if found.compressed else self._make(found, Generation)
        if file is None:
            return _Original.UNCLEAR
        try:
            if isinstance(file, Archive):
                file.measure()
            return _verdict(archive.within(file)) if self._copies.has(file, record) else _Original.GONE
        finally:
            file.close()

    def _elsewhere(self, record: FileRecord, key: Key, files: Files) -> Found | None:
        """Return where a content is that nobody follows here: another input's, or out of the patterns."""
        home = (record.device, record.inode)
        if home == key or home in files or self._checkpoint.file(*home) != record:
            return None
        return whereabouts(record.path, record.target, home)


def _followed(record: FileRecord, key: Key, files: Files, archives: Collection[Archive]) -> Generation | None:
    place = (record.stream, record.generation)
    held = [each for each in (*files.values(), *archives) if (each.stream, each.generation) == place]
    return next((each for each in held if each.key != key), None)


def _verdict(inside: bool | None) -> _Original:
    if inside is None:
        return _Original.UNCLEAR
    return _Original.HAS_IT if inside else _Original.HAS_NOT
