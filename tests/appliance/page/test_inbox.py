"""The inbox file: one line a notification, bounded, readable while it is written."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from topmast.page.inbox import MAX_TEXT, Inbox, Notification


def notification(number: int = 0, text: str = "something broke", raw: object = None) -> Notification:
    at = f"2026-05-01T12:00:{number:02d}.000Z"
    return Notification(at, "slack-critical", "slack", "firing", ("HostCpuHigh",), text, raw)


def test_a_notification_is_one_line_of_the_agreed_shape(tmp_path: Path) -> None:
    inbox = Inbox(tmp_path / "data" / "inbox.ndjson")

    inbox.append(notification(text="two\nlines", raw={"a": 1}))

    assert json.loads(inbox.path.read_text()) == {
        "at": "2026-05-01T12:00:00.000Z",
        "receiver": "slack-critical",
        "channel": "slack",
        "status": "firing",
        "alerts": ["HostCpuHigh"],
        "text": "two\nlines",
        "raw": {"a": 1},
    }


def test_the_newest_come_first_and_no_more_than_asked(tmp_path: Path) -> None:
    inbox = Inbox(tmp_path / "inbox.ndjson")
    for number in range(5):
        inbox.append(notification(number))

    found = [entry["at"][17:19] for entry in inbox.newest(limit=3)]

    assert found == ["04", "03", "02"]


def test_since_leaves_out_what_is_older(tmp_path: Path) -> None:
    inbox = Inbox(tmp_path / "inbox.ndjson")
    for number in range(5):
        inbox.append(notification(number))

    found = inbox.newest(limit=100, since=datetime(2026, 5, 1, 12, 0, 3, tzinfo=UTC))

    assert [entry["at"][17:19] for entry in found] == ["04", "03"]


def test_no_file_is_an_empty_inbox(tmp_path: Path) -> None:
    inbox = Inbox(tmp_path / "nothing" / "inbox.ndjson")

    assert (inbox.newest(10), inbox.version()) == ([], "empty")


def test_a_line_that_is_being_written_or_is_none_is_passed_over(tmp_path: Path) -> None:
    inbox = Inbox(tmp_path / "inbox.ndjson")
    inbox.append(notification())
    with inbox.path.open("ab") as file:
        file.write(b'not json\n{"at": "yesterday"}\n[]\n{"at": "2026-05-')

    assert len(inbox.newest(10)) == 1


def test_a_full_inbox_keeps_its_newest_half_in_whole_lines(tmp_path: Path) -> None:
    inbox = Inbox(tmp_path / "inbox.ndjson", max_bytes=2000)

    for number in range(60):
        inbox.append(notification(number))
        assert inbox.path.stat().st_size <= 2000

    found = inbox.newest(100)
    assert [entry["at"][17:19] for entry in found] == [f"{59 - place:02d}" for place in range(len(found))]
    assert len(found) >= 5


def test_the_version_changes_with_every_notification(tmp_path: Path) -> None:
    inbox = Inbox(tmp_path / "inbox.ndjson")
    versions = {inbox.version()}

    for number in range(3):
        inbox.append(notification(number))
        versions.add(inbox.version())

    assert len(versions) == 4


@pytest.mark.parametrize("raw", ["x" * 500_000, {"deep": ["y" * 500_000]}], ids=["text", "object"])
def test_a_huge_message_is_cut(tmp_path: Path, raw: object) -> None:
    inbox = Inbox(tmp_path / "inbox.ndjson")

    inbox.append(notification(text="t" * 500_000, raw=raw))

    [entry] = inbox.newest(1)
    assert len(entry["text"]) == MAX_TEXT
    assert inbox.path.stat().st_size < 150_000
