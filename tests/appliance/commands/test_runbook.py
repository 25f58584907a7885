"""`topmast runbook` prints the runbook, who is told and how soon."""

import json
from typing import Any

import pytest


@pytest.mark.parametrize(
    ("alert", "receivers", "seconds"),
    [
        # for 2m, three intervals of 15 s, group_wait 10 s
        pytest.param("RedisDown", ["pagerduty", "slack-critical"], 120 + 45 + 10, id="critical"),
        # for 10m, three intervals, the root's group_wait
        pytest.param("HostMemoryLow", ["slack-warning"], 600 + 45 + 30, id="warning"),
        pytest.param("Watchdog", ["heartbeat"], 45, id="heartbeat"),
    ],
)
def test_says_who_is_told_and_how_soon(topmast: Any, alert: str, receivers: list[str], seconds: float) -> None:
    told = json.loads(topmast("runbook", alert, "--json").out)

    assert (told["receivers"], told["told_within_seconds"]) == (receivers, seconds)
    assert told["runbook"].startswith(f"# {alert}\n")


def test_for_people_it_is_the_text_between_who_and_how(topmast: Any) -> None:
    out = topmast("runbook", "RedisDown").out

    assert out.startswith("Told to pagerduty, slack-critical within 2m55s of the first bad sample.\n\n# RedisDown\n")
    assert out.endswith("Quiet meanwhile: topmast silence RedisDown --for 2h --reason '…'\n")


def test_a_slip_of_the_name_is_told(topmast: Any) -> None:
    answer = topmast("runbook", "RedisDwon")

    assert answer.code == 1
    assert "did you mean RedisDown" in answer.err
