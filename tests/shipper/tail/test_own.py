"""tail/own.py: what the shipper writes itself is never read, whatever its name is."""

import logging
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from topmast_shipper.component import Written
from topmast_shipper.tail.discovery import discover
from topmast_shipper.tail.own import Own


def names(own: Own, folder: Path) -> list[str]:
    found = own.without(discover([str(folder / "**")]))
    return sorted(str(Path(each.path).relative_to(folder)) for each in found)


@pytest.mark.parametrize(
    ("file", "read"),
    [
        pytest.param("out.json", False, id="the file"),
        pytest.param("out.json.1", False, id="rotated"),
        pytest.param("out.json-20261122", False, id="rotated with a date"),
        pytest.param("out.json.2.gz", False, id="rotated and compressed"),
        pytest.param("out.json.gz", False, id="compressed"),
        pytest.param("out.jsonl", True, id="another that begins so"),
        pytest.param("deeper/out.json", True, id="the name elsewhere"),
        pytest.param("store/2026-11-22.sqlite-wal", False, id="of a store"),
        pytest.param("store/app.log", True, id="another beside a store"),
        pytest.param("store/spool-http/1.seg", False, id="in a folder of a store"),
    ],
)
def test_files(tmp_path: Path, file: str, read: bool) -> None:
    own = Own("a", [Written(tmp_path / "out.json"), Written(tmp_path / "store", ("*.sqlite*", "spool-*"))])
    (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / file).touch()

    assert names(own, tmp_path) == ([file] if read else [])


def test_a_file_that_appears_later(tmp_path: Path) -> None:
    own = Own("a", [Written(tmp_path / "out.json")])
    (tmp_path / "app.log").touch()
    assert names(own, tmp_path) == ["app.log"]

    (tmp_path / "out.json").touch()

    assert names(own, tmp_path) == ["app.log"]


@pytest.mark.parametrize("link", [os.symlink, os.link])
def test_another_name_of_it(tmp_path: Path, link: Callable[[Path, Path], None]) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "in").mkdir()
    own = Own("a", [Written(tmp_path / "elsewhere" / "out.json")])
    (tmp_path / "elsewhere" / "out.json").touch()

    link(tmp_path / "elsewhere" / "out.json", tmp_path / "in" / "app.log")

    assert names(own, tmp_path / "in") == []


def test_a_sink_that_writes_through_a_link(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    own = Own("a", [Written(tmp_path / "link" / "out.json")])
    (tmp_path / "in" / "out.json").touch()
    assert names(own, tmp_path / "in") == ["out.json"]

    (tmp_path / "link").symlink_to(tmp_path / "in")

    assert names(own, tmp_path / "in") == []


def test_it_is_told_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    own = Own("a", [Written(tmp_path / "out.json")])
    (tmp_path / "out.json").touch()
    with caplog.at_level(logging.WARNING):
        for number in range(3):
            (tmp_path / f"out.json.{number}").touch()
            names(own, tmp_path)

    assert [each.getMessage() for each in caplog.records] == [
        f"input a: {tmp_path}/out.json is written by this shipper, and is not read"
    ]
