"""Each alert's message says the value and the threshold in one unit."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from topmast import humane, promtool, rulefile, rules
from topmast.suites import required

HOME = Path(__file__).resolve().parents[2]
TEMPLATES = HOME / "monitoring" / "alertmanager" / "templates"
ALERTS = [
    rule
    for rule in rulefile.load(HOME / "monitoring" / "prometheus")
    if rule.kind == "alert" and rule.file.parent.name == "alerts"
]
WITHOUT = ("state",)


def case(name: str) -> Mapping[str, Any]:
    document = yaml.safe_load((HOME / "tests" / "monitoring" / "alerts" / f"{name}.yml").read_text())
    fire: Mapping[str, Any] = document["fire"]
    return fire


def limit_of(rule: rulefile.Rule) -> str:
    return str(case(rule.name).get("annotations", {}).get("limit") or rule.annotations.get("limit", ""))


def unit(text: str) -> str:
    """Return the unit of the value in a description."""
    for pattern, name in ((r"[0-9]%", "ratio"), (r"[0-9] USD", "USD"), (r"[0-9](?:ms|s|m)\b", "seconds")):
        if re.search(pattern, text):
            return name
    return ""


# The value is not what is compared: how often against a share, money against a factor.
OTHERWISE = {"LlmCostSpike": "its value is money, its threshold a factor", "LlmCostUntracked": "calls, and a share"}


@pytest.mark.parametrize("rule", ALERTS, ids=[rule.name for rule in ALERTS])
def test_the_threshold_is_in_the_unit_of_the_value(rule: rulefile.Rule) -> None:
    said = limit_of(rule)
    if rule.annotations["threshold"] in WITHOUT:
        assert not said
        return

    assert said
    if rule.name not in OTHERWISE:
        found = "USD" if said.endswith("USD") else humane.unit_of(said)
        assert found == unit(case(rule.name)["text"]) != ""


@pytest.mark.rules
@pytest.mark.parametrize("kind", ["slack", "plain", "email"])
def test_every_message_says_value_and_threshold(kind: str, tmp_path: Path) -> None:
    amtool = promtool.find_amtool()
    if amtool is None:
        if "rules" in required():
            pytest.fail("no amtool")
        pytest.skip("no amtool: run `./topmast test --suite rules` or set TOPMAST_AMTOOL")
    alerts = []
    for rule in ALERTS:
        annotations = {**rule.annotations, "description": case(rule.name)["text"], "limit": limit_of(rule)}
        alerts.append(
            {
                "status": "firing",
                "labels": {"alertname": rule.name},
                "annotations": {name: text for name, text in annotations.items() if text},
                "startsAt": "2026-03-01T10:00:00Z",
                "endsAt": "0001-01-01T00:00:00Z",
                "generatorURL": "",
            }
        )
    data = tmp_path / "data.json"
    data.write_text(json.dumps({"status": "firing", "alerts": alerts}))
    each = f'{{{{ range .Alerts }}}}{{{{ template "topmast.{kind}.alert" . }}}}{{{{ "\\x00" }}}}{{{{ end }}}}'

    answer = promtool.run(
        amtool,
        [
            "template",
            "render",
            f"--template.glob={TEMPLATES}/*.tmpl",
            f"--template.data={data}",
            f"--template.text={each}",
        ],
    )

    assert answer.code == 0, answer.output
    told = answer.output.split("\x00")
    for rule, text in zip(ALERTS, told, strict=False):
        words = " ".join(text.split())
        assert " ".join(case(rule.name)["text"].split()) in words
        said = limit_of(rule)
        assert (f"threshold {said}" in words) if said else ("threshold" not in words), words


def test_a_changed_threshold_is_said_as_it_is_now(tmp_path: Path) -> None:
    changed = {"HostCpuHigh": {"threshold": 0.925}, "ApiResponseSlow": {"threshold": 2.5}}
    rules.render(
        HOME / "monitoring" / "prometheus",
        tmp_path,
        alerts=changed,
        slo={"availability": 0.995, "latency_p95_seconds": 0.5},
    )

    found = {rule.name: rule.annotations.get("limit") for rule in rulefile.load(tmp_path) if rule.kind == "alert"}
    assert (found["HostCpuHigh"], found["ApiResponseSlow"]) == ("92.5%", "2.5s")
    assert (found["ApiLatencyTargetMissed"], found["ApiErrorBudgetBurn"]) == ("500ms", "an error budget of 0.5%")
    assert found["LlmCostSpike"] == "3 times its mean of the last day"
