"""tail/frames.py: the frames of container engines, off and on again."""

import pytest
from topmast_shipper.parsers import json_lines, plain
from topmast_shipper.tail.frames import Frame, cri, docker, unwrapping, wrap

TIME = "2026-11-22T21:16:00.123456789Z"


@pytest.mark.parametrize(
    ("line", "frame"),
    [
        pytest.param('{"log":"one\\n","stream":"stdout","time":"T"}', Frame(b"one", "stdout", "T"), id="whole"),
        pytest.param('{"log":"on","stream":"stderr","time":"T"}', Frame(b"on", "stderr", "T", False), id="part"),
        pytest.param('{"log":"one\\r\\n","stream":"stdout","time":"T"}', Frame(b"one", "stdout", "T"), id="CR LF"),
        pytest.param('{"log":"\\n","stream":"stdout","time":"T"}', Frame(b"", "stdout", "T"), id="blank"),
        pytest.param('{"log":"one\\n","time":"T"}', None, id="no stream"),
        pytest.param('{"message":"one"}', None, id="another object"),
        pytest.param("[1]", None, id="no object"),
        pytest.param("one", None, id="text"),
    ],
)
def test_docker(line: str, frame: Frame | None) -> None:
    assert docker(line.encode()) == frame


@pytest.mark.parametrize(
    ("line", "frame"),
    [
        pytest.param("T stdout F one two", Frame(b"one two", "stdout", "T"), id="whole"),
        pytest.param("T stderr P one ", Frame(b"one ", "stderr", "T", False), id="part"),
        pytest.param("T stdout F ", Frame(b"", "stdout", "T"), id="blank"),
        pytest.param("T stdout F:x one", Frame(b"one", "stdout", "T"), id="more tags"),
        pytest.param("T stdin F one", None, id="another stream"),
        pytest.param("one", None, id="text"),
    ],
)
def test_cri(line: str, frame: Frame | None) -> None:
    assert cri(line.encode()) == frame


def test_a_wrapped_line_is_parsed_with_its_stream_and_time() -> None:
    line = wrap(Frame(b"ERROR one\ntwo", "stderr", TIME)).decode()

    assert unwrapping(plain.parse)(line) == {
        "message": "ERROR one\ntwo", "log.level": "ERROR", "stream": "stderr", "@timestamp": TIME,
    }  # fmt: skip


def test_the_time_of_the_program_itself_counts() -> None:
    line = wrap(Frame(b'{"message": "one", "@timestamp": "2026-01-01T00:00:00Z"}', "stdout", TIME)).decode()

    assert unwrapping(json_lines.parse)(line)["@timestamp"] == "2026-01-01T00:00:00Z"


def test_a_line_without_a_frame_says_so() -> None:
    found = unwrapping(plain.parse)("one")

    assert (found["message"], found["error.type"]) == ("one", "framing")
