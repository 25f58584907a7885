"""What a user changes reaches the rule files, and nothing else of them changes."""

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from topmast import promtool, rulefile, rules
from topmast.errors import ConfigError
from topmast.rulefile import Rule
from topmast.suites import required

MONITORING = Path(__file__).resolve().parents[2] / "monitoring"
PROMETHEUS = MONITORING / "prometheus"
ALERTMANAGER = MONITORING / "alertmanager"
SLO = {"availability": 0.999, "latency_p95_seconds": 0.2}


def render(
    target: Path, alerts: Mapping[str, Any] | None = None, slo: Mapping[str, float] = SLO, speed: int = 1
) -> dict[str, Rule]:
    rules.render(PROMETHEUS, target, alerts=alerts or {}, slo=slo, speed=speed)
    return {rule.name: rule for rule in rulefile.load(target)}


def tool(found: Path | None, name: str) -> str:
    if found is None:
        if "rules" in required():
            pytest.fail(f"no {name}")
        pytest.skip(f"no {name}: run `./topmast test --suite rules` or set TOPMAST_{name.upper()}")
    return str(found)


def test_nothing_changed_is_the_source_to_the_byte(tmp_path: Path) -> None:
    written = rules.render(PROMETHEUS, tmp_path, alerts={}, slo=SLO)

    assert written == sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*.yml"))
    assert {name: (tmp_path / name).read_text() for name in written} == {
        name: (PROMETHEUS / name).read_text() for name in written
    }


def test_a_threshold_is_changed_in_the_expression_and_its_annotation(tmp_path: Path) -> None:
    rule = render(tmp_path, {"HostCpuHigh": {"threshold": 0.9}})["HostCpuHigh"]

    assert (rule.expr, rule.annotations["threshold"]) == ("instance:node_cpu_busy:ratio_rate5m > 0.9", "0.9")


@pytest.mark.parametrize(
    "rule",
    [
        rule
        for rule in rulefile.load(PROMETHEUS)
        if rule.kind == "alert" and rule.annotations["threshold"] not in ("state", "slo", "budget")
    ],
    ids=lambda rule: rule.name,
)
def test_every_threshold_can_be_changed(rule: Rule, tmp_path: Path) -> None:
    wanted = round(float(rule.annotations["threshold"]) * 1.5 + 0.125, 6)

    changed = render(tmp_path, {rule.name: {"threshold": wanted}})[rule.name]

    assert float(changed.annotations["threshold"]) == wanted
    assert changed.expr != rule.expr


def test_a_wait_is_changed(tmp_path: Path) -> None:
    assert render(tmp_path, {"RedisDown": {"for": "4m"}})["RedisDown"].duration == "4m"


def test_an_alert_is_switched_off_and_its_neighbours_stay(tmp_path: Path) -> None:
    before = {rule.name for rule in rulefile.load(PROMETHEUS)}

    after = render(tmp_path, {"HostMemoryLow": {"enabled": False}, "Watchdog": {"enabled": False}})

    assert before - after.keys() == {"HostMemoryLow", "Watchdog"}


def test_the_service_level_reaches_alert_and_recording(tmp_path: Path) -> None:
    found = render(tmp_path, slo={"availability": 0.995, "latency_p95_seconds": 0.5})

    assert "14.4 * 0.005" in found["ApiErrorBudgetBurn"].expr
    assert "> 0.5" in found["ApiLatencyTargetMissed"].expr
    assert found["app:http_error_budget_left:ratio_rate30d"].expr.endswith("/ 0.005")


def test_a_file_that_is_gone_from_the_source_is_removed(tmp_path: Path) -> None:
    (tmp_path / "alerts").mkdir()
    (tmp_path / "alerts" / "old.yml").write_text("groups: []\n")

    render(tmp_path)

    assert not (tmp_path / "alerts" / "old.yml").exists()


@pytest.mark.parametrize(
    ("alerts", "message"),
    [
        pytest.param(
            {"HostCpuHi": {"enabled": False}},
            "$.alerts.HostCpuHi: no such alert; did you mean HostCpuHigh?",
            id="unknown",
        ),
        pytest.param(
            {"RedisDown": {"threshold": 2}},
            "$.alerts.RedisDown.threshold: it has none: change `for` or `enabled`",
            id="a state",
        ),
        pytest.param(
            {"LlmDailyBudgetExceeded": {"threshold": 2}},
            "$.alerts.LlmDailyBudgetExceeded.threshold: it follows `budgets:`; change that",
            id="a budget",
        ),
        pytest.param(
            {"ApiErrorBudgetBurn": {"threshold": 2}},
            "$.alerts.ApiErrorBudgetBurn.threshold: it follows `slo:`; change that",
            id="the service level",
        ),
        pytest.param(
            {"HostCpuHigh": {"threshold": "high"}},
            "$.alerts.HostCpuHigh.threshold: not a number: 'high'",
            id="no number",
        ),
        pytest.param(
            {"HostCpuHigh": {"for": "soon"}}, "$.alerts.HostCpuHigh.for: not a duration: 'soon'", id="no duration"
        ),
        pytest.param(
            {"Watchdog": {"for": "1m"}}, "$.alerts.Watchdog.for: this alert has none: it fires at once", id="no wait"
        ),
    ],
)
def test_what_cannot_be_changed_is_refused(alerts: Mapping[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as refused:
        render(tmp_path, alerts)

    assert str(refused.value) == message


def test_fast_clocks_divide_every_span_but_those_of_money(tmp_path: Path) -> None:
    found = render(tmp_path, speed=10)

    assert found["HostCpuHigh"].duration == "1m"
    assert "[30s]" in found["instance:node_cpu_busy:ratio_rate5m"].expr
    assert "offset 3m" in found["LlmCostUntracked"].expr
    assert "[24h] offset 1h" in found["LlmCostSpike"].expr
    assert "< 180)" in found["CacheHitRateLow"].expr
    assert "[36m], 4 * 360" in found["DatabaseDiskFilling"].expr


@pytest.mark.parametrize(
    ("speed", "alerts", "duration"),
    [
        pytest.param(1, {}, "5m", id="production"),
        pytest.param(2, {}, "2m30s", id="a little faster"),
        pytest.param(10, {}, "1m30s", id="longer than the minute whose worst the metric is"),
        pytest.param(10, {"AppEventLoopBlocked": {"for": "30s"}}, "30s", id="what the user wants is not lengthened"),
    ],
)
def test_a_maximum_over_a_minute_is_waited_for_longer(
    speed: int, alerts: Mapping[str, Any], duration: str, tmp_path: Path
) -> None:
    assert render(tmp_path, alerts, speed=speed)["AppEventLoopBlocked"].duration == duration


@pytest.mark.rules
@pytest.mark.parametrize("speed", [1, 10])
def test_promtool_accepts_what_is_rendered(speed: int, tmp_path: Path) -> None:
    program = Path(tool(promtool.find_promtool(), "promtool"))
    everything_off = {
        rule.name: {"enabled": False}
        for rule in rulefile.load(PROMETHEUS, ["alerts/cpu.yml"])
        if rule.kind == "alert"
    }
    render(tmp_path, everything_off, speed=speed)
    rules.render_prometheus(PROMETHEUS, tmp_path, speed=speed, environment="staging")
    shutil.copytree(PROMETHEUS / "targets", tmp_path / "targets")

    answer = promtool.run(
        program, ["check", "config", "--lint=all", "--lint-fatal", str(tmp_path / "prometheus.yml")]
    )

    assert (answer.code, "FAILED" in answer.output) == (0, False), answer.output


def test_the_environment_and_the_intervals_are_set(tmp_path: Path) -> None:
    config = yaml.safe_load(
        rules.render_prometheus(PROMETHEUS, tmp_path, speed=10, environment="staging").read_text()
    )

    assert config["global"] == {
        "scrape_interval": "1s500ms",
        "scrape_timeout": "1s",
        "evaluation_interval": "1s500ms",
        "external_labels": {"environment": "staging"},
    }
