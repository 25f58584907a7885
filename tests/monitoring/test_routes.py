"""amtool agrees: the file is valid, each alert reaches its receivers, every template renders at any size (A1-A4)."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from topmast import promtool as tools
from topmast import routetree, rulefile

MONITORING = Path(__file__).resolve().parents[2] / "monitoring"
CONFIG = MONITORING / "alertmanager" / "alertmanager.yml"
TEMPLATES = MONITORING / "alertmanager" / "templates"
ALERTS = [rule for rule in rulefile.load(MONITORING / "prometheus") if rule.kind == "alert"]
TEMPLATE_NAMES = (
    "topmast.title",
    "topmast.plain",
    "topmast.slack.text",
    "topmast.slack.color",
    "topmast.email.html",
    "topmast.link.dashboard",
    "topmast.link.runbook",
)


def labels(alert: rulefile.Rule, environment: str = "production") -> dict[str, str]:
    return {"alertname": alert.name, **alert.labels, "environment": environment}


def expected(alert: rulefile.Rule, environment: str) -> list[str]:
    severity, category = alert.labels["severity"], alert.labels["category"]
    if alert.name == "Watchdog":
        return ["heartbeat"]
    if environment not in ("production", ""):
        return ["slack-warning"]
    if severity == "critical":
        return ["pagerduty", "slack-critical"]
    return ["email-cost"] if category == "cost" else ["slack-warning"]


@pytest.mark.parametrize("environment", ["production", "staging", ""])
def test_every_alert_reaches_who_it_is_for(environment: str) -> None:
    config = yaml.safe_load(CONFIG.read_text())

    found = {alert.name: routetree.receivers(config, labels(alert, environment)) for alert in ALERTS}

    assert found == {alert.name: expected(alert, environment) for alert in ALERTS}


def test_the_catalogue_is_shared_out_as_planned() -> None:
    config = yaml.safe_load(CONFIG.read_text())
    catalogue = [alert for alert in ALERTS if alert.labels["category"] != "self"]

    receivers = [tuple(routetree.receivers(config, labels(alert))) for alert in catalogue]

    assert {each: receivers.count(each) for each in set(receivers)} == {
        ("pagerduty", "slack-critical"): 21,
        ("slack-warning",): 22,
        ("email-cost",): 4,
    }


def test_a_critical_mutes_its_own_warning_and_nothing_else() -> None:
    config = yaml.safe_load(CONFIG.read_text())

    muted = {
        (source.name, target.name)
        for source in ALERTS
        for target in ALERTS
        if source is not target and routetree.mutes(config, labels(source), labels(target))
    }

    assert muted == {
        ("ApiErrorBudgetBurn", "ApiErrorRateHigh"),
        ("HostCpuSaturated", "HostCpuHigh"),
        ("HostMemoryCritical", "HostMemoryLow"),
        ("RedisMemoryExhausted", "RedisMemoryHigh"),
    }


def test_another_machine_or_another_environment_is_not_muted() -> None:
    config = yaml.safe_load(CONFIG.read_text())
    by_name = {alert.name: alert for alert in ALERTS}
    critical = {**labels(by_name["HostMemoryCritical"]), "instance": "a:9100"}
    warning = {**labels(by_name["HostMemoryLow"]), "instance": "a:9100"}

    assert routetree.mutes(config, critical, warning)
    assert not routetree.mutes(config, critical, {**warning, "instance": "b:9100"})
    assert not routetree.mutes(config, critical, {**warning, "environment": "staging"})


@pytest.mark.rules
def test_amtool_accepts_the_file(amtool: Path) -> None:
    answer = tools.run(amtool, ["check-config", str(CONFIG)])

    assert (answer.code, "SUCCESS" in answer.output) == (0, True), answer.output


@pytest.mark.rules
@pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: alert.name)
def test_amtool_routes_as_we_do(alert: rulefile.Rule, amtool: Path) -> None:
    pairs = [f"{name}={value}" for name, value in labels(alert).items()]
    wanted = ",".join(expected(alert, "production"))

    answer = tools.run(
        amtool, ["config", "routes", "test", f"--config.file={CONFIG}", f"--verify.receivers={wanted}", *pairs]
    )

    assert answer.code == 0, answer.output


def data(firing: int, resolved: int, **changes: str) -> dict[str, Any]:
    """Return what Alertmanager hands to a template."""

    def alert(number: int, status: str) -> dict[str, Any]:
        return {
            "status": status,
            "labels": {"alertname": "HostCpuHigh", "instance": f"host-{number}:9100"},
            "annotations": {"description": f"CPU of host-{number}:9100 is 90% busy.", "threshold": "0.85", **changes},
            "startsAt": "2026-03-01T10:00:00Z",
            "endsAt": "2026-03-01T11:00:00Z" if status == "resolved" else "0001-01-01T00:00:00Z",
            "generatorURL": "http://localhost:9090/graph?g0.expr=a",
        }

    return {
        "receiver": "slack-warning",
        "status": "firing" if firing else "resolved",
        "externalURL": "http://localhost:9093",
        "groupLabels": {"alertname": "HostCpuHigh", "category": "cpu"},
        "commonLabels": {"severity": "warning", "environment": "production"},
        "commonAnnotations": {
            "summary": "A machine's CPU has been busy for a long time.",
            "dashboard_url": "/alerts/HostCpuHigh",
            "runbook_url": "/runbooks/HostCpuHigh",
        },
        "alerts": [alert(n, "firing") for n in range(firing)] + [alert(n, "resolved") for n in range(resolved)],
    }


def rendered(amtool: Path, folder: Path, name: str, value: dict[str, Any]) -> tools.Answer:
    path = folder / "data.json"
    path.write_text(json.dumps(value))
    return tools.run(
        amtool,
        [
            "template",
            "render",
            f"--template.glob={TEMPLATES}/*.tmpl",
            f"--template.data={path}",
            f'--template.text={{{{ template "{name}" . }}}}',
        ],
    )


@pytest.mark.rules
@pytest.mark.parametrize("name", TEMPLATE_NAMES)
@pytest.mark.parametrize(("firing", "resolved"), [(1, 0), (5, 0), (50, 0), (0, 1), (0, 50), (5, 5), (50, 50)])
def test_every_template_renders_at_every_size(
    name: str, firing: int, resolved: int, amtool: Path, tmp_path: Path
) -> None:
    answer = rendered(amtool, tmp_path, name, data(firing, resolved))

    assert answer.code == 0, answer.output
    assert "<no value>" not in answer.output
    assert answer.output.strip()


@pytest.mark.rules
@pytest.mark.parametrize("name", TEMPLATE_NAMES)
def test_a_missing_annotation_breaks_no_message(name: str, amtool: Path, tmp_path: Path) -> None:
    value = data(2, 1)
    value["commonAnnotations"] = {}
    for alert in value["alerts"]:
        alert["annotations"] = {}

    answer = rendered(amtool, tmp_path, name, value)

    assert (answer.code, "<no value>" in answer.output) == (0, False), answer.output


@pytest.mark.rules
def test_fifty_alerts_are_five_and_a_number(amtool: Path, tmp_path: Path) -> None:
    text = rendered(amtool, tmp_path, "topmast.slack.text", data(50, 0)).output

    assert text.count("•") == 5
    assert "and 45 more" in text


@pytest.mark.rules
def test_a_title_says_what_where_and_how_bad(amtool: Path, tmp_path: Path) -> None:
    title = rendered(amtool, tmp_path, "topmast.title", data(2, 0)).output

    assert title.strip() == ("[FIRING:2] WARNING HostCpuHigh (cpu): A machine's CPU has been busy for a long time.")


@pytest.mark.rules
def test_a_label_cannot_speak_slack(amtool: Path, tmp_path: Path) -> None:
    hostile = "<!channel> & <https://evil.example|click>\n*now*"

    text = rendered(amtool, tmp_path, "topmast.slack.text", data(1, 0, description=hostile)).output

    assert "&lt;!channel&gt; &amp; &lt;https://evil.example|click&gt; *now*" in text
