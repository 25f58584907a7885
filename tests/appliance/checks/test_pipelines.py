"""The check `pipelines` is silent about our house and sees each seeded defect."""

from typing import Any

import pytest
from topmast.checks.pipelines import CHECK

FILE = "monitoring/logstash/pipelines.yml"


def test_is_silent_about_our_house(house: Any) -> None:
    assert house.said(CHECK) == []


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        pytest.param(
            "/nginx.conf", "/ngnix.conf", "pipelines.yml: nginx: pipeline/ngnix.conf does not exist", id="no file"
        ),
        pytest.param("/nginx.conf", "/ngnix.conf", "nginx.conf: no pipeline reads nginx.conf", id="a file unread"),
        pytest.param("id: raw", "id: nginx", "pipelines.yml: pipeline nginx stands twice", id="an id twice"),
    ],
)
def test_sees(house: Any, old: str, new: str, message: str) -> None:
    house.change(FILE, old, new)

    assert [said for said in house.said(CHECK) if said.startswith(message)]
