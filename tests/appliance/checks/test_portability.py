"""The check `portability` is silent about our house and sees each seeded defect."""

from typing import Any

import pytest
from topmast.checks.portability import CHECK


def test_is_silent_about_our_house(house: Any) -> None:
    assert house.said(CHECK) == []


@pytest.mark.parametrize(
    ("file", "old", "new", "message"),
    [
        pytest.param(
            "monitoring/prometheus/alerts/cpu.yml",
            "max by (environment, instance) (app_event_loop_lag_seconds)",
            "mad_over_time(app_event_loop_lag_seconds[5m])",
            "mad_over_time() is not in both",
            id="a function of 3.x",
        ),
    ],
)
def test_sees(house: Any, file: str, old: str, new: str, message: str) -> None:
    house.change(file, old, new)

    assert [said for said in house.said(CHECK) if message in said]
