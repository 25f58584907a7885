"""What lines of every kind become, row by row: level, time, caps, bytes that are no text, a terminal's colours."""

import base64
import json
from typing import Any

import pytest
from topmast_shipper import ecs
from topmast_shipper.component import Line
from topmast_shipper.event import Origin
from topmast_shipper.intake import Intake
from topmast_shipper.parsers import auto, json_lines, plain

NOW = 1_795_385_760.0


class Place:
    """Where the lines are from."""

    stream = "0123456789abcdef"
    generation = 0
    origin = Origin("app", "/var/log/app.log", "shop")
    size = 0


def document(line: bytes, parser: Any = auto.parse) -> dict[str, Any]:
    (event,) = Intake(parser).events(Place(), [Line(line, 0, len(line) + 1)], NOW)
    return event.document


@pytest.mark.parametrize(
    ("level", "said"),
    [
        ("debug", ["TRACE", "debug", "DEBUG1", "FINE", "FINEST", "VERBOSE", "D", 10, "10", ".", "-"]),
        ("info", ["INFO", "Information", "NOTICE", "LOG", "SUCCESS", "CONFIG", "I", 20, "20", "*"]),
        ("warning", ["WARN", "Warning", "W", 30, "30", "#", " warning "]),
        ("error", ["ERR", "ERROR", "SEVERE", "exception", "E", 40, "40"]),
        ("critical", ["CRITICAL", "CRIT", "FATAL", "ALERT", "EMERG", "PANIC", "DPANIC", "F", 50, 60, "60"]),
    ],
)
def test_levels_of_every_framework_are_one_scale(level: str, said: list[Any]) -> None:
    for each in said:
        assert ecs.level_of(each) == level, each
        assert document(json.dumps({"level": each, "msg": "m"}).encode())["log"]["level"] == level


def test_a_level_that_nobody_knows_is_kept() -> None:
    found = document(b'{"level":"loud","msg":"m"}')

    assert (found["log"]["level"], found["labels"]["level"]) == ("info", "loud")


def test_old_names_become_ecs() -> None:
    said = {
        "asctime": "2026-11-22 21:16:00,123", "levelname": "ERROR", "name": "shop.cart", "lineno": 7,
        "funcName": "pay", "pathname": "cart.py", "exc_info": "Traceback", "trace_id": "ab", "request_id": "r",
        "process": 31, "threadName": "main", "env": "staging", "gen_ai.system": "openai",
        "gen_ai.usage.prompt_tokens": 8, "message": "m",
    }  # fmt: skip

    found = document(json.dumps(said).encode())

    assert found["@timestamp"] == "2026-11-22T21:16:00.123Z"
    assert found["log"]["origin"] == {"file": {"line": 7, "name": "cart.py"}, "function": "pay"}
    assert (found["error"]["stack_trace"], found["trace"]["id"]) == ("Traceback", "ab")
    assert found["gen_ai"] == {"provider": {"name": "openai"}, "usage": {"input_tokens": 8}}
    assert (found["process"]["pid"], found["service"]["environment"]) == (31, "staging")


@pytest.mark.parametrize(
    "said",
    [
        pytest.param({f"f{number}": number for number in range(300)}, id="fields"),
        pytest.param(json.loads('{"a":' * 40 + "1" + "}" * 40), id="depth"),
        pytest.param({"n" * 300: 1}, id="a name"),
    ],
)
def test_what_would_explode_an_index_stays_a_line(said: dict[str, Any]) -> None:
    line = json.dumps({"msg": "m", **said})

    found = document(line.encode())

    assert (found["message"], found["error"]["type"]) == (line, "too_large")


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        pytest.param("2099-01-01T00:00:00Z", "2099-01-01T00:00:00Z", id="a time ahead"),
        pytest.param("soon", "soon", id="no time"),
    ],
)
def test_a_time_that_cannot_be_is_kept_as_a_label(said: str, kept: str) -> None:
    found = document(json.dumps({"time": said, "msg": "m"}).encode())

    assert (found["@timestamp"], found["labels"]["timestamp"]) == ("2026-11-22T22:16:00.000Z", kept)


@pytest.mark.parametrize("data", [b"a\xff\xfeb", b"\x80", "Grüße".encode("latin-1"), b"caf\xc3", b"\xed\xa0\x80"])
def test_bytes_that_are_no_text_are_kept_without_loss(data: bytes) -> None:
    for parser in (auto.parse, json_lines.parse, plain.parse):
        found = document(b"read " + data, parser)

        assert base64.b64decode(found["labels"]["raw_base64"]) == b"read " + data
        assert found["log"]["flags"] == ["invalid_utf8"]
        assert found["message"].startswith("read ")


@pytest.mark.parametrize(
    "line",
    [
        pytest.param("\x1b[32mERROR\x1b[0m no stock", id="a colour"),
        pytest.param("\x1b[1;38;5;196mERROR no\x1b[K stock\x1b[m", id="256 colours and an erased line"),
        pytest.param("\x1b]0;title\x07ERROR no stock", id="a window's title"),
        pytest.param("\x1b]8;;http://x\x1b\\ERROR no stock\x1b]8;;\x1b\\", id="a link"),
        pytest.param("\x1bMERROR no stock", id="a short sequence"),
    ],
)
def test_a_terminals_sequences_are_taken_off_and_kept(line: str) -> None:
    found = document(line.encode())

    assert (found["message"], found["log"]["level"]) == ("ERROR no stock", "error")
    assert found["event"]["original"] == line


def test_other_control_characters_are_written_out_by_json() -> None:
    (event,) = Intake(plain.parse).events(Place(), [Line(b"a\x00\x07\x08b", 0, 6)], NOW)

    assert b"a\\u0000\\u0007\\bb" in event.json
