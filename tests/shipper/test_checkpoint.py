"""checkpoint.py: what is durable, and what a damaged file costs."""

import os
import resource
import time
import zlib
from dataclasses import astuple, replace
from pathlib import Path

import orjson
import pytest
from tailing import Reader, append
from topmast_shipper.checkpoint import FORGET_SECONDS, GRACE_SECONDS, Checkpoint, FileRecord, remembered
from topmast_shipper.component import Cursor
from topmast_shipper.errors import StateError

NOW = 1_795_300_000.0
RECORD = FileRecord("app", 1, 2, "0123456789abcdef", 0, 4, "00112233", "/var/log/app.log", NOW)
FIRST, SECOND, THIRD = Cursor(10, 10, "aa"), Cursor(20, 20, "bb"), Cursor(30, 30, "cc")
PLACE = (RECORD.stream, 0)


def opened(folder: Path, now: float = NOW) -> Checkpoint:
    return Checkpoint(folder, lambda: now)


def filled(folder: Path) -> bytes:
    """Write a record and two cursors; return the file's bytes as they were appended."""
    checkpoint = opened(folder)
    checkpoint.remember(RECORD)
    checkpoint.advance("sqlite", {PLACE: FIRST})
    checkpoint.advance("sqlite", {PLACE: SECOND})
    checkpoint.close()
    return (folder / "checkpoint.log").read_bytes()


def test_what_was_stored_is_there_at_the_next_start(tmp_path: Path) -> None:
    filled(tmp_path)

    checkpoint = opened(tmp_path)

    assert checkpoint.file(1, 2) == RECORD
    assert checkpoint.cursor("sqlite", *PLACE) == SECOND
    assert checkpoint.cursor("other", *PLACE) == Cursor()
    assert checkpoint.bad_lines == 0
    checkpoint.close()


def test_names_of_any_bytes_are_there_at_the_next_start(tmp_path: Path) -> None:
    odd = replace(RECORD, path=os.fsdecode(b"/caf\xe9/\\xe9.log"), target=os.fsdecode(b"/\xff\xfe"))
    like = replace(RECORD, inode=3, path="/caf\\xe9/\\udce9.log", target='["2f"]')
    checkpoint = opened(tmp_path)
    checkpoint.remember(odd)
    checkpoint.remember(like)
    checkpoint.close()
    opened(tmp_path).close()

    checkpoint = opened(tmp_path)

    assert checkpoint.files() == [odd, like]
    assert checkpoint.bad_lines == 0
    checkpoint.close()


def test_a_file_of_an_older_shipper_is_read(tmp_path: Path) -> None:
    lines = []
    for length in (9, 10):
        data = orjson.dumps(["file", *astuple(replace(RECORD, inode=length))[:length]])
        lines.append(b"%08x %s\n" % (zlib.crc32(data), data))
    (tmp_path / "checkpoint.log").write_bytes(b"".join(lines))

    checkpoint = opened(tmp_path)

    assert checkpoint.files() == [replace(RECORD, inode=9), replace(RECORD, inode=10)]
    assert checkpoint.bad_lines == 0
    checkpoint.close()


def test_of_two_files_with_one_content_the_last_has_it_however_often_the_file_is_rewritten(tmp_path: Path) -> None:
    clocks = Clocks(NOW)
    checkpoint = clocks.opened(tmp_path)
    copy = replace(RECORD, inode=3, path="/var/log/app.log.1")
    for record in (replace(copy, stream="another"), RECORD, copy):
        checkpoint.remember(record)
    clocks.wait(2 * 86400.0)
    checkpoint.touch([(1, 2)])

    for _ in range(3):
        holder = checkpoint.content(*PLACE)
        assert holder is not None
        assert holder.path == copy.path
        checkpoint.close()
        checkpoint = clocks.opened(tmp_path)
    checkpoint.close()


def test_a_torn_tail_costs_the_last_step_at_most(tmp_path: Path) -> None:
    whole = filled(tmp_path)

    for length in range(len(whole)):
        (tmp_path / "checkpoint.log").write_bytes(whole[:length])
        checkpoint = opened(tmp_path)
        assert checkpoint.cursor("sqlite", *PLACE) in (Cursor(), FIRST, SECOND)
        checkpoint.close()


def test_a_damaged_line_is_left_out(tmp_path: Path) -> None:
    whole = filled(tmp_path)
    (tmp_path / "checkpoint.log").write_bytes(whole.replace(b'"bb"', b'"cc"'))

    checkpoint = opened(tmp_path)

    assert checkpoint.bad_lines == 1
    assert checkpoint.cursor("sqlite", *PLACE) == FIRST
    assert checkpoint.file(1, 2) == RECORD
    checkpoint.close()


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"\0" * 4096, id="zeros"),
        pytest.param(b"nonsense\n" * 10, id="text"),
        pytest.param(bytes(range(256)) * 10, id="bytes"),
    ],
)
def test_a_file_that_is_none_is_a_new_beginning(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "checkpoint.log").write_bytes(content)

    checkpoint = opened(tmp_path)

    assert checkpoint.files() == []
    checkpoint.close()


def test_it_stays_small(tmp_path: Path) -> None:
    checkpoint = opened(tmp_path)
    checkpoint.remember(RECORD)
    for number in range(12_000):
        checkpoint.advance("sqlite", {PLACE: Cursor(number, 0, "")})

    assert (tmp_path / "checkpoint.log").stat().st_size < 1_200_000
    assert checkpoint.cursor("sqlite", *PLACE).offset == 11_999
    checkpoint.close()
    assert opened_size(tmp_path) < 1000


def opened_size(folder: Path) -> int:
    opened(folder).close()
    return (folder / "checkpoint.log").stat().st_size


class Clocks:
    """A wall clock, and the one that nobody sets."""

    def __init__(self, wall: float) -> None:
        self.wall = wall
        self.passed = 1000.0

    def wait(self, seconds: float) -> None:
        self.wall += seconds
        self.passed += seconds

    def opened(self, folder: Path) -> Checkpoint:
        return Checkpoint(folder, lambda: self.wall, lambda: self.passed)


MONTH = FORGET_SECONDS + 86400


def test_what_is_not_there_after_a_month_is_forgotten_once_everything_was_looked_at(tmp_path: Path) -> None:
    filled(tmp_path)
    clocks = Clocks(NOW + MONTH)
    checkpoint = clocks.opened(tmp_path)
    there = replace(RECORD, inode=3, stream="x" * 16, seen_at=clocks.wall)
    checkpoint.remember(there)

    checkpoint.touch([(1, 3)])
    assert len(checkpoint.files()) == 2
    clocks.wait(GRACE_SECONDS)
    checkpoint.touch([(1, 3)])

    assert checkpoint.files() == checkpoint.contents() == [there]
    assert checkpoint.cursor("sqlite", *PLACE) == Cursor()
    checkpoint.close()
    assert list(remembered(tmp_path).files.values()) == [there]


def test_a_month_without_a_shipper_reads_nothing_again(tmp_path: Path) -> None:
    log, reader = tmp_path / "app.log", Reader(tmp_path)
    append(log, "one\n")
    assert reader.read() == ["one"]
    os.truncate(log, 0)
    reader.catalogue.sweep()
    append(log, "one\ntwo\n")
    reader.wait()
    assert reader.read() == ["one", "two"]
    reader.kill()
    Checkpoint(reader.folder / "state", clock=lambda: time.time() + MONTH).close()
    append(log, "three\n")

    reader.start()

    assert reader.read() == ["three"]
    assert reader.catalogue.sources()[0].generation == 1


def test_what_goes_while_a_shipper_runs_is_forgotten_after_a_month(tmp_path: Path) -> None:
    clocks = Clocks(NOW)
    checkpoint = clocks.opened(tmp_path)
    checkpoint.remember(RECORD)
    known = []

    for _ in range(32):
        clocks.wait(86400)
        checkpoint.touch([])
        known.append(len(checkpoint.files()))

    assert known == [1] * 29 + [0] * 3
    checkpoint.close()


@pytest.mark.parametrize("step", [pytest.param(MONTH, id="a month ahead"), pytest.param(-MONTH, id="a month back")])
def test_a_clock_that_is_set_makes_nothing_forgotten(tmp_path: Path, step: float) -> None:
    filled(tmp_path)
    clocks = Clocks(NOW)
    for _ in range(3):
        checkpoint = clocks.opened(tmp_path)
        checkpoint.touch([(1, 2)])
        clocks.wall += step
        checkpoint.remember(replace(RECORD, inode=3, stream="x" * 16, seen_at=clocks.wall))
        clocks.wait(GRACE_SECONDS)
        checkpoint.touch([(1, 2)])
        assert len(checkpoint.files()) == 2
        checkpoint.close()

    checkpoint = clocks.opened(tmp_path)
    assert checkpoint.cursor("sqlite", *PLACE) == SECOND
    assert checkpoint.next_generation(RECORD.stream) == 1
    checkpoint.close()


def test_a_file_that_is_still_there_is_not_forgotten(tmp_path: Path) -> None:
    filled(tmp_path)
    clocks = Clocks(NOW)
    checkpoint = clocks.opened(tmp_path)

    for _ in range(40):
        checkpoint.touch([(1, 2)])
        clocks.wait(86400.5)

    assert [record.stream for record in checkpoint.files()] == [RECORD.stream]
    assert checkpoint.cursor("sqlite", *PLACE) == SECOND
    checkpoint.close()


def test_generations_count_up(tmp_path: Path) -> None:
    checkpoint = opened(tmp_path)

    assert checkpoint.next_generation(RECORD.stream) == 0
    checkpoint.remember(RECORD)
    assert checkpoint.next_generation(RECORD.stream) == 1
    checkpoint.advance("sqlite", {(RECORD.stream, 4): FIRST})
    assert checkpoint.next_generation(RECORD.stream) == 5
    checkpoint.close()


def test_two_at_once_are_refused(tmp_path: Path) -> None:
    checkpoint = opened(tmp_path)

    with pytest.raises(StateError, match="another shipper is at work here"):
        opened(tmp_path)

    checkpoint.close()
    opened(tmp_path).close()


def test_a_full_disk_changes_nothing(tmp_path: Path) -> None:
    checkpoint = opened(tmp_path)
    checkpoint.remember(RECORD)
    checkpoint.advance("sqlite", {PLACE: FIRST})
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    size = (tmp_path / "checkpoint.log").stat().st_size
    resource.setrlimit(resource.RLIMIT_FSIZE, (size + 10, limits[1]))
    try:
        with pytest.raises(OSError, match="no space left"):
            checkpoint.advance("sqlite", {PLACE: SECOND})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)

    assert checkpoint.cursor("sqlite", *PLACE) == FIRST
    checkpoint.close()
    checkpoint = opened(tmp_path)
    assert checkpoint.cursor("sqlite", *PLACE) == FIRST
    assert checkpoint.bad_lines == 0
    checkpoint.close()


def test_where_a_pause_ended_an_event_is_remembered_until_every_sink_is_past_it(tmp_path: Path) -> None:
    checkpoint = opened(tmp_path)
    checkpoint.remember(RECORD)
    checkpoint.advance("sqlite", {PLACE: FIRST})
    for offset in (5, 15):
        checkpoint.cut(*PLACE, offset)
    checkpoint.close()

    # a start reads what there is, then writes what is still of use
    assert opened(tmp_path).cuts(*PLACE) == {15}


def test_a_content_is_remembered_when_its_inode_belongs_to_another(tmp_path: Path) -> None:
    other = replace(RECORD, stream="x" * 16)
    checkpoint = opened(tmp_path)
    checkpoint.remember(RECORD)
    checkpoint.advance("sqlite", {PLACE: FIRST})
    checkpoint.remember(other)
    checkpoint.close()
    opened(tmp_path).close()

    checkpoint = opened(tmp_path)

    assert checkpoint.file(1, 2) == other
    assert checkpoint.contents() == [RECORD, other]
    assert checkpoint.cursor("sqlite", *PLACE) == FIRST
    checkpoint.close()


def test_a_start_on_a_full_disk_goes_on_with_the_file_that_is_there(tmp_path: Path) -> None:
    whole = filled(tmp_path)
    (tmp_path / "checkpoint.log").write_bytes(whole + b"half a li")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, limits[1]))
    try:
        checkpoint = opened(tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)

    checkpoint.advance("sqlite", {PLACE: THIRD})
    checkpoint.close()

    assert remembered(tmp_path).cursors == {PLACE: {"sqlite": THIRD}}
