"""What is looked at, and what cannot be: always a finding with file, line and remedy, never a traceback."""

import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from topmast import check
from topmast.check import Spot

ROOT = Path(__file__).resolve().parents[2]


@contextmanager
def nobody() -> Iterator[None]:
    """Run as a user without rights: root reads what it likes."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.fixture
def public() -> Iterator[Path]:
    """A folder that others may enter: pytest's own are closed."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


def bomb() -> str:
    lines = ["groups:", "  - &a {name: a, rules: []}"]
    return "\n".join(
        [
            *lines,
            *(f"  - &{new} [{', '.join([f'*{old}'] * 10)}]" for old, new in zip("abcdefg", "bcdefgh", strict=True)),
        ]
    )


@pytest.mark.parametrize(
    ("name", "content", "line", "message"),
    [
        pytest.param("rules.yml", b"", 1, "an empty rule file: remove it", id="an empty file"),
        pytest.param("rules.yml", b"# soon\n", 1, "an empty rule file: remove it", id="a file of comments"),
        pytest.param("rules.yml", b"groups:\n  - name: \xff\n", 2, "save it as UTF-8", id="Latin-1"),
        pytest.param("rules.yml", b"groups:\n\n  - name: \x00\n", 3, "name a text file", id="a NUL byte"),
        pytest.param(
            "prometheus", b"\x7fELF\x02\x01\xff\xfe\x00", 1, "is it a binary?", id="a binary without a suffix"
        ),
        pytest.param("picture.json", b"\x89PNG\r\n\x1a\n", 1, "is it a binary?", id="a picture"),
        pytest.param("rules.yml", b"groups: []\n" + b"# padding\n" * 1_000_000, 1, "10.0 MB: split it", id="10 MB"),
        pytest.param("rules", b"x" * 10_000_000, 1, "10.0 MB: split it", id="10 MB without a suffix"),
        pytest.param("rules.yml", bomb().encode(), 7, "write out what is needed", id="a YAML bomb"),
        pytest.param("rules.yml", b"[" * 100_000, 1, "nested more than 100 deep", id="brackets"),
        pytest.param("rules.yml", b"groups: [\n", 1, "not YAML", id="no YAML"),
        pytest.param("rules.yml", b"groups: []\ngroups: []\n", 2, "stands twice (line 1)", id="a key twice"),
        pytest.param("rules.yml", b"#!/bin/sh\necho hello\n", 2, "write `groups:` above it", id="a script"),
    ],
)
def test_bad_input_is_a_finding(tmp_path: Path, name: str, content: bytes, line: int, message: str) -> None:
    path = tmp_path / name
    path.write_bytes(content)

    tree = check.read([path], ROOT)

    assert [(spot.path, spot.line) for spot in tree.broken] == [(path, line)]
    assert message in tree.broken[0].message


def test_a_folder_without_permission_is_a_finding(public: Path) -> None:
    closed = public / "closed"
    closed.mkdir(mode=0)
    (public / "open.yml").write_text("groups: []\n")

    with nobody():
        tree = check.read([public], ROOT)

    assert tree.broken == [Spot(closed, 1, "cannot be read: Permission denied; change its permissions")]


def test_a_file_without_permission_is_a_finding(public: Path) -> None:
    closed = public / "closed.yml"
    closed.touch(mode=0)

    with nobody():
        tree = check.read([public], ROOT)

    assert tree.broken == [Spot(closed, 1, "cannot be read: Permission denied; change its permissions")]


@pytest.mark.parametrize(
    "make",
    [
        pytest.param(lambda path: path.mkdir(), id="an empty folder"),
        pytest.param(lambda path: (path.mkdir(), (path / ".hidden.yml").touch()), id="hidden files only"),
    ],
)
def test_nothing_to_check_is_a_finding(tmp_path: Path, make: Callable[[Path], object]) -> None:
    make(tmp_path / "rules")

    tree = check.read([tmp_path / "rules"], ROOT)

    assert [spot.message for spot in tree.broken] == [
        "nothing in it can be checked: name a folder of .yml files, or a file"
    ]


def test_what_is_no_file_is_a_finding() -> None:
    tree = check.read([Path("/dev/zero")], ROOT)

    assert tree.broken == [Spot(Path("/dev/zero"), 1, "no file that can be read as text")]


def test_too_many_files_are_a_finding(tmp_path: Path) -> None:
    for number in range(check.MAX_FILES + 2):
        (tmp_path / f"{number}.txt").touch()

    tree = check.read([tmp_path], ROOT)

    assert Spot(tmp_path, 1, f"more than {check.MAX_FILES} files: name a narrower folder") in tree.broken


def test_links_in_a_circle_end(tmp_path: Path) -> None:
    (tmp_path / "here").symlink_to(tmp_path)
    (tmp_path / "lost.yml").symlink_to(tmp_path / "nowhere.yml")
    (tmp_path / "rules.yml").write_text("groups: []\n")

    assert check.read([tmp_path], ROOT).broken == []


def test_a_broken_document_is_told_once_and_not_walked_over(tmp_path: Path) -> None:
    path = tmp_path / "alertmanager.yml"
    path.write_text("route: {receiver: a}\nreceivers: [{name: a}\n")

    tree = check.read([path], ROOT)

    assert tree.documents == {}
    assert [(spot.line, spot.message[:8]) for spot in tree.broken] == [(2, "not YAML")]
