"""The check `units` is silent about our house and sees each seeded defect."""

from typing import Any

import pytest
from topmast.checks.units import CHECK


def test_is_silent_about_our_house(house: Any) -> None:
    assert house.said(CHECK) == []


@pytest.mark.parametrize(
    ("file", "old", "new", "message"),
    [
        pytest.param(
            "monitoring/prometheus/alerts/cpu.yml",
            "$value | humanizeDuration",
            "$value | humanizePercentage",
            "the value is in seconds: use humanizeDuration",
            id="seconds in per cent",
        ),
        pytest.param(
            "monitoring/prometheus/alerts/cpu.yml",
            "$value | humanizePercentage",
            "$value | humanize1024",
            "the value is a ratio: use humanizePercentage",
            id="a ratio in 1024s",
        ),
        pytest.param(
            "monitoring/prometheus/alerts/llm.yml",
            "takes {{ $value | humanizeDuration }}",
            "takes {{ $value | humanize }}",
            "the value is in seconds",
            id="a quantile as a number",
        ),
        pytest.param(
            "monitoring/prometheus/self/logs.yml",
            "$value | humanize1024",
            "$value | humanize",
            "the value is in bytes",
            id="bytes as a number",
        ),
    ],
)
def test_sees(house: Any, file: str, old: str, new: str, message: str) -> None:
    house.change(file, old, new)

    assert [said for said in house.said(CHECK) if message in said]
