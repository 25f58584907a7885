"""What the compose proof allows is what the rules and routes say; what needs no engine is measured without one."""

import itertools
from pathlib import Path
from typing import Any, cast

import pytest
import yaml
from topmast import outages
from topmast.checkup import Checkup
from topmast.errors import TopmastError
from topmast.outages import INTERVALS, SIGNS
from topmast.proofs import compose

ROOT = Path(__file__).resolve().parents[3]
RULES = {
    rule["alert"]: rule
    for folder in ("alerts", "self")
    for path in (ROOT / "monitoring/prometheus" / folder).glob("*.yml")
    for group in yaml.safe_load(path.read_text())["groups"]
    for rule in group["rules"]
}


@pytest.mark.parametrize("service", sorted(SIGNS))
def test_the_time_allowed_is_that_of_the_rule_and_its_route(service: str) -> None:
    sign = SIGNS[service]
    if sign.alert not in RULES:
        assert sign.alert == "HeartbeatMissing", "told by the page, by no rule"
        return
    rule = RULES[sign.alert]
    wait = 10 if rule["labels"]["severity"] == "critical" else 30
    # Who cannot be delivered to is asked for at Alertmanager itself.
    wait = 0 if service == "page" else wait

    assert f"{sign.held / 60:.0f}m" == rule["for"]
    assert sign.wait == wait


def test_every_service_that_lasts_is_stopped() -> None:
    stack = yaml.safe_load((ROOT / "docker-compose.monitoring.yml").read_text())

    lasting = {name for name, each in stack["services"].items() if each["restart"] != "no" and "profiles" not in each}

    assert set(SIGNS) == lasting


def test_clocks_ten_times_faster_allow_a_tenth() -> None:
    sign = outages.Sign("TargetDown", held=300, wait=30)

    assert outages.allowed(sign, 10) == (300 + INTERVALS * 15 + 30) / 10


def test_policy_and_limits_need_no_engine() -> None:
    measures = [compose._findings(ROOT), compose._limits(ROOT)]

    assert [(each.name, each.holds) for each in measures] == [
        ("compose.policy_findings", True),
        ("compose.limits_lite_mib", True),
    ]


def message(status: str, text: str, receiver: str = "slack-warning", alert: str = "TargetDown") -> dict[str, object]:
    return {"receiver": receiver, "status": status, "alerts": [alert], "text": text}


DOWN = "grafana:3000 of job grafana does not answer."


@pytest.mark.parametrize(
    ("newest_first", "speaks", "any_job"),
    [
        pytest.param([], False, False, id="nothing came"),
        pytest.param([message("firing", DOWN)], True, True, id="it fires for the job"),
        pytest.param([message("firing", "x of job shipper does not")], False, True, id="for another job alone"),
        pytest.param([message("resolved", DOWN), message("firing", DOWN)], False, False, id="it ended"),
        pytest.param([message("firing", DOWN), message("resolved", DOWN)], True, True, id="it came again"),
        pytest.param([message("resolved", DOWN, "pagerduty"), message("firing", DOWN)], True, True,
                     id="one receiver was not told the end"),
        pytest.param([message("firing", DOWN, alert="LogstashDown")], False, False, id="another alert"),
    ],
)  # fmt: skip
def test_the_inbox_s_last_word_counts(
    newest_first: list[dict[str, object]], speaks: bool, any_job: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outages, "_ask", lambda *_: {"notifications": newest_first})

    assert outages._in_inbox(SIGNS["grafana"]) is speaks
    assert outages._in_inbox(SIGNS["grafana"], any_job=True) is any_job


def test_neighbours_do_not_share_a_sign_but_the_heartbeat() -> None:
    alerts = [each.alert for each in SIGNS.values()]

    assert {a for a, b in itertools.pairwise(alerts) if a == b} == {"HeartbeatMissing"}


def test_nothing_is_stopped_while_its_sign_speaks(monkeypatch: pytest.MonkeyPatch) -> None:
    class Running:
        """A project whose services are healthy."""

        def components(self) -> list[Checkup]:
            return [Checkup("grafana", ok=True, message="is healthy")]

    monkeypatch.setattr(outages, "QUIET_SECONDS", 0)
    monkeypatch.setattr(outages, "_in_alertmanager", lambda *_, **__: False)
    monkeypatch.setattr(outages, "_ask", lambda *_: {"notifications": [message("firing", DOWN)]})

    with pytest.raises(TopmastError, match="grafana: was not stopped: TargetDown speaks already"):
        outages._stop(cast(Any, Running()), "grafana", SIGNS["grafana"], 10)


def test_each_stop_is_measured_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[str] = []

    class Running:
        """A project that says what was asked of it."""

        def compose(self, *words: str) -> None:
            done.append(" ".join(words))

        def up(self, service: str) -> None:
            done.append(f"up {service}")

    monkeypatch.setattr(outages, "GROUP_SECONDS", 0)
    monkeypatch.setattr(outages, "_wait_for_quiet", lambda *_: None)
    monkeypatch.setattr(outages, "_stop", lambda _project, service, *_: done.append(service))

    list(outages.stopped_in_turn(cast(Any, Running()), 10, lambda _: None))

    # of the alerts that Alertmanager groups, the second of a name would wait for the group's interval
    forgotten = [following for one, following in itertools.pairwise(done) if one == "up prometheus"]
    assert forgotten == ["grafana", "kibana"]
    assert done.count("restart prometheus") == 2
