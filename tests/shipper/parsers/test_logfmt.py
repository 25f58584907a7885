"""parsers/logfmt.py: pairs, quoted or not; what is none stays text."""

from typing import Any

import pytest
from topmast_shipper.parsers.logfmt import parse


@pytest.mark.parametrize(
    ("line", "fields"),
    [
        pytest.param(
            'level=info msg="order placed" n=7', {"level": "info", "msg": "order placed", "n": 7}, id="usual"
        ),
        pytest.param('a="say \\"hi\\"\\n" b=', {"a": 'say "hi"\n', "b": ""}, id="escapes and nothing"),
        pytest.param("debug a=true b=-1.5 c=007", {"debug": True, "a": True, "b": -1.5, "c": "007"}, id="values"),
        pytest.param("at=1795382160.5 url=/a?b=c", {"at": 1795382160.5, "url": "/a?b=c"}, id="= in a value"),
    ],
)
def test_pairs(line: str, fields: dict[str, Any]) -> None:
    assert parse(line) == fields


@pytest.mark.parametrize("line", ["", "hello", "hello world", 'a="open', "a b c", "=x", 'a=1 "x"'])
def test_what_is_none_stays_text(line: str) -> None:
    found = parse(line)

    assert (found["message"], found["error.type"]) == (line, "logfmt")


def test_a_hostile_line_ends_in_time() -> None:
    for line in ('a="' + "\\" * 200_000, "=" * 200_000, "a=" * 100_000, '"' * 200_000):
        parse(line)
