"""The check `catalogue` is silent about our house and sees each seeded defect."""

from typing import Any

import pytest
from topmast.checks.catalogue import CHECK


def test_is_silent_about_our_house(house: Any) -> None:
    assert house.said(CHECK) == []


@pytest.mark.parametrize(
    ("file", "old", "new", "message"),
    [
        pytest.param(
            "monitoring/prometheus/alerts/cpu.yml",
            "- alert: AppEventLoopBlocked",
            "- record: a:b:c",
            "cpu.yml: 4 alerts, not 5",
            id="an alert is gone",
        ),
        pytest.param(
            "monitoring/prometheus/alerts/cpu.yml",
            "alert: HostCpuHigh",
            "alert: HostCpuSaturated",
            "HostCpuSaturated is the name of 2 alerts",
            id="a name stands twice",
        ),
    ],
)
def test_sees(house: Any, file: str, old: str, new: str, message: str) -> None:
    house.change(file, old, new)

    assert [said for said in house.said(CHECK) if message in said]
