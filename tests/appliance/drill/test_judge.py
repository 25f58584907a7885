"""A message is looked at as its reader would: where it came, what it says, where its links lead."""

from pathlib import Path
from typing import Any

import pytest
from topmast import rulefile
from topmast.drill import judge
from topmast.drill.judge import Seen
from topmast.drill.receivers import Message
from topmast.page.inbox import Notification

ROOT = Path(__file__).resolve().parents[3]
RULES = {rule.name: rule for rule in rulefile.load(ROOT / "monitoring" / "prometheus") if rule.kind == "alert"}
REDIS = RULES["RedisDown"]
ROUTES: dict[str, Any] = {
    "route": {"receiver": "team", "routes": [{"matchers": ['severity="critical"'], "receiver": "pager"}]},
    "receivers": [
        {"name": "team", "slack_configs": [{}]},
        {"name": "pager", "pagerduty_configs": [{}]},
    ],
}
TEXT = "Redis is gone http://page/runbooks/RedisDown http://page/alerts/RedisDown"


def message(text: str = TEXT, status: str = "firing", receiver: str = "pager", **fields: Any) -> Message:
    alerts = fields.pop("alerts", ("RedisDown",))
    channel = fields.pop("channel", "pagerduty")
    note = Notification("now", receiver, channel, status, alerts, text, fields.pop("raw", {"dedup_key": "k"}))
    return Message("w", note, 12.0, **fields)


def row(*messages: Message, routes: dict[str, Any] = ROUTES) -> judge.Row:
    return judge.row(REDIS, Seen(messages, (), 10.0, routes), "production", "http://page", None)


def test_a_good_message_has_arrived() -> None:
    found = row(message(), message("resolved", "resolved"))

    assert (found.arrived, found.ended, found.seconds) == (True, True, 2.0)
    assert found.planned == (("pager", "pagerduty"),)


@pytest.mark.parametrize(
    ("bad", "problem"),
    [
        pytest.param(message("gone"), "no link to http://page/runbooks/RedisDown", id="no link"),
        pytest.param(message(refused="no_text"), "the service would refuse it: no_text", id="refused"),
        pytest.param(
            message(alerts=("RedisDown", "MySQLDown")), "one message of several alerts", id="grouped wrongly"
        ),
        pytest.param(message(receiver="team", channel="slack"), "team (slack): nobody planned it", id="a stray"),
    ],
)
def test_what_is_wrong_is_told(bad: Message, problem: str) -> None:
    found = row(bad)

    assert not found.arrived
    assert any(problem in each for each in found.problems)


def test_a_critical_whose_route_does_not_page_has_not_arrived() -> None:
    routes = {**ROUTES, "route": {"receiver": "team"}}

    found = row(message(receiver="team", channel="slack"), routes=routes)

    assert found.planned == (("team", "slack"), ("pager", "pagerduty"))
    assert not found.arrived


def test_the_end_of_an_incident_is_known_by_its_key() -> None:
    found = row(message(), message("", "resolved", alerts=()))

    assert found.ended


@pytest.mark.parametrize(
    ("told", "says"),
    [
        pytest.param("CPU of a:9100 is 91.31% busy.", True, id="another number"),
        pytest.param("CPU of a:9100 is 1m 6s busy.", True, id="another unit"),
        pytest.param("CPU of a:9100 is busy.", False, id="no number"),
        pytest.param("Memory of a:9100 is 90% busy.", False, id="another text"),
    ],
)
def test_a_description_is_known_whatever_its_numbers(told: str, says: bool) -> None:
    assert (judge.pattern("CPU of a:9100 is 90% busy.").search(told) is not None) is says


def test_planned_to_be_muted_are_the_warnings_whose_critical_fires() -> None:
    catalogue = [rule for rule in RULES.values() if rule.file.parent.name == "alerts"]

    assert sorted(judge.muted_as_planned(catalogue)) == [
        "ApiErrorRateHigh",
        "HostCpuHigh",
        "HostMemoryLow",
        "RedisMemoryHigh",
    ]
