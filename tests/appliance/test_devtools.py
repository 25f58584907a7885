"""A browser that is none is told from one that is; the real one is driven in tests/browser."""

import sys
from pathlib import Path

import pytest
from topmast import devtools

# Answers on descriptor 4 what comes in on 3, as Chromium would.
ECHO = """#!{python}
import json, os
buffer = b""
while part := os.read(3, 65536):
    buffer += part
    while b"\\0" in buffer:
        line, _, buffer = buffer.partition(b"\\0")
        asked = json.loads(line)
        if asked["method"] == "Bad.method":
            answer = {{"error": {{"message": "no such method"}}}}
        elif asked["method"] == "Runtime.evaluate":
            answer = {{"result": {{"result": {{"value": asked["params"]["expression"] == "ready"}}}}}}
        else:
            answer = {{"result": {{"targetId": "t", "sessionId": "s", "told": asked}}}}
        os.write(4, b'{{"method": "An.event"}}\\0' + json.dumps({{"id": asked["id"], **answer}}).encode() + b"\\0")
"""


@pytest.fixture
def echo(tmp_path: Path) -> Path:
    program = tmp_path / "browser"
    program.write_text(ECHO.format(python=sys.executable))
    program.chmod(0o755)
    return program


def test_a_command_gets_its_own_answer_past_events(echo: Path) -> None:
    with devtools.tab(echo) as tab:
        told = tab.call("Page.navigate", url="http://x/")["told"]

    assert (told["method"], told["params"], told["sessionId"]) == ("Page.navigate", {"url": "http://x/"}, "s")


def test_what_the_browser_refuses_is_said(echo: Path) -> None:
    with devtools.tab(echo) as tab, pytest.raises(devtools.BrowserError, match="no such method"):
        tab.call("Bad.method")


def test_a_condition_is_waited_for_and_given_up(echo: Path) -> None:
    with devtools.tab(echo, seconds=3) as tab:
        assert tab.wait_for("ready", "it is ready") is True
        with pytest.raises(devtools.BrowserError, match="waited in vain: the moon"):
            tab.wait_for("never", "the moon")


@pytest.mark.parametrize(
    "script", ["#!/bin/sh\necho no display >&2\nexit 1\n", "#!/bin/sh\nexec sleep 0.2 3<&- 4>&-\n"]
)
def test_a_program_that_is_no_browser_ends_in_a_sentence(tmp_path: Path, script: str) -> None:
    program = tmp_path / "browser"
    program.write_text(script)
    program.chmod(0o755)

    with pytest.raises(devtools.BrowserError, match="ended"), devtools.tab(program, seconds=5):
        raise AssertionError("there is no tab")
