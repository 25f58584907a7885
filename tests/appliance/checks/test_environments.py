"""The check `environments` is silent about our house and sees each seeded defect."""

from typing import Any

import pytest
from topmast.checks.environments import CHECK


def test_is_silent_about_our_house(house: Any) -> None:
    assert house.said(CHECK) == []


@pytest.mark.parametrize(
    ("file", "old", "new", "message"),
    [
        pytest.param(
            "monitoring/prometheus/recording/http.yml",
            "sum by (environment) (rate(app_http_requests_total[5m]))",
            "sum(rate(app_http_requests_total[5m]))",
            "sum drops environment",
            id="an aggregation drops it",
        ),
        pytest.param(
            "monitoring/prometheus/alerts/cache.yml",
            "and on (environment, namespace) namespace:cache_lookups",
            "and on (namespace) namespace:cache_lookups",
            "on leaves environment out",
            id="a match leaves it out",
        ),
    ],
)
def test_sees(house: Any, file: str, old: str, new: str, message: str) -> None:
    house.change(file, old, new)

    assert [said for said in house.said(CHECK) if message in said]
