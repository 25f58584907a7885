"""parsers/json_lines.py: objects as they are, everything else as text with the reason."""

from typing import Any

import pytest
from topmast_shipper.parsers.json_lines import parse


@pytest.mark.parametrize(
    ("line", "fields"),
    [
        pytest.param('{"a": 1, "b": {"c": [true, null]}}', {"a": 1, "b": {"c": [True, None]}}, id="an object"),
        pytest.param("{}", {}, id="an empty one"),
        pytest.param('{"a": NaN, "b": -Infinity}', {"a": None, "b": None}, id="NaN"),
        pytest.param('{"a": "\\ud800"}', {"a": "\ud800"}, id="a lone surrogate"),
        pytest.param('  {"a": 1}  ', {"a": 1}, id="blanks around"),
        pytest.param('{"a": 1, "a": 2}', {"a": 2}, id="a key twice"),
    ],
)
def test_objects(line: str, fields: dict[str, Any]) -> None:
    assert parse(line) == fields


@pytest.mark.parametrize(
    "line",
    ["not json", "{", '{"a": 1} {"b": 2}', "[1, 2]", '"text"', "7", "null", "", "{'a': 1}", '{"a": 1,}', "[" * 5000,
     '{"a":' * 5000],
)  # fmt: skip
def test_everything_else_stays_text(line: str) -> None:
    fields = parse(line)

    assert fields["message"] == line
    assert fields["error.type"] == "json_decode"
    assert fields["error.message"]
