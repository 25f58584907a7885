"""Who was heard and falls silent is told, once; who comes back, too; who was never heard is not missed."""

from pathlib import Path

import pytest
from topmast.page.heartbeat import SILENT_SECONDS, Heartbeat
from topmast.page.inbox import Inbox, Notification, now


class Clock:
    """Monotonic seconds that a test moves."""

    seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def inbox(tmp_path: Path) -> Inbox:
    return Inbox(tmp_path / "inbox.ndjson")


def told(inbox: Inbox) -> list[tuple[str, list[str]]]:
    return [(each["status"], each["alerts"]) for each in reversed(inbox.newest(10))]


def test_a_silence_is_told_once_and_its_end(inbox: Inbox) -> None:
    clock = Clock()
    heartbeat = Heartbeat(inbox, clock)
    heartbeat.heard("heartbeat")

    clock.seconds += SILENT_SECONDS
    heartbeat.look()
    quiet = told(inbox)
    clock.seconds += 1
    heartbeat.look()
    heartbeat.look()
    heartbeat.heard("heartbeat")
    heartbeat.heard("heartbeat")

    assert quiet == []
    assert told(inbox) == [("firing", ["HeartbeatMissing"]), ("resolved", ["HeartbeatMissing"])]


def beat(evaluated: float) -> dict[str, object]:
    return {"alerts": [{"annotations": {"evaluated": f"{evaluated:.0f}"}}]}


def test_a_heartbeat_that_only_repeats_what_was_evaluated_long_ago_is_none(inbox: Inbox) -> None:
    """Alertmanager sends the alert of a dead Prometheus on, until it ends."""
    clock = Clock()
    heartbeat = Heartbeat(inbox, clock, wall=clock)
    heartbeat.heard("heartbeat", beat(clock.seconds))
    evaluated = clock.seconds

    for _ in range(4):
        clock.seconds += 60
        heartbeat.heard("heartbeat", beat(evaluated))
        heartbeat.look()
    missing = told(inbox)
    heartbeat.heard("heartbeat", beat(clock.seconds))

    assert missing == [("firing", ["HeartbeatMissing"])]
    assert told(inbox)[1:] == [("resolved", ["HeartbeatMissing"])]


@pytest.mark.parametrize(
    "body", [None, {}, {"alerts": []}, {"alerts": [{}]}, {"alerts": "x"}, beat(10**9), [],
             {"alerts": [{"annotations": {"evaluated": "soon"}}]}]
)  # fmt: skip
def test_a_heartbeat_that_does_not_say_when_counts_as_it_comes(inbox: Inbox, body: object) -> None:
    clock = Clock()
    heartbeat = Heartbeat(inbox, clock, wall=clock)

    heartbeat.heard("heartbeat", body)

    assert heartbeat.age_seconds() == 0


def test_who_was_never_heard_is_not_missed(inbox: Inbox) -> None:
    clock = Clock()
    heartbeat = Heartbeat(inbox, clock)
    heartbeat.heard("slack-critical")

    clock.seconds += 10 * SILENT_SECONDS
    heartbeat.look()

    assert told(inbox) == []


def test_after_a_restart_of_the_page_it_is_expected_still(inbox: Inbox) -> None:
    inbox.append(Notification(now(), "heartbeat", "webhook", "firing", ("Watchdog",), "beat"))
    clock = Clock()
    heartbeat = Heartbeat(inbox, clock)

    heartbeat.look()
    clock.seconds += SILENT_SECONDS + 1
    heartbeat.look()

    assert told(inbox) == [("firing", ["Watchdog"]), ("firing", ["HeartbeatMissing"])]


def test_what_could_not_be_written_is_tried_again(tmp_path: Path) -> None:
    blocked = tmp_path / "data"
    blocked.touch()
    inbox, clock = Inbox(blocked / "inbox.ndjson"), Clock()
    (tmp_path / "data").unlink()
    heartbeat = Heartbeat(inbox, clock)
    heartbeat.heard("heartbeat")
    clock.seconds += SILENT_SECONDS + 1
    blocked.touch()

    with pytest.raises(OSError, match=r"File exists|Not a directory"):
        heartbeat.look()
    blocked.unlink()
    heartbeat.look()

    assert told(inbox) == [("firing", ["HeartbeatMissing"])]
