"""tail/birth.py: an inode's own time, or none."""

import os
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from topmast_shipper.tail.birth import born_ns, differ

EXT4, OVERLAY = 0xEF53, 0x794C7630


class Library:
    """A C library on a file system of our choice."""

    def __init__(self, kind: int = EXT4, status: int = 0, mask: int = 0xFFF, seconds: int = 5) -> None:
        self._kind, self._status, self._mask, self._seconds = kind, status, mask, seconds

    def fstatfs(self, _descriptor: int, buffer: Any) -> int:
        struct.pack_into("L", buffer, 0, self._kind)
        return 0

    def statx(self, _descriptor: int, _path: bytes, _flags: int, _asked: int, buffer: Any) -> int:
        struct.pack_into("I", buffer, 0, self._mask)
        struct.pack_into("qI", buffer, 80, self._seconds, 7)
        return self._status


class OldLibrary:
    """One from before there was statx."""

    def fstatfs(self, _descriptor: int, buffer: Any) -> int:
        return Library().fstatfs(0, buffer)


@pytest.mark.parametrize(
    ("library", "expected"),
    [
        pytest.param(Library(), 5_000_000_007, id="known"),
        pytest.param(Library(kind=OVERLAY), None, id="an overlay"),
        pytest.param(Library(status=-1), None, id="an old kernel"),
        pytest.param(Library(mask=0x7FF), None, id="a file system without it"),
        pytest.param(Library(seconds=0), None, id="an inode without it"),
        pytest.param(OldLibrary(), None, id="an old library"),
    ],
)
def test_what_the_system_says(library: object, expected: int | None) -> None:
    assert born_ns(0, library) == expected


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda path: path.write_bytes(b"other"), id="written anew"),
        pytest.param(lambda path: os.truncate(path, 0), id="truncated"),
        pytest.param(lambda path: os.utime(path, (1, 1)), id="touched"),
        pytest.param(lambda path: os.link(path, path.with_name("link")), id="linked"),
        pytest.param(lambda path: path.chmod(0o600), id="permissions"),
    ],
)
def test_a_file_keeps_it(tmp_path: Path, change: Callable[[Path], object]) -> None:
    path = tmp_path / "file"
    path.touch()
    with path.open("rb") as file:
        before = born_ns(file.fileno())

        change(path)

        assert born_ns(file.fileno()) == before


def test_a_descriptor_that_is_none() -> None:
    assert born_ns(-1) is None


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        pytest.param(1, 2, True, id="two"),
        pytest.param(1, 1, False, id="one"),
        pytest.param(None, 1, False, id="an old record"),
        pytest.param(1, None, False, id="not known any more"),
    ],
)
def test_differ(one: int | None, other: int | None, expected: bool) -> None:
    assert differ(one, other) is expected
