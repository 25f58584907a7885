"""tail/grouping.py: events of several lines; where one may go on, and where never."""

from collections.abc import Iterable

import pytest
from topmast_shipper.component import Line
from topmast_shipper.tail.frames import FRAMES
from topmast_shipper.tail.grouping import Framing, Grouped, group
from topmast_shipper.tail.lines import split
from topmast_shipper.tail.traces import TRACES

PYTHON = Framing(step=TRACES["python"])
CRI = Framing(FRAMES["cri"])
TRACE = b"Traceback (most recent call last):\n  File x\nKeyError: 1\n"


def grouped(
    data: bytes, framing: Framing, cuts: Iterable[int] = (), most: int = 100, *, start: int = 0, **state: bool
) -> Grouped:
    """Group the lines of a file from a place on; each wrapped text loses its prefix."""
    lines, end = split(data[start:], start, max_line_bytes=1 << 20, max_lines=1 << 20, continued=False, final=False)
    return group(lines, end, framing, cuts, most, **{"paused": False, "forced": False} | state)


def texts(found: Grouped) -> list[str]:
    return [line.data.decode().rpartition(" F ")[2] for line in found.lines]


def test_a_trace_waits_for_what_follows_it() -> None:
    data = b"one\n" + TRACE

    found = grouped(data, PYTHON)

    assert found == Grouped([Line(b"one", 0, 4)], 4)


def test_a_trace_ends_with_the_next_line() -> None:
    found = grouped(TRACE + b"one\n", PYTHON)

    assert found.lines[0] == Line(TRACE[:-1], 0, len(TRACE))
    assert texts(found)[1] == "one"


def test_a_pause_ends_it_and_is_told() -> None:
    found = grouped(TRACE, PYTHON, paused=True)

    assert found == Grouped([Line(TRACE[:-1], 0, len(TRACE))], len(TRACE), (), len(TRACE))


def test_what_a_pause_ended_ends_there_again_whatever_came_since() -> None:
    first, rest = b"Traceback (most recent call last):\n  File x\n", b"  File y\nKeyError: 1\none\n"

    found = grouped(first + rest, PYTHON, cuts=[len(first)])

    assert texts(found) == ["Traceback (most recent call last):\n  File x", "  File y", "KeyError: 1", "one"]


def test_lines_beyond_the_bound_are_another_event() -> None:
    framing = Framing(step=TRACES["python"], max_lines=3)

    found = grouped(b"Traceback (most recent call last):\n" + b"  File x\n" * 4 + b"end\n", framing)

    assert [len(line.data.split(b"\n")) for line in found.lines] == [3, 1, 1, 1]
    assert [line.flags for line in found.lines] == [("split",), (), (), ()]


def test_parts_are_joined() -> None:
    found = grouped(b"T stdout P on\nT stdout P e \nT stdout F two\n", CRI)

    assert texts(found) == ["one two"]
    assert (found.lines[0].start, found.lines[0].end) == (0, 43)


def test_an_unfinished_part_waits() -> None:
    found = grouped(b"T stdout F one\nT stdout P tw", CRI)

    assert (texts(found), found.end) == (["one"], 15)


def test_streams_that_lie_across_each_other_are_told_apart_and_no_cursor_stands_inside() -> None:
    data = b"T stdout P on\nT stderr F two\nT stdout F e\nT stdout F three\n"

    found = grouped(data, CRI)

    assert texts(found) == ["two", "one", "three"]
    assert found.knots == ((0, 42),)
    assert [line.end for line in found.lines] == sorted(line.end for line in found.lines)


@pytest.mark.parametrize("most", [1, 2, 3, 4])
def test_any_number_at_a_time_gives_the_same_events(most: int) -> None:
    data = (
        b"T stdout P on\nT stderr F two\nT stdout F e\nT stdout F three\nT stderr P x\nT stdout F y\nT stderr F z\n"
    )
    found: list[Line] = []
    start = 0

    while start < len(data):
        some = grouped(data, CRI, most=most, start=start)
        assert some.lines
        found += some.lines
        start = some.end

    assert found == grouped(data, CRI).lines


def test_a_line_that_is_no_frame_is_its_own() -> None:
    assert texts(grouped(b"what\nT stdout F one\n", CRI)) == ["what", "one"]


def test_a_trace_in_frames() -> None:
    framing = Framing(FRAMES["cri"], TRACES["python"])
    lines = b"".join(b"T stderr F %s\nT stdout F other\n" % line for line in TRACE.rstrip(b"\n").split(b"\n"))

    found = grouped(lines + b"T stderr F end\n", framing)

    assert texts(found) == ["other", "other", TRACE[:-1].decode(), "other", "end"]


def test_where_there_is_no_room_to_wait_everything_goes() -> None:
    assert len(grouped(TRACE, PYTHON, forced=True).lines) == 1
