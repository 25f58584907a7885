"""The check `labels` is silent about our house and sees each seeded defect."""

from typing import Any

import pytest
from topmast.checks.labels import CHECK


def test_is_silent_about_our_house(house: Any) -> None:
    assert house.said(CHECK) == []


@pytest.mark.parametrize(
    ("file", "old", "new", "message"),
    [
        pytest.param(
            "monitoring/prometheus/alerts/cpu.yml",
            ", pair: HostCpu}",
            "}",
            "the label pair is missing",
            id="a pair is missing",
        ),
        pytest.param(
            "monitoring/prometheus/alerts/cpu.yml",
            "pair: HostMetricsMissing",
            "pair: '{{ $value }}'",
            "pair is a template",
            id="a template in a label",
        ),
        pytest.param(
            "monitoring/prometheus/alerts/cpu.yml",
            "{severity: critical,",
            "{team: a, severity: critical,",
            "the label team is not one of ours",
            id="a label of its own",
        ),
        pytest.param(
            "monitoring/prometheus/alerts/cpu.yml",
            "category: cpu",
            "category: memory",
            "its category is 'cpu'",
            id="the wrong category",
        ),
    ],
)
def test_sees(house: Any, file: str, old: str, new: str, message: str) -> None:
    house.change(file, old, new)

    assert [said for said in house.said(CHECK) if message in said]
