"""The check `datasources` is silent about our house and sees each seeded defect."""

from typing import Any

import pytest
from topmast.checks.datasources import CHECK

FILE = "monitoring/grafana/provisioning/datasources/datasources.yml"


def test_is_silent_about_our_house(house: Any) -> None:
    assert house.said(CHECK) == []


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        pytest.param("uid: logs", "uid: prometheus", "uid prometheus stands 2 times", id="a uid twice"),
        pytest.param(
            "uid: prometheus", "uid: Prometheus", "no datasource has the uid prometheus, for", id="asked for"
        ),
        pytest.param("name: Logs", "name: Prometheus", "name Prometheus stands 2 times", id="a name twice"),
        pytest.param(
            "uid: logs", "uid: logs\n    isDefault: true", "only one datasource is the default", id="defaults"
        ),
        pytest.param(
            "alertmanagerUid: alertmanager", "alertmanagerUid: am", "no datasource has the uid am", id="a uid"
        ),
        pytest.param("    basicAuthUser: grafana_reader\n", "", "basicAuth without basicAuthUser", id="nobody"),
    ],
)
def test_sees(house: Any, old: str, new: str, message: str) -> None:
    house.change(FILE, old, new)

    assert [said for said in house.said(CHECK) if message in said]
