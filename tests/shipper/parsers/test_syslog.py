"""parsers/syslog.py: severity, program and host from the frame, fields from the text."""

import pytest
from topmast_shipper.parsers.syslog import PARSER

PARSE = PARSER.build({})


@pytest.mark.parametrize(
    ("priority", "level"),
    [(0, "critical"), (2, "critical"), (3, "error"), (12, "warning"), (165, "info"), (38, "info"), (191, "debug")],
)
def test_severities(priority: int, level: str) -> None:
    assert PARSE(f"<{priority}>Nov 22 21:16:00 web app: x")["log.level"] == level


def test_the_level_of_the_text_is_nearer() -> None:
    found = PARSE("<14>1 2026-11-22T21:16:00Z web shop 7 - - level=error msg=bad")

    assert (found["level"], found["msg"], found["service.name"]) == ("error", "bad", "shop")
    assert "log.level" not in found


def test_a_line_without_a_frame_is_text() -> None:
    assert PARSE("hello") == {"message": "hello"}
    assert PARSE("<34>")["error.type"] == "grok_mismatch"
