"""The check `severity` is silent about our house and sees each seeded defect."""

from typing import Any

import pytest
from topmast.checks.severity import CHECK


def test_is_silent_about_our_house(house: Any) -> None:
    assert house.said(CHECK) == []


@pytest.mark.parametrize(
    ("file", "old", "new", "message"),
    [
        pytest.param(
            "monitoring/prometheus/alerts/cpu.yml",
            "severity: warning",
            "severity: major",
            "severity 'major'",
            id="a severity that nobody routes",
        ),
        pytest.param(
            "monitoring/prometheus/alerts/cpu.yml",
            "for: 3m",
            "for: 30m",
            "a critical waits 2m to 5m, not 30m",
            id="a critical that waits too long",
        ),
        pytest.param(
            "monitoring/prometheus/alerts/cache.yml",
            "        for: 2m\n",
            "",
            "a critical waits 2m to 5m, not 0s",
            id="a critical that does not wait",
        ),
        pytest.param(
            "monitoring/prometheus/alerts/memory.yml",
            "for: 10m",
            "for: 1m",
            "a warning waits 5m to 10m, not 1m",
            id="a warning that is hasty",
        ),
    ],
)
def test_sees(house: Any, file: str, old: str, new: str, message: str) -> None:
    house.change(file, old, new)

    assert [said for said in house.said(CHECK) if message in said]
