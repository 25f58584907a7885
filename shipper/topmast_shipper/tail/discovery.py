"""Which files there are: globs, siblings of a rotated file, and what is left alone."""

import glob
import os
import stat
from collections.abc import Iterable, Sequence
from fnmatch import fnmatch
from pathlib import PurePath
from typing import NamedTuple

# Compressed by a rotation: their lines were there before as a plain file.
ARCHIVE = ".gz"
_COMPRESSED = (".bz2", ".xz", ".zst", ".lz4")


class Found(NamedTuple):
    """A regular file as one look at the world saw it."""

    path: str
    status: os.stat_result

    @property
    def key(self) -> tuple[int, int]:
        return (self.status.st_dev, self.status.st_ino)

    @property
    def compressed(self) -> bool:
        return self.path.endswith(ARCHIVE)


def discover(patterns: Sequence[str], exclude: Sequence[str] = ()) -> list[Found]:
    """Return the regular files that a pattern matches, each inode once, the longest unchanged first.

    Symbolic links are followed; of several names of one file the shortest counts.
    """
    found: dict[tuple[int, int], Found] = {}
    paths = {path for pattern in patterns for path in _matches(pattern)}
    for path in sorted(paths, key=lambda path: (len(path), path)):
        if path.endswith(_COMPRESSED) or any(fnmatch(path, each) for each in exclude):
            continue
        each = look(path)
        if each is not None:
            found.setdefault(each.key, each)
    return sorted(found.values(), key=lambda each: (each.status.st_mtime_ns, each.path))


def look(path: str) -> Found | None:
    """Return the regular file at a path, or None when there is none (any more)."""
    try:
        status = os.stat(path)  # noqa: PTH116 - a Path object for each file and sweep costs more than the call
    except OSError:
        return None
    return Found(path, status) if stat.S_ISREG(status.st_mode) else None


def siblings(path: str) -> list[Found]:
    """Return the files beside `path` whose names begin with its name: where rotation put its content."""
    folder, name = os.path.split(path)
    try:
        with os.scandir(folder or ".") as entries:
            names = [each.path for each in entries if each.name.startswith(name) and each.name != name]
    except OSError:
        return []
    looked = [look(each) for each in sorted(names) if not each.endswith(_COMPRESSED)]
    return [each for each in looked if each is not None]


def legible(path: str) -> str:
    """Return the path as text for people and stores: bytes of a name that are no UTF-8 as `\\xff`."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def holder(path: str, key: tuple[int, int]) -> Found | None:
    """Return where the file with this identity is now: at its path, or under another name in that folder."""
    here = look(path)
    if here is not None and here.key == key:
        return here
    folder = os.path.dirname(path) or "."  # noqa: PTH120 - as above
    try:
        with os.scandir(folder) as entries:
            names = [each.path for each in entries if each.inode() == key[1]]
    except OSError:
        return None
    return next((each for each in map(look, names) if each is not None and each.key == key), None)


def whereabouts(path: str, target: str, key: tuple[int, int]) -> Found | None:
    """Return where a file is now: at its path, where that led, or under another name beside them."""
    return holder(path, key) or (holder(target, key) if target else None)


def folders(patterns: Iterable[str]) -> set[str]:
    """Return the folders in which a new match of the patterns can appear, as far as they exist."""
    chosen: set[str] = set()
    for pattern in patterns:
        parents = PurePath(pattern).parent
        if glob.has_magic(str(parents)):
            chosen.update(_matches(str(parents)))
            while glob.has_magic(str(parents)):
                parents = parents.parent
        # os.path: Path.is_dir raises below a folder that may not be looked into
        while not os.path.isdir(parents) and parents != parents.parent:  # noqa: PTH112 - as the line above says
            parents = parents.parent
        chosen.add(str(parents))
    return chosen


def _matches(pattern: str) -> list[str]:
    return glob.glob(pattern, recursive=True)  # noqa: PTH207 - Path.glob cannot take an absolute pattern


def looks_rotated(path: str, others: Iterable[str]) -> bool:
    """Return whether a path is another's with something appended: app.log.1, app.log-20261122."""
    return any(path.startswith((other + ".", other + "-")) for other in others)


def parted(found: Iterable[Found]) -> tuple[list[Found], list[Found]]:
    """Return the compressed ones and the others, in their order."""
    parted: tuple[list[Found], list[Found]] = ([], [])
    for each in found:
        parted[not each.compressed].append(each)
    return parted
