"""The check `pairs` is silent about our house and sees each seeded defect."""

from typing import Any

import pytest
from topmast.checks.pairs import CHECK


def test_is_silent_about_our_house(house: Any) -> None:
    assert house.said(CHECK) == []


@pytest.mark.parametrize(
    ("file", "old", "new", "message"),
    [
        pytest.param(
            "monitoring/prometheus/alerts/cpu.yml",
            "ratio_rate5m > 0.95",
            "ratio_rate5m > 0.8",
            "is not stricter than 0.85",
            id="a critical that is no stricter",
        ),
        pytest.param(
            "monitoring/prometheus/alerts/memory.yml",
            "< 0.05",
            "< 0.2",
            "is not stricter than 0.15",
            id="a critical that is no stricter, below",
        ),
        pytest.param(
            "monitoring/prometheus/alerts/memory.yml",
            "instance:node_memory_available:ratio < 0.05",
            "node_load5 < 0.05",
            "compare no metric in common",
            id="two metrics",
        ),
        pytest.param(
            "monitoring/prometheus/alerts/cpu.yml",
            "{severity: critical, category: cpu, pair: HostCpu}",
            "{severity: warning, category: cpu, pair: HostCpu}",
            "one warning and one critical",
            id="two warnings",
        ),
        pytest.param(
            "monitoring/prometheus/alerts/cpu.yml",
            "pair: AppEventLoopBlocked",
            "pair: EventLoop",
            "a pair of one",
            id="a pair of one",
        ),
    ],
)
def test_sees(house: Any, file: str, old: str, new: str, message: str) -> None:
    house.change(file, old, new)

    assert [said for said in house.said(CHECK) if message in said]
