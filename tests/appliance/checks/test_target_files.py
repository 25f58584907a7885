"""The check `target_files` is silent about our house and sees each seeded defect."""

from typing import Any

import pytest
from topmast.checks.target_files import CHECK


def test_is_silent_about_our_house(house: Any) -> None:
    assert house.said(CHECK) == []


@pytest.mark.parametrize(
    ("file", "old", "new", "message"),
    [
        pytest.param(
            "monitoring/prometheus/targets/node.yml",
            '"node-exporter:9100"',
            '"http://node-exporter:9100/metrics"',
            "write HOST:PORT",
            id="a URL",
        ),
        pytest.param(
            "monitoring/prometheus/targets/node.yml",
            '"node-exporter:9100"',
            '"node-exporter"',
            "write HOST:PORT",
            id="no port",
        ),
        pytest.param(
            "monitoring/prometheus/targets/mysql.yml",
            "\n[]",
            '\n- targets: ["kibana:5601"]\n  labels: {__param_target: main}',
            "who is asked?",
            id="nobody is asked",
        ),
    ],
)
def test_sees(house: Any, file: str, old: str, new: str, message: str) -> None:
    house.change(file, old, new)

    assert [said for said in house.said(CHECK) if message in said]
