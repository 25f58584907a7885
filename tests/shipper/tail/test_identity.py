"""tail/identity.py: what names a file for ever."""

import pytest
from topmast_shipper.tail.identity import digest, first_line, stream_id


@pytest.mark.parametrize(
    ("head", "line"),
    [
        pytest.param(b"", None, id="empty"),
        pytest.param(b"half", None, id="not finished"),
        pytest.param(b"one\ntwo\n", b"one\n", id="complete"),
        pytest.param(b"x" * 1023, None, id="long, not finished"),
        pytest.param(b"x" * 1024, b"x" * 1024, id="longer than a head"),
        pytest.param(b"x" * 1500 + b"\n", b"x" * 1024, id="complete behind the head"),
    ],
)
def test_first_line(head: bytes, line: bytes | None) -> None:
    assert first_line(head) == line


def test_a_stream_id_is_the_same_for_ever() -> None:
    """It is in every stored event: a change of this value doubles what is sent again."""
    assert stream_id(1, 2, b"one\n") == "jfe99abaivg5mgol"


def test_device_inode_and_line_each_make_another_stream() -> None:
    ids = {stream_id(1, 2, b"one\n"), stream_id(2, 2, b"one\n"), stream_id(1, 3, b"one\n"), stream_id(1, 2, b"two\n")}

    assert len(ids) == 4


def test_digest() -> None:
    assert digest(b"one") == digest(b"one") != digest(b"two")
    assert len(digest(b"")) == 16
