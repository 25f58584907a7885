"""What the compose proof allows is what the rules and routes say; what needs no engine is measured without one."""

from pathlib import Path

import pytest
import yaml
from topmast import outages
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
