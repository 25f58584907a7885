"""records.py: whole records or none, whatever happened to the file."""

import os
from pathlib import Path

import pytest
from topmast_shipper.records import HEADER_BYTES, LONGEST_BYTES, MAGIC, Writer, abandoned, decode, encode

ONE, TWO, THREE = (encode(payload) for payload in (b"one", b"two", b"three"))


def payloads(data: bytes, *, final: bool = False) -> tuple[list[bytes], int, int]:
    found = decode(data, 0, 100, final=final)
    return [record.payload for record in found.records], found.end, found.damaged


@pytest.mark.parametrize("cut", range(1, len(TWO)))
def test_a_torn_tail_waits_and_is_damage_once_its_writer_is_gone(cut: int) -> None:
    data = ONE + TWO[:cut]

    assert payloads(data) == ([b"one"], len(ONE), 0)
    assert payloads(data, final=True) == ([b"one"], len(data), cut)


@pytest.mark.parametrize(
    "damage",
    [
        pytest.param(b"\0" * len(TWO), id="zeros"),
        pytest.param(TWO[:-1] + b"?", id="a bit of the payload"),
        pytest.param(MAGIC + b"\xff" * 8 + b"two", id="an endless length"),
        pytest.param(b"text\n" * 9, id="something else"),
        pytest.param(TWO[: HEADER_BYTES - 2], id="half a header"),
        pytest.param(MAGIC * 5, id="only magic"),
    ],
)
def test_damage_in_the_middle_is_passed_over_and_counted(damage: bytes) -> None:
    data = ONE + damage + THREE

    assert payloads(data) == ([b"one", b"three"], len(data), len(damage))


@pytest.mark.parametrize("damage", [1, LONGEST_BYTES])
def test_what_is_longer_than_any_record_is_none_that_is_being_written(damage: int) -> None:
    data = ONE + b"\0" * damage + b"\0" * LONGEST_BYTES

    assert payloads(data) == ([b"one"], len(ONE) + damage, damage)


def test_positions_are_those_of_the_segment() -> None:
    found = decode(TWO, 100, 10, final=False)

    assert [(record.start, record.end) for record in found.records] == [(100, 100 + len(TWO))]
    assert found.end == 100 + len(TWO)


def test_a_segment_that_is_full_is_followed_by_another(tmp_path: Path) -> None:
    writer = Writer(str(tmp_path), "app", segment_bytes=len(ONE) + len(TWO))

    for payload in (b"one", b"two", b"three"):
        writer.append(payload)
    writer.close()

    assert [path.read_bytes() for path in sorted(tmp_path.iterdir())] == [ONE + TWO, THREE]


def test_a_child_of_a_fork_has_a_segment_of_its_own(tmp_path: Path) -> None:
    writer = Writer(str(tmp_path), "app")
    writer.append(b"one")

    child = os.fork()
    if child == 0:
        writer.append(b"two")
        os._exit(0)
    os.waitpid(child, 0)
    writer.append(b"three")

    assert sorted(path.read_bytes() for path in tmp_path.iterdir()) == sorted([ONE + THREE, TWO])


def test_a_segment_is_abandoned_when_its_writer_is_gone(tmp_path: Path) -> None:
    writer = Writer(str(tmp_path), "app")
    writer.append(b"one")
    (path,) = tmp_path.iterdir()
    with path.open("rb") as file:
        assert not abandoned(file.fileno())

        writer.close()

        assert abandoned(file.fileno())
