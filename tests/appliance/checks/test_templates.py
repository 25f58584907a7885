"""The check `templates` is silent about our house and sees each seeded defect."""

from typing import Any

import pytest
from topmast.checks.templates import CHECK


def test_is_silent_about_our_house(house: Any) -> None:
    assert house.said(CHECK) == []


@pytest.mark.parametrize(
    ("file", "old", "new", "message"),
    [
        pytest.param(
            "monitoring/prometheus/alerts/cpu.yml",
            "CPU of {{ $labels.instance }}",
            "CPU of {{ $labels.cpu }}",
            "the expression leaves no label cpu",
            id="a label that is aggregated away",
        ),
        pytest.param(
            "monitoring/prometheus/alerts/llm.yml",
            "agent {{ $labels.agent }}",
            "agent {{ $labels.agnet }}",
            "the expression leaves no label agnet",
            id="a label that nothing has",
        ),
        pytest.param(
            "monitoring/prometheus/alerts/cpu.yml",
            "$value | humanizePercentage",
            "$value | urlQueryEscape",
            "urlQueryEscape is no template function",
            id="a function of 3.x",
        ),
        pytest.param(
            "monitoring/prometheus/recording/database.yml",
            "0.95, sum by (environment, le, database)",
            "0.95, sum by (environment, le)",
            "the expression leaves no label database",
            id="a recording rule that drops the label",
        ),
    ],
)
def test_sees(house: Any, file: str, old: str, new: str, message: str) -> None:
    house.change(file, old, new)

    assert [said for said in house.said(CHECK) if message in said]
