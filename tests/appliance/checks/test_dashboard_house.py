"""`dashboard_house` is silent about our dashboards and sees each seeded defect, by the rule that is meant."""

from typing import Any

import pytest
from topmast import check
from topmast.check import Tree
from topmast.checks.dashboard_house import CHECK
from topmast.dashboarddefects import DEFECTS, Defect, seen
from topmast.layout import find_home


@pytest.fixture(scope="module")
def tree() -> Tree:
    return check.read([], find_home())


def test_is_silent_about_our_dashboards(tree: Tree) -> None:
    assert list(CHECK.run(tree)) == []


@pytest.mark.parametrize("defect", [pytest.param(each, id=each.name) for each in DEFECTS if each.check == CHECK.name])
def test_sees(tree: Tree, defect: Defect) -> None:
    assert seen(tree, defect)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        pytest.param('"noValue": "no host is watched"', '"noValue": ""', "no noValue", id="no word for nothing"),
        pytest.param('"min",\n            "max"', '"min"', "the last and the greatest", id="a legend of means"),
        pytest.param('"fixedColor": "purple"', '"fixedColor": "#8F3BB8"', "'#8F3BB8' is not one", id="a hex colour"),
        pytest.param("take of them.", "take of them. Look.", "one sentence", id="two sentences"),
        pytest.param('"refresh": "10s"', '"refresh": "1m"', "differs from its module", id="edited by hand"),
        pytest.param(
            "/runbooks/CacheErrorsHigh", "/runbooks/RedisDown", "CacheErrorsHigh: no panel", id="not linked"
        ),
    ],
)
def test_sees_what_leaves_our_way(house: Any, old: str, new: str, message: str) -> None:
    house.change("monitoring/grafana/dashboards/application-overview.json", old, new)

    assert [said for said in house.said(CHECK) if message in said]


def test_sees_a_file_that_is_missing(house: Any) -> None:
    (house.home / "monitoring/grafana/dashboards/agents.json").unlink()

    assert any(said.startswith("agents.json: is missing") for said in house.said(CHECK))
