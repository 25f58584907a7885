"""inputs/spool.py: what was logged is read, also when its writer is killed in the middle of it."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import pytest
from topmast_shipper import rooms
from topmast_shipper.checkpoint import Checkpoint
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
def setting(tmp_path: Path, lost: list[tuple[str, int]]) -> Iterator[Setting]:
    checkpoint = Checkpoint(tmp_path / "state")
    yield Setting(
        base=tmp_path,
        data=tmp_path / "state",
        checkpoint=checkpoint,
        sinks=("one", "two"),
        inputs=("app",),
        lost=lambda reason, size: lost.append((reason, size)),
        clock=time.monotonic,
    )
    checkpoint.close()


@pytest.fixture
def made(setting: Setting) -> Iterator[Input]:
    built: Input = INPUT.build({"name": "app", "path": "spool"}, setting)
    yield built
    built.close()


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
