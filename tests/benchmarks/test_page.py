"""The page's benchmark takes every number of its table; the numbers themselves are taken by running it."""

from pathlib import Path

import pytest
from topmast import benchmark
from topmast.layout import find_home


@pytest.fixture(scope="module")
def source() -> str:
    return (find_home() / "benchmarks" / "page.py").read_text()


def test_each_goal_is_measured_once(source: str) -> None:
    chosen = benchmark.load(find_home(), "page")

    assert chosen.name == "page"
    for name in ("first_paint", "transfer", "memory_growth", "requests_hidden", "axe_serious"):
        assert source.count(f'"page.{name}"') == 2, "its goal, and its value"


def test_every_dashboard_that_there_is_is_looked_at_by_axe(source: str) -> None:
    folder: Path = find_home() / "monitoring" / "grafana" / "dashboards"
    others = {path.stem for path in folder.glob("*.json")} - {"application-overview"}

    assert {name for name in others if f'"/d/{name}"' not in source} == set()
