"""window.py: columns and events are two views of one thing, however they are cut."""

import pytest
from topmast_shipper.event import Event, Origin, Position, keys
from topmast_shipper.window import Rows, Window, of, rows_of

STREAM, ORIGIN = "0123456789abcdef", Origin("app", "/var/log/app.log")


def event(number: int, generation: int = 0, flags: tuple[str, ...] = ()) -> Event:
    end = Position(STREAM, generation, number * 10 + 10)
    document = b'{"n":%d}' % number
    return Event(b"%d" % number, end, number * 10, ORIGIN, 5.0, flags, document, number, "info", f"service{number}")


FIRST = [event(0), event(1, flags=("split",)), event(2)]
SECOND = [event(7, generation=1), event(8, generation=1)]


def window() -> Window:
    return Window([rows_of(FIRST), rows_of(SECOND)])


def test_a_window_is_its_events_in_their_order() -> None:
    assert list(window()) == [*FIRST, *SECOND]
    assert [window()[at] for at in range(-5, 5)] == [*FIRST, *SECOND, *FIRST, *SECOND]
    assert len(window()) == 5
    with pytest.raises(IndexError):
        window()[5]


@pytest.mark.parametrize("first", range(6))
@pytest.mark.parametrize("last", range(6))
def test_a_part_of_a_window_is_a_window(first: int, last: int) -> None:
    part = window()[first:last]

    assert part == [*FIRST, *SECOND][first:last]
    assert part.ids == [each.id for each in part]


def test_columns_hold_what_events_do() -> None:
    found = window()

    assert found.documents == [each.json for each in found]
    assert found.ids == [each.id for each in found]
    assert found.times == [0, 1, 2, 7, 8]
    assert found.counts() == {(f"service{number}", "info"): 1 for number in (0, 1, 2, 7, 8)}


def test_events_of_one_service_are_counted_by_level() -> None:
    levels = ["info", "error", "info"]
    found = Window(
        [rows_of([each._replace(service="shop", level=level) for each, level in zip(FIRST, levels, strict=True)])]
    )

    assert found.counts() == {("shop", "info"): 2, ("shop", "error"): 1}
    assert Window().counts() == {}


@pytest.mark.parametrize("generation", [0, 1, 0xFFFF, 0x10000])
@pytest.mark.parametrize("offsets", [[1], [0, 255, 1 << 20, (1 << 48) - 1], [7, 1 << 48]])
def test_keys_together_are_those_of_each_position(generation: int, offsets: list[int]) -> None:
    expected = [Position(STREAM, generation, each).key for each in offsets]

    assert keys(STREAM, generation, offsets).split("\n") == expected
    assert keys(STREAM, generation, offsets, '"id":"', '"').split("\n") == [f'"id":"{each}"' for each in expected]


def test_events_of_any_kind_become_a_window() -> None:
    assert of([*FIRST, *SECOND]) == window()
    assert of(window()[1:]).documents == window().documents[1:]
    assert of([]).documents == []


def test_rows_are_not_copied() -> None:
    rows = rows_of(FIRST)

    assert isinstance(rows, Rows)
    assert rows_of(rows) is rows
    assert rows[0:] is rows
