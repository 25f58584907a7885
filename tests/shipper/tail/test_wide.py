"""tail/wide.py: UTF-16 into lines."""

import gzip
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tailing import Reader
from topmast_shipper.component import Line
from topmast_shipper.tail import wide
from topmast_shipper.tail.lines import text

ORDERS = ("utf-16-le", "utf-16-be")
MARK = "\ufeff"


def cut(data: bytes, encoding: str, start: int = 0, **options: object) -> tuple[list[Line], int]:
    chosen = {"max_line_bytes": 100, "max_lines": 1000, "continued": False, "final": False} | options
    lines, end = wide.split(data, start, encoding, **chosen)  # type: ignore[arg-type]  # the options are of mixed types
    return list(lines), end


@pytest.mark.parametrize(
    ("head", "encoding"),
    [
        (b"\xff\xfea\0", "utf-16-le"),
        (b"\xfe\xff\0a", "utf-16-be"),
        (b"\xff\xfe\0\0a\0\0\0", ""),  # UTF-32
        (b"\xef\xbb\xbfa", ""),
        (b"a\0", ""),
        (b"", ""),
    ],
)
def test_the_mark_tells(head: bytes, encoding: str) -> None:
    assert wide.encoding_of(head) == encoding


@pytest.mark.parametrize("encoding", ORDERS)
def test_lines_are_utf_8_at_the_places_of_the_file(encoding: str) -> None:
    lines, end = cut((MARK + "one\r\n\n \nGrüße 😀\nha").encode(encoding), encoding)

    assert lines == [Line(b"one", 2, 12), Line("Grüße 😀".encode(), 18, 36)]
    assert end == 36


@pytest.mark.parametrize("encoding", ORDERS)
def test_a_byte_of_a_newline_inside_other_characters_ends_nothing(encoding: str) -> None:
    said = "\u0a0a\u0a00\u000b\u0a41"

    assert [line.data.decode() for line in cut((said + "\n").encode(encoding), encoding)[0]] == [said]


@pytest.mark.parametrize("encoding", ORDERS)
def test_half_a_unit_waits(encoding: str) -> None:
    data = "one\ntwo\n".encode(encoding)

    assert cut(data[:-1], encoding) == ([Line(b"one", 0, 8)], 8)
    assert cut(data[:-1], encoding, final=True)[0][-1].flags == ("unterminated",)


@pytest.mark.parametrize("encoding", ORDERS)
def test_a_long_line_comes_in_parts_and_no_character_is_torn(encoding: str) -> None:
    lines, _ = cut(("a" + "😀" * 60 + "\nnext\n").encode(encoding), encoding, max_line_bytes=101)

    assert "".join(line.data.decode() for line in lines) == "a" + "😀" * 60 + "next"
    assert [line.flags for line in lines] == [("split",)] * 3 + [()]


@pytest.mark.parametrize("encoding", ORDERS)
def test_half_a_pair_is_flagged_further_on(encoding: str) -> None:
    (line,), _ = cut("a\ud800b\n".encode(encoding, "surrogatepass"), encoding)

    said, valid = text(line.data)
    assert (said[0], said[-1], valid) == ("a", "b", False)


@pytest.mark.parametrize("encoding", ORDERS)
def test_the_rest_of_a_line_is_known_by_what_is_before_it(encoding: str) -> None:
    assert wide.continues("x".encode(encoding), encoding)
    assert not wide.continues("x\n".encode(encoding), encoding)
    assert not wide.continues("\0".encode(encoding), encoding)
    assert not wide.continues(b"", encoding)


@given(
    st.lists(st.text(st.characters(blacklist_characters="\n\r\0", blacklist_categories=["Cs"]), max_size=30)),
    st.sampled_from(ORDERS),
    st.integers(1, 40),
)
def test_however_it_is_read_the_lines_are_the_same(said: list[str], encoding: str, piece: int) -> None:
    data = (MARK + "".join(line + "\n" for line in said)).encode(encoding)
    found, place, there = [], 0, 0
    while there < len(data):
        there = min(len(data), there + piece)
        lines, place = cut(data[place:there], encoding, place, max_line_bytes=10_000)
        found += lines

    assert [line.data.decode() for line in found] == [line for line in said if line.strip()]
    assert place == len(data)


@pytest.mark.parametrize("encoding", ORDERS)
def test_a_file_that_grows_is_followed_over_a_restart(tmp_path: Path, encoding: str) -> None:
    log, reader = tmp_path / "app.log", Reader(tmp_path)
    log.write_bytes((MARK + "one\nzw").encode(encoding))
    assert reader.read() == ["one"]
    reader.restart()
    with log.open("ab") as file:
        file.write("ölf\ndrei\n".encode(encoding))

    assert reader.read() == ["zwölf", "drei"]


def test_a_compressed_one_is_read_too(tmp_path: Path) -> None:
    (tmp_path / "app.log.2.gz").write_bytes(gzip.compress((MARK + "one\nzwölf\n").encode("utf-16-le")))
    reader = Reader(tmp_path)
    reader.catalogue.sweep()
    reader.wait()

    assert reader.read() == ["one", "zwölf"]
