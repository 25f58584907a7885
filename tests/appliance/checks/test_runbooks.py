"""The check `runbooks` is silent about our house and sees each seeded defect."""

from typing import Any

import pytest
from topmast.checks.runbooks import CHECK


def test_is_silent_about_our_house(house: Any) -> None:
    assert house.said(CHECK) == []


@pytest.mark.parametrize(
    ("file", "old", "new", "message"),
    [
        pytest.param(
            "docs/runbooks/HostCpuHigh.md",
            "## Impact",
            "## Effect",
            "the heading Impact is missing",
            id="a heading is gone",
        ),
        pytest.param(
            "docs/runbooks/HostCpuHigh.md",
            "sum by (instance) (node_load5)",
            "sum by (instance (node_load5)",
            "not PromQL",
            id="PromQL that does not parse",
        ),
        pytest.param(
            "docs/runbooks/HostCpuHigh.md",
            "node_load5",
            "nodes_load5",
            "nodes_load5: no metric of this name",
            id="a metric that does not exist",
        ),
        pytest.param(
            "monitoring/prometheus/alerts/cpu.yml",
            "alert: HostCpuHigh",
            "alert: HostCpuVeryHigh",
            "HostCpuVeryHigh has no runbook",
            id="an alert without a runbook",
        ),
    ],
)
def test_sees(house: Any, file: str, old: str, new: str, message: str) -> None:
    house.change(file, old, new)

    assert [said for said in house.said(CHECK) if message in said]
