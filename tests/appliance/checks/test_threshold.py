"""The check `threshold` is silent about our house and sees each seeded defect."""

from typing import Any

import pytest
from topmast.checks.threshold import CHECK


def test_is_silent_about_our_house(house: Any) -> None:
    assert house.said(CHECK) == []


@pytest.mark.parametrize(
    ("file", "old", "new", "message"),
    [
        pytest.param(
            "monitoring/prometheus/alerts/cpu.yml",
            "threshold: '0.85'",
            "threshold: '0.8'",
            "0.8 is not in the expression",
            id="another number",
        ),
        pytest.param(
            "monitoring/prometheus/alerts/cache.yml",
            "* 60 > 30",
            "> 0.5",
            "0.5 stands 2 times",
            id="a number that stands twice",
        ),
        pytest.param(
            "monitoring/prometheus/alerts/cpu.yml",
            "threshold: '0.85'",
            "threshold: high",
            "'high' is neither",
            id="a word",
        ),
        pytest.param(
            "monitoring/prometheus/alerts/llm.yml",
            "> 0.2\n",
            "> 0.25\n",
            "says slo, but",
            id="no service level",
        ),
    ],
)
def test_sees(house: Any, file: str, old: str, new: str, message: str) -> None:
    house.change(file, old, new)

    assert [said for said in house.said(CHECK) if message in said]
