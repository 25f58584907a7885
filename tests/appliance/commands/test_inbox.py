"""`topmast inbox`: what each channel would have received."""

import json
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from topmast.layout import Layout
from topmast.page.inbox import Inbox, Notification


@pytest.fixture
def inbox(tmp_path: Path) -> Inbox:
    return Inbox(Layout(tmp_path, tmp_path / "state").inbox)


def notification(minutes_ago: float, text: str = "[FIRING:1] HostCpuHigh") -> Notification:
    at = (datetime.now(UTC) - timedelta(minutes=minutes_ago)).isoformat(timespec="milliseconds")
    return Notification(at, "slack-warning", "slack", "firing", ("HostCpuHigh",), text, {"a": 1})


def test_json_is_the_agreed_shape_newest_first(inbox: Inbox, topmast: Callable[..., Any]) -> None:
    inbox.append(notification(30, "old"))
    inbox.append(notification(1, "new"))

    answer = topmast("inbox", "--json")

    listed = json.loads(answer.out)
    assert [each["text"] for each in listed["notifications"]] == ["new", "old"]
    assert listed["notifications"][0]["alerts"] == ["HostCpuHigh"]


def test_since_and_limit_narrow_it(inbox: Inbox, topmast: Callable[..., Any]) -> None:
    for age in (30, 5, 2, 1):
        inbox.append(notification(age, f"{age} minutes"))

    narrowed = topmast("inbox", "--json", "--since", "10m", "--limit", "2")

    assert [each["text"] for each in json.loads(narrowed.out)["notifications"]] == ["1 minutes", "2 minutes"]


def test_a_person_reads_it_top_down_and_no_escape_reaches_the_terminal(
    inbox: Inbox, topmast: Callable[..., Any]
) -> None:
    inbox.append(notification(2, "first"))
    inbox.append(notification(1, "second \x1b[31mred\nnext line"))

    out = topmast("inbox").out

    assert out.index("first") < out.index("second")
    assert "slack → slack-warning  HostCpuHigh\n    second �[31mred\n    next line\n" in out
    assert "\x1b" not in out


def test_an_empty_inbox_says_so(topmast: Callable[..., Any]) -> None:
    assert topmast("inbox").out == "Nothing was sent yet.\n"
    assert topmast("inbox", "--since", "1h").out == "Nothing was sent in that time.\n"
    assert json.loads(topmast("inbox", "--json").out) == {"notifications": []}


@pytest.mark.parametrize("value", ["soon", "5x", "m", "-5m", ""])
def test_an_age_that_is_none_is_refused(topmast: Callable[..., Any], value: str) -> None:
    answer = topmast("inbox", "--since", value)

    assert answer.code == 2
    assert "is no age; say 90s, 10m, 2h or 7d" in answer.err


def test_follow_prints_what_comes_in_each_once(inbox: Inbox, tmp_path: Path) -> None:
    inbox.append(notification(1, "before"))
    argv = [sys.executable, "-m", "topmast", "--state", str(tmp_path / "state"), "inbox", "--follow", "--json"]
    process = subprocess.Popen(argv, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        seen = [json.loads(process.stdout.readline())["text"]]
        for text in ("during", "after"):
            inbox.append(notification(0, text))
            seen.append(json.loads(process.stdout.readline())["text"])
    finally:
        process.terminate()
        process.communicate()

    assert seen == ["before", "during", "after"]
