"""`dashboard_layout` is silent about our dashboards and sees each seeded defect, by the rule that is meant."""

import pytest
from topmast import check
from topmast.check import Tree
from topmast.checks.dashboard_layout import CHECK
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
