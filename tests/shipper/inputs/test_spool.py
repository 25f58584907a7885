"""inputs/spool.py: what was logged is read, also when its writer is killed in the middle of it."""

import fcntl
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import IO

import pytest
from nobody import as_nobody
from topmast_shipper import rooms
from topmast_shipper.checkpoint import FORGET_SECONDS, Checkpoint
from topmast_shipper.component import Cursor, Input
from topmast_shipper.inputs.spool import INPUT
from topmast_shipper.records import LONGEST_BYTES, Writer, encode
from topmast_shipper.rooms import Setting

APPLICATION = """
import logging, sys
from topmast_shipper.logging import configure_logging
configure_logging("shop", spool=sys.argv[1])
logger = logging.getLogger("shop")
for number in range(1_000_000):
    logger.info("%d", number)
    print(number, flush=True)
"""


@pytest.fixture
def lost() -> list[tuple[str, int]]:
    return []


@pytest.fixture
def failed() -> list[bool]:
    return []


@pytest.fixture
def setting(tmp_path: Path, lost: list[tuple[str, int]], failed: list[bool]) -> Iterator[Setting]:
    checkpoint = Checkpoint(tmp_path / "state")
    yield Setting(
        base=tmp_path,
        data=tmp_path / "state",
        checkpoint=checkpoint,
        sinks=("one", "two"),
        inputs=("app",),
        lost=lambda reason, size: lost.append((reason, size)),
        clock=time.monotonic,
        failed=lambda: failed.append(True),
    )
    checkpoint.close()


@pytest.fixture
def made(setting: Setting) -> Iterator[Input]:
    built: Input = INPUT.build({"name": "app", "path": "spool"}, setting)
    yield built
    built.close()


@pytest.fixture
def open_to_all() -> Iterator[Path]:
    """A spool that nobody may enter, which he may not tmp_path."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        yield folder
        folder.chmod(0o755)


def messages(made: Input, setting: Setting, sink: str = "one") -> list[str]:
    """Return what is behind the sink's cursors, and move them."""
    found: list[str] = []
    made.sweep()
    for source in made.sources():
        while block := source.read(setting.checkpoint.cursor(sink, source.stream, 0), 4096, 100):
            found += [event.document["message"] for event in made.events(source, block.lines, time.time())]
            setting.checkpoint.advance(sink, {(source.stream, 0): Cursor(block.end)})
    return found


def segments(setting: Setting) -> list[Path]:
    return sorted((setting.base / "spool").glob("*.seg"))


def test_a_segment_that_is_quiet_for_a_month_is_not_sent_again(setting: Setting) -> None:
    passed = [0.0]
    checkpoint = Checkpoint(setting.base / "other", monotonic=lambda: passed[0])
    setting = replace(setting, checkpoint=checkpoint)
    made: Input = INPUT.build({"name": "app", "path": "spool"}, setting)
    writer = Writer(str(setting.base / "spool"), "app")
    writer.append(b'{"message": "one"}')
    assert messages(made, setting) == ["one"]

    for _ in range(33):
        passed[0] += 86401
        made.sweep()
        checkpoint.touch([])  # another input
    writer.append(b'{"message": "two"}')

    assert messages(made, setting) == ["two"]
    made.close()
    writer.close()
    checkpoint.close()


def test_records_are_read_in_their_order(made: Input, setting: Setting) -> None:
    writer = Writer(str(setting.base / "spool"), "app")
    writer.append(b'{"message": "one"}')
    assert messages(made, setting) == ["one"]

    writer.append(b'{"message": "two"}')

    assert messages(made, setting) == ["two"]
    writer.close()


def test_a_segment_goes_when_its_writer_is_gone_and_every_sink_has_it(made: Input, setting: Setting) -> None:
    writer = Writer(str(setting.base / "spool"), "app")
    writer.append(b'{"message": "one"}')
    messages(made, setting, "one")
    messages(made, setting, "two")
    made.sweep()
    assert len(segments(setting)) == 1

    writer.close()
    made.sweep()

    assert segments(setting) == []


def test_a_sink_that_has_not_all_of_it_keeps_the_segment(made: Input, setting: Setting) -> None:
    writer = Writer(str(setting.base / "spool"), "app")
    writer.append(b'{"message": "one"}')
    writer.close()

    messages(made, setting, "one")
    made.sweep()

    assert len(segments(setting)) == 1
    assert messages(made, setting, "two") == ["one"]


def test_a_segment_that_is_written_to_for_months_keeps_its_place(setting: Setting) -> None:
    writer = Writer(str(setting.base / "spool"), "app")
    writer.append(b'{"message": "one"}')
    found: list[list[str]] = []
    for restart in range(4):
        now = time.time() + restart * FORGET_SECONDS * 0.7
        checkpoint = Checkpoint(setting.base / "months", clock=lambda now=now: now)
        at_work = replace(setting, checkpoint=checkpoint)
        made: Input = INPUT.build({"name": "app", "path": "spool"}, at_work)
        found.append(messages(made, at_work))
        made.close()
        checkpoint.close()

    assert found == [["one"], [], [], []]
    writer.close()


def test_a_segment_that_was_empty_for_long_keeps_its_ids_after_a_restart(made: Input, setting: Setting) -> None:
    """The disk was full at its first record: its writer lives, and goes on when there is room."""
    path = setting.base / "spool" / "app.1.000000.seg"
    path.parent.mkdir()
    with path.open("ab") as file:
        fcntl.flock(file.fileno(), fcntl.LOCK_SH)
        os.utime(path, (1_795_000_000, 1_795_000_000))
        made.sweep()
        file.write(encode(b'{"message": "one"}'))
        file.flush()
        assert messages(made, setting) == ["one"]
        made.close()

        again: Input = INPUT.build({"name": "app", "path": "spool"}, setting)
        assert messages(again, setting) == []
        again.close()


def test_damage_is_counted_once(made: Input, setting: Setting, lost: list[tuple[str, int]]) -> None:
    writer = Writer(str(setting.base / "spool"), "app")
    writer.append(b'{"message": "one"}')
    (path,) = segments(setting)
    with path.open("ab") as file:
        file.write(b"?" * 7 + encode(b'{"message": "two"}'))
    writer.close()

    assert messages(made, setting, "one") == ["one", "two"]
    assert messages(made, setting, "two") == ["one", "two"]

    assert lost == [("damaged", 7)]


@pytest.mark.parametrize("size", [4095, LONGEST_BYTES, 3 << 20, 2 * LONGEST_BYTES * 3, (9 << 20) + 1])
def test_damage_of_any_length_is_passed_over_and_counted_once(
    made: Input, setting: Setting, lost: list[tuple[str, int]], size: int
) -> None:
    writer = Writer(str(setting.base / "spool"), "app")
    writer.append(b'{"message": "one"}')
    (path,) = segments(setting)
    with path.open("ab") as file:
        file.write(bytes(size) + encode(b'{"message": "two"}') + encode(b'{"message": "%b"}' % (b"3" * 9000)))
    writer.close()

    assert messages(made, setting, "one") == ["one", "two", "3" * 9000]
    assert messages(made, setting, "two") == ["one", "two", "3" * 9000]
    made.sweep()

    assert lost == [("damaged", size)]
    assert segments(setting) == []


def test_damage_to_the_end_of_a_segment_is_counted_to_its_last_byte(
    made: Input, setting: Setting, lost: list[tuple[str, int]]
) -> None:
    """While its writer may go on, what may be a record that is being written waits."""
    writer = Writer(str(setting.base / "spool"), "app")
    writer.append(b'{"message": "one"}')
    (path,) = segments(setting)
    with path.open("ab") as file:
        file.write(bytes(5 << 20))
    assert messages(made, setting, "one") == ["one"]
    assert lost == [("damaged", (5 << 20) - LONGEST_BYTES)]
    writer.close()

    assert messages(made, setting, "one") == []
    assert messages(made, setting, "two") == ["one"]
    made.sweep()

    assert sum(size for _, size in lost) == 5 << 20
    assert segments(setting) == []


def test_damage_that_one_sink_has_passed_is_not_counted_again_after_a_restart(
    made: Input, setting: Setting, lost: list[tuple[str, int]]
) -> None:
    writer = Writer(str(setting.base / "spool"), "app")
    writer.append(b'{"message": "one"}')
    (path,) = segments(setting)
    with path.open("ab") as file:
        file.write(b"?" * 7 + encode(b'{"message": "two"}'))
    assert messages(made, setting, "one") == ["one", "two"]
    made.close()
    with path.open("ab") as file:
        file.write(b"?" * 5 + encode(b'{"message": "three"}'))

    again: Input = INPUT.build({"name": "app", "path": "spool"}, setting)
    assert messages(again, setting, "two") == ["one", "two", "three"]
    assert messages(again, setting, "one") == ["three"]

    assert lost == [("damaged", 7), ("damaged", 5)]
    again.close()
    writer.close()


def test_what_cannot_be_read_holds_up_no_other(
    made: Input, setting: Setting, failed: list[bool], caplog: pytest.LogCaptureFixture
) -> None:
    folder = setting.base / "spool"
    (folder / "folder.seg").mkdir(parents=True)
    (folder / "link.seg").symlink_to("link.seg")
    os.mkfifo(folder / "pipe.seg")
    (folder / "gone.seg").symlink_to("gone")
    Writer(str(folder), "app").append(b'{"message": "one"}')

    assert messages(made, setting) == ["one"]
    made.sweep()

    assert len(failed) == 6
    assert sorted(record.getMessage() for record in caplog.records) == [
        f"a file cannot be followed just now, trying again: {folder}/{told}"
        for told in (
            "folder.seg: Is a directory",
            "link.seg: Too many levels of symbolic links",
            "pipe.seg: Illegal seek",
        )
    ]


def test_a_segment_that_may_not_be_read_is_tried_again(
    setting: Setting, open_to_all: Path, failed: list[bool]
) -> None:
    made: Input = INPUT.build({"name": "app", "path": str(open_to_all)}, setting)
    Writer(str(open_to_all), "theirs").append(b'{"message": "theirs"}')
    (theirs,) = open_to_all.iterdir()
    theirs.chmod(0)
    Writer(str(open_to_all), "ours").append(b'{"message": "ours"}')
    next(open_to_all.glob("ours.*")).chmod(0o644)

    with as_nobody():
        assert messages(made, setting) == ["ours"]
        assert len(failed) == 1
    theirs.chmod(0o600)

    assert messages(made, setting) == ["theirs"]
    made.close()


def test_what_is_followed_is_read_on_when_its_folder_is_closed(
    setting: Setting, open_to_all: Path, failed: list[bool]
) -> None:
    made: Input = INPUT.build({"name": "app", "path": str(open_to_all)}, setting)
    writer = Writer(str(open_to_all), "app")
    writer.append(b'{"message": "one"}')
    assert messages(made, setting) == ["one"]
    writer.append(b'{"message": "two"}')
    open_to_all.chmod(0)

    with as_nobody():
        assert messages(made, setting) == ["two"]

    assert len(failed) == 1
    made.close()
    writer.close()


def test_a_segment_that_may_not_be_deleted_holds_up_no_other(
    setting: Setting, open_to_all: Path, failed: list[bool]
) -> None:
    made: Input = INPUT.build({"name": "app", "path": str(open_to_all)}, setting)
    writers = [Writer(str(open_to_all), name) for name in ("one", "two")]
    for writer in writers:
        writer.append(b'{"message": "first"}')
    for sink in ("one", "two"):
        assert messages(made, setting, sink) == ["first", "first"]
    writers[0].close()
    writers[1].append(b'{"message": "second"}')
    open_to_all.chmod(0o555)

    with as_nobody():
        assert messages(made, setting) == ["second"]
        assert messages(made, setting) == []
        assert made.open_files == 2
        assert len(failed) == 2
    open_to_all.chmod(0o755)
    made.sweep()

    assert [path.name.split(".")[0] for path in open_to_all.iterdir()] == ["two"]
    made.close()
    writers[1].close()


def test_a_full_disk_of_the_checkpoint_costs_no_descriptors_and_keeps_nothing_from_being_deleted(
    made: Input, setting: Setting, failed: list[bool]
) -> None:
    writer, late = (Writer(str(setting.base / "spool"), name) for name in ("app", "late"))
    writer.append(b'{"message": "one"}')
    for sink in ("one", "two"):
        assert messages(made, setting, sink) == ["one"]
    writer.close()
    late.append(b'{"message": "two"}')
    opened = len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - names are all that is wanted
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1, limits[1]))
    try:
        for _ in range(5):
            made.sweep()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)

    assert len(os.listdir("/proc/self/fd")) == opened - 1  # noqa: PTH208 - as above
    assert len(failed) == 5
    assert len(segments(setting)) == 1
    assert messages(made, setting) == ["two"]
    late.close()


def said(stream: IO[bytes] | None, lines: int) -> int:
    assert stream is not None
    return max(int(stream.readline()) for _ in range(lines))


@pytest.mark.parametrize("lines", [1, 37, 900])
def test_an_application_killed_while_it_logs_loses_nothing_that_it_logged(
    made: Input, setting: Setting, lost: list[tuple[str, int]], lines: int
) -> None:
    argv = [sys.executable, "-c", APPLICATION, str(setting.base / "spool")]
    with subprocess.Popen(argv, stdout=subprocess.PIPE) as process:
        last = said(process.stdout, lines)
        process.kill()

    found = messages(made, setting)

    assert found == [str(number) for number in range(len(found))]
    assert len(found) > last
    assert lost == []


def test_it_is_in_the_room() -> None:
    assert rooms.kind("inputs", "spool") is INPUT


def test_a_line_read_long_after_it_came_is_of_when_it_came(made: Input, setting: Setting) -> None:
    writer = Writer(str(setting.base / "spool"), "app")
    writer.append(b'{"message":"from the night"}')
    writer.close()
    (segment,) = (setting.base / "spool").glob("*.seg")
    os.utime(segment, (1_795_000_000, 1_795_000_000))

    made.sweep()
    (source,) = made.sources()
    block = source.read(Cursor(), 1 << 20, 10)
    assert block is not None
    (event,) = made.events(source, block.lines, 1_795_000_000 + 7200)

    assert event.document["@timestamp"] == "2026-11-18T11:06:40.000Z"


def test_a_segment_that_its_application_deleted_is_held_for_a_while_then_counted(
    setting: Setting, lost: list[tuple[str, int]]
) -> None:
    now = [1000.0]
    made = INPUT.build({"name": "app", "path": "spool"}, replace(setting, clock=lambda: now[0]))
    writer = Writer(str(setting.base / "spool"), "app")
    writer.append(b'{"message": "one"}')
    made.sweep()
    (path,) = segments(setting)
    size = path.stat().st_size
    writer.close()

    path.unlink()
    assert messages(made, setting, "one") == ["one"]
    assert (made.open_files, lost) == (1, [])
    now[0] += 60
    made.sweep()

    # the sink "two" has nothing of it
    assert (made.open_files, lost) == (0, [("deleted", size)])


@pytest.mark.parametrize("kept", [2, 8, 14], ids=["in its magic", "in its header", "in its payload"])
def test_a_record_that_a_killed_writer_left_unfinished_is_not_lost(
    made: Input, setting: Setting, lost: list[tuple[str, int]], kept: int
) -> None:
    writer = Writer(str(setting.base / "spool"), "app")
    writer.append(b'{"message": "one"}')
    writer.close()
    (path,) = segments(setting)
    whole = path.read_bytes()
    path.write_bytes(whole + whole[:kept])

    assert messages(made, setting) == ["one"]
    made.sweep()

    assert (lost, made.open_files) == ([], 1)


def test_the_end_of_a_segment_that_is_no_record_is_counted(
    made: Input, setting: Setting, lost: list[tuple[str, int]]
) -> None:
    writer = Writer(str(setting.base / "spool"), "app")
    writer.append(b'{"message": "one"}')
    writer.close()
    (path,) = segments(setting)
    path.write_bytes(path.read_bytes() + b"something else")

    assert messages(made, setting) == ["one"]

    assert lost == [("damaged", 14)]
