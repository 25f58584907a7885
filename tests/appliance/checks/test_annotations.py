"""The check `annotations` is silent about our house and sees each seeded defect."""

from typing import Any

import pytest
from topmast.checks.annotations import CHECK


def test_is_silent_about_our_house(house: Any) -> None:
    assert house.said(CHECK) == []


@pytest.mark.parametrize(
    ("file", "old", "new", "message"),
    [
        pytest.param(
            "monitoring/prometheus/alerts/cpu.yml",
            "summary: The machine",
            "summary: The {{ $labels.instance }}",
            "a summary has no template",
            id="a summary with a template",
        ),
        pytest.param(
            "monitoring/prometheus/alerts/cpu.yml",
            "metrics are missing.",
            "metrics are missing",
            "with its stop",
            id="a summary without its stop",
        ),
        pytest.param(
            "monitoring/prometheus/alerts/cpu.yml",
            "$value | humanizePercentage",
            "$value",
            "format it",
            id="a bare value",
        ),
        pytest.param(
            "monitoring/prometheus/alerts/memory.yml",
            "has {{ $value | humanizePercentage }} of",
            "has little of",
            "does not say how bad",
            id="no value",
        ),
        pytest.param(
            "monitoring/prometheus/alerts/cpu.yml",
            "The event loop of {{ $labels.instance }}",
            "The event loop",
            "does not say where",
            id="nowhere",
        ),
        pytest.param(
            "monitoring/prometheus/alerts/cpu.yml",
            "/runbooks/HostCpuHigh",
            "/runbooks/HostCpu",
            "runbook_url is /runbooks/HostCpuHigh",
            id="a runbook of another alert",
        ),
        pytest.param(
            "monitoring/prometheus/alerts/cpu.yml",
            "/alerts/HostCpuHigh",
            "http://x/HostCpuHigh",
            "dashboard_url is /alerts/HostCpuHigh",
            id="a dashboard elsewhere",
        ),
        pytest.param(
            "monitoring/prometheus/alerts/cpu.yml",
            "          threshold: '0.85'\n",
            "",
            "threshold is missing",
            id="no threshold",
        ),
        pytest.param(
            "monitoring/prometheus/alerts/cpu.yml",
            "alert: HostCpuHigh",
            "alert: host_cpu_high",
            "CamelCase",
            id="a name in small letters",
        ),
    ],
)
def test_sees(house: Any, file: str, old: str, new: str, message: str) -> None:
    house.change(file, old, new)

    assert [said for said in house.said(CHECK) if message in said]
