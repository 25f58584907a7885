"""The check `guards` is silent about our house and sees each seeded defect."""

from typing import Any

import pytest
from topmast.checks.guards import CHECK


def test_is_silent_about_our_house(house: Any) -> None:
    assert house.said(CHECK) == []


@pytest.mark.parametrize(
    ("file", "old", "new", "message"),
    [
        pytest.param(
            "monitoring/prometheus/recording/http.yml",
            "(sum by (environment) (rate(app_http_requests_total[1h])) > 0)",
            "(sum by (environment) (rate(app_http_requests_total[1h])))",
            "put `> 0`",
            id="a ratio without traffic",
        ),
        pytest.param(
            "monitoring/prometheus/recording/http.yml",
            "\n            or 0 * app:http_requests:rate5m",
            "",
            "add `or 0 * …`",
            id="nothing to count yet",
        ),
        pytest.param(
            "monitoring/prometheus/recording/cache.yml",
            "\n            or 0 * namespace:cache_lookups:rate15m",
            "",
            "add `or 0 * …`",
            id="nothing to count yet, by a recording rule",
        ),
        pytest.param(
            "monitoring/prometheus/alerts/cpu.yml",
            "        for: 3m\n",
            "",
            "absent() without a `for`",
            id="a restart is an absence",
        ),
    ],
)
def test_sees(house: Any, file: str, old: str, new: str, message: str) -> None:
    house.change(file, old, new)

    assert [said for said in house.said(CHECK) if message in said]
