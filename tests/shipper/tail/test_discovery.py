"""tail/discovery.py: which files there are, and which folders announce new ones."""

import os
from pathlib import Path

import pytest
from tailing import Reader, append
from topmast_shipper.tail.discovery import discover, folders, holder, legible, look, looks_rotated, siblings


def test_the_longest_unchanged_comes_first(tmp_path: Path) -> None:
    for number, name in enumerate(("b.log", "a.log", "c.log")):
        (tmp_path / name).touch()
        os.utime(tmp_path / name, (number, number))

    found = discover([str(tmp_path / "*.log")])

    assert [Path(each.path).name for each in found] == ["b.log", "a.log", "c.log"]


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        pytest.param("*.log", ["."], id="a pattern here"),
        pytest.param("a/app.log", ["a"], id="a folder"),
        pytest.param("a/*/app.log", ["a", "a/b"], id="a pattern of folders"),
        pytest.param("new/deep/app.log", ["."], id="folders that are not there yet"),
    ],
)
def test_folders(tmp_path: Path, pattern: str, expected: list[str]) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)

    assert folders([str(tmp_path / pattern)]) == {str(tmp_path / each) for each in expected}


@pytest.mark.parametrize(
    ("name", "text"),
    [
        pytest.param("café.log".encode(), "café.log", id="UTF-8"),
        pytest.param(b"caf\xe9.log", "caf\\xe9.log", id="Latin-1"),
    ],
)
def test_legible(name: bytes, text: str) -> None:
    assert legible(os.fsdecode(name)) == text


def test_names_that_are_no_utf_8(tmp_path: Path) -> None:
    folder = tmp_path / os.fsdecode(b"caf\xe9")
    folder.mkdir()
    reader = Reader(folder, ("*.log", "current"))
    log = folder / os.fsdecode(b"\xe9.log")
    append(log, "one\n")
    (folder / "current").symlink_to(log)
    assert reader.read() == ["one"]
    append(log, "two\n")
    log.rename(log.with_suffix(".1"))

    reader.restart()

    assert reader.read() == ["two"]
    (source,) = reader.catalogue.sources()
    assert source.origin.path == f"{tmp_path}/caf\\xe9/\\xe9.log"


def test_siblings_begin_with_the_name(tmp_path: Path) -> None:
    for name in ("app.log", "app.log.1", "app.log-20261122", "app.log.2.gz", "app.log.3.xz", "other.log"):
        (tmp_path / name).touch()

    assert [Path(each.path).name for each in siblings(str(tmp_path / "app.log"))] == [
        "app.log-20261122",
        "app.log.1",
        "app.log.2.gz",
    ]


def test_holder_finds_a_file_under_its_new_name(tmp_path: Path) -> None:
    log = tmp_path / "app.log"
    log.touch()
    there = look(str(log))
    assert there is not None
    log.rename(tmp_path / "moved")
    log.touch()

    found = holder(str(log), there.key)

    assert found is not None
    assert found.path == str(tmp_path / "moved")
    (tmp_path / "moved").unlink()
    assert holder(str(log), there.key) is None


@pytest.mark.parametrize(
    ("path", "rotated"),
    [("/a/app.log.1", True), ("/a/app.log-20261122", True), ("/a/app.log", False), ("/a/app.logs", False)],
)
def test_looks_rotated(path: str, rotated: bool) -> None:
    assert looks_rotated(path, ["/a/app.log"]) is rotated
