"""parsers/plain.py: the line, and what it says of itself."""

from typing import Any

import pytest
from topmast_shipper.parsers.plain import parse


@pytest.mark.parametrize(
    ("line", "fields"),
    [
        pytest.param("hello", {}, id="nothing"),
        pytest.param("ERROR something", {"log.level": "ERROR"}, id="a level"),
        pytest.param("[warn] something", {"log.level": "warn"}, id="a level in brackets"),
        pytest.param("an error in a sentence", {}, id="a word that is no level"),
        pytest.param("x" * 80 + " ERROR", {}, id="a level far behind"),
        pytest.param(
            "2026-11-22 21:16:00,123 INFO up",
            {"log.level": "INFO", "@timestamp": "2026-11-22 21:16:00,123"},
            id="a time",
        ),
    ],
)
def test_parse(line: str, fields: dict[str, Any]) -> None:
    assert parse(line) == {"message": line} | fields
