"""A threshold as a person writes it, and what cannot be meant."""

from pathlib import Path

import pytest
from topmast import catalogue, thresholds
from topmast.errors import ConfigError
from topmast.layout import Layout

LAYOUT = Layout(Path(__file__).resolve().parents[2], Path("/nowhere"))


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        pytest.param("HostCpuHigh", "0.9", 0.9, id="a share"),
        pytest.param("HostCpuHigh", "90%", 0.9, id="per cent"),
        pytest.param("RedisConnectionsNearMax", "70 %", 0.7, id="a share that its text tells"),
        pytest.param("ApiResponseSlow", "3s", 3.0, id="seconds"),
        pytest.param("ApiResponseSlow", "500ms", 0.5, id="milliseconds"),
        pytest.param("AgentExecutionSlow", "1m30s", 90.0, id="minutes"),
        pytest.param("PrometheusSeriesHigh", "500000", 500000.0, id="a number"),
    ],
)
def test_is_read_in_the_alerts_own_unit(name: str, text: str, value: float) -> None:
    rule = catalogue.find(name, LAYOUT)
    kind = thresholds.unit(rule)

    read = thresholds.parse(text, kind, name)
    thresholds.check(read, rule, kind)

    assert read == value


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        pytest.param(
            "HostCpuHigh", "90", r"a share between 0 and 1; write 90% or 0\.9", id="per cent without a sign"
        ),
        pytest.param("HostCpuHigh", "1.5", "write 1.5% or 0.015", id="above one"),
        pytest.param("HostCpuHigh", "500", "never fire, or always", id="far above one"),
        pytest.param("HostCpuHigh", "-0.5", "never fire, or always", id="below none"),
        pytest.param("HostCpuHigh", "0", "never fire, or always", id="none"),
        pytest.param("HostCpuHigh", "high", "'high': write 0.85 or 85%", id="a word"),
        pytest.param("HostCpuHigh", "nan", "write 0.85 or 85%", id="not a number"),
        pytest.param("HostCpuHigh", "", "write 0.85 or 85%", id="nothing"),
        pytest.param("ApiResponseSlow", "3000", "the shipped one is 5 in seconds", id="milliseconds for seconds"),
        pytest.param("ApiResponseSlow", "3 sec", "write 0.2 or 200ms", id="a unit that is none"),
        pytest.param("ApiResponseSlow", "0", "`topmast alerts disable ApiResponseSlow`", id="always"),
    ],
)
def test_refuses_what_cannot_be_meant(name: str, text: str, message: str) -> None:
    rule = catalogue.find(name, LAYOUT)
    kind = thresholds.unit(rule)

    with pytest.raises(ConfigError, match=message):
        thresholds.check(thresholds.parse(text, kind, name), rule, kind)


def test_every_alert_takes_its_own_threshold() -> None:
    numbers = [rule for rule in catalogue.shipped(LAYOUT) if rule.annotations["threshold"][0].isdigit()]

    for rule in numbers:
        kind = thresholds.unit(rule)
        thresholds.check(thresholds.parse(rule.annotations["threshold"], kind, rule.name), rule, kind)

    assert len(numbers) > 30


@pytest.mark.parametrize("text", ["25h", "1000d", "1d1s"])
def test_a_wait_of_days_is_a_slip(text: str) -> None:
    with pytest.raises(ConfigError, match=f"HostCpuHigh: --for {text}: longer than 1d.*--force if it is meant"):
        thresholds.check_wait(text, "HostCpuHigh")


@pytest.mark.parametrize("text", ["0", "15m", "1d", "ten minutes"])
def test_any_other_wait_is_left_to_prometheus_grammar(text: str) -> None:
    thresholds.check_wait(text, "HostCpuHigh")
