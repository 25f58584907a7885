"""tail/generation.py: which file it is that is opened (again)."""

from dataclasses import replace
from pathlib import Path

import pytest
from tailing import Reader, append
from topmast_shipper.tail.birth import born_ns


def made_anew(log: Path, content: str) -> None:
    """Delete a file and make it again on the same inode, as ext4 does; skip where that does not come about."""
    inode = log.stat().st_ino
    with log.open("rb") as file:
        if born_ns(file.fileno()) is None:
            pytest.skip("this file system does not know when a file was made")
    log.unlink()
    for number in range(50):
        made = log.with_name(f"made.{number}")
        made.write_text(content)
        if made.stat().st_ino == inode:
            made.rename(log)
            return
    pytest.skip("this file system does not give the inode away again")


def test_an_inode_that_comes_again_while_we_are_away(reader: Reader, log: Path) -> None:
    append(log, "started\n")
    reader.catalogue.sweep()
    first = reader.read_ids()
    reader.kill()
    made_anew(log, "started\nmore\n")
    reader.start()

    reader.catalogue.sweep()
    found = reader.read_ids()

    assert [line for line, _ in found] == ["started", "more"]
    assert not {identity for _, identity in found} & {identity for _, identity in first}
    reader.restart()
    assert reader.read() == []


def test_an_inode_that_comes_again_while_it_is_not_open(reader: Reader, log: Path) -> None:
    append(log, "started\n")
    assert reader.read() == ["started"]
    reader.wait(600)
    append(log, "unread\n")
    reader.catalogue.sweep()
    next(iter(reader.catalogue.sources())).give_back()
    made_anew(log, "started\nunread\nmore\n")

    found = reader.read()
    reader.wait(100)

    assert found == ["started", "unread", "more"]
    assert reader.lost == [("deleted", 7)]


def test_a_file_that_was_made_at_another_time_is_another(reader: Reader, log: Path) -> None:
    append(log, "one\n")
    assert reader.read() == ["one"]
    (record,) = reader.checkpoint.files()
    if record.born_ns is None:
        pytest.skip("this file system does not know when a file was made")
    reader.checkpoint.remember(replace(record, born_ns=record.born_ns - 1))
    append(log, "two\n")

    reader.restart()

    assert reader.read() == ["one", "two"]
    assert reader.catalogue.sources()[0].generation == 1


def test_a_record_of_before_there_were_births_is_any_file_s(reader: Reader, log: Path) -> None:
    append(log, "one\n")
    assert reader.read() == ["one"]
    (record,) = reader.checkpoint.files()
    reader.checkpoint.remember(replace(record, born_ns=None))
    append(log, "two\n")

    reader.restart()

    assert reader.read() == ["two"]
