"""tail/lines.py: bytes into lines."""

import pytest
from topmast_shipper.component import Line
from topmast_shipper.tail.lines import split, text


def cut(data: bytes, start: int = 0, **options: object) -> tuple[list[Line], int]:
    chosen = {"max_line_bytes": 100, "max_lines": 1000, "continued": False, "final": False} | options
    return split(data, start, **chosen)  # type: ignore[arg-type]  # the table's options are of mixed types


@pytest.mark.parametrize(
    ("data", "lines", "end"),
    [
        pytest.param(b"", [], 0, id="nothing"),
        pytest.param(b"one\n", [Line(b"one", 0, 4)], 4, id="a line"),
        pytest.param(b"one\ntwo\n", [Line(b"one", 0, 4), Line(b"two", 4, 8)], 8, id="two lines"),
        pytest.param(b"one\ntw", [Line(b"one", 0, 4)], 4, id="the second is not finished"),
        pytest.param(b"tw", [], 0, id="the first is not finished"),
        pytest.param(b"one\r\n", [Line(b"one", 0, 5)], 5, id="CR LF"),
        pytest.param(b"a\rb\n", [Line(b"a\rb", 0, 4)], 4, id="a lone CR stays"),
        pytest.param(b"\n \n\r\none\n", [Line(b"one", 5, 9)], 9, id="blank lines are passed over"),
        pytest.param(b"\n\n", [], 2, id="only blank lines"),
        pytest.param(b"\xef\xbb\xbfone\n", [Line(b"one", 3, 7)], 7, id="byte order mark"),
        pytest.param(b"\0\0\0one\n", [Line(b"one", 3, 7)], 7, id="a hole before a line"),
        pytest.param(b"\0" * 500, [], 500, id="nothing but a hole"),
        pytest.param(b"a\0b\n", [Line(b"a\0b", 0, 4)], 4, id="NUL inside a line stays"),
    ],
)
def test_split(data: bytes, lines: list[Line], end: int) -> None:
    assert cut(data) == (lines, end)


def test_a_byte_order_mark_is_one_at_the_beginning_only() -> None:
    assert cut(b"\xef\xbb\xbfone\n", 10) == ([Line(b"\xef\xbb\xbfone", 10, 17)], 17)


def test_the_last_line_of_a_final_file_goes_unterminated() -> None:
    assert cut(b"one\ntw", final=True) == ([Line(b"one", 0, 4), Line(b"tw", 4, 6, ("unterminated",))], 6)


def test_a_line_that_is_too_long_comes_in_parts() -> None:
    lines, end = cut(b"x" * 250 + b"\nnext\n")

    assert [(len(line.data), line.flags) for line in lines] == [
        (100, ("split",)),
        (100, ("split",)),
        (50, ("split",)),
        (4, ()),
    ]
    assert end == 256


def test_a_line_as_long_as_the_limit_is_whole() -> None:
    assert cut(b"x" * 100 + b"\n") == ([Line(b"x" * 100, 0, 101)], 101)


def test_a_part_ends_between_two_characters() -> None:
    lines, _ = cut("ä".encode() * 100 + b"\n", max_line_bytes=51)

    assert [line.data.decode() for line in lines] == ["ä" * 25] * 4


def test_the_rest_of_a_long_line_is_flagged() -> None:
    assert cut(b"rest\nnew\n", 100, continued=True) == (
        [Line(b"rest", 100, 105, ("split",)), Line(b"new", 105, 109)],
        109,
    )


def test_no_more_lines_than_asked_for() -> None:
    assert cut(b"1\n2\n3\n", max_lines=2) == ([Line(b"1", 0, 2), Line(b"2", 2, 4)], 4)


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        pytest.param(b"plain", ("plain", True), id="ASCII"),
        pytest.param("grün".encode(), ("grün", True), id="UTF-8"),
        pytest.param(b"gr\xfcn", ("gr\\xfcn", False), id="Latin-1"),
    ],
)
def test_text(data: bytes, expected: tuple[str, bool]) -> None:
    assert text(data) == expected
