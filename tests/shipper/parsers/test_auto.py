"""parsers/auto.py: each line by what it looks like."""

from typing import Any

import pytest
from topmast_shipper.parsers.auto import parse


@pytest.mark.parametrize(
    ("line", "fields"),
    [
        pytest.param('{"a": 1}', {"a": 1}, id="JSON"),
        pytest.param("level=warn msg=x", {"level": "warn", "msg": "x"}, id="logfmt"),
        pytest.param("ERROR a=1 is wrong", {"message": "ERROR a=1 is wrong", "log.level": "ERROR"}, id="text"),
        pytest.param("a=1", {"message": "a=1"}, id="one pair is text"),
        pytest.param('a=1 b=2 and "so', {"message": 'a=1 b=2 and "so'}, id="pairs that end as text"),
        pytest.param("", {"message": ""}, id="nothing"),
    ],
)
def test_lines(line: str, fields: dict[str, Any]) -> None:
    assert parse(line) == fields


def test_broken_json_says_so() -> None:
    assert parse('{"a": ')["error.type"] == "json_decode"
