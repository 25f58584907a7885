"""What a picture is wanted of, and what is said when there is none to be had."""

import json
from pathlib import Path

import pytest
from topmast.commands.snapshot import find
from topmast.errors import TopmastError

OVERVIEW = {
    "title": "Application overview",
    "uid": "application-overview",
    "panels": [
        {"id": 10, "type": "row", "title": "API", "panels": [{"id": 3, "type": "stat", "title": "Folded"}]},
        {"id": 5, "type": "timeseries", "title": "Error ratio"},
    ],
}
OTHER = {"title": "Agents", "uid": "a1", "panels": [{"id": 5, "type": "stat", "title": "Error ratio"}]}


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, ...]:
    (tmp_path / "application-overview.json").write_text(json.dumps(OVERVIEW))
    (tmp_path / "agents.json").write_text(json.dumps(OTHER))
    return (tmp_path,)


@pytest.mark.parametrize(
    ("what", "found"),
    [
        pytest.param("agents", ("agents", None), id="a dashboard by its file"),
        pytest.param("Agents", ("agents", None), id="by its title"),
        pytest.param("a1", ("agents", None), id="by its uid"),
        pytest.param("error RATIO", ("application-overview", 5), id="a panel: the overview's first"),
        pytest.param("agents/5", ("agents", 5), id="a panel by its number"),
        pytest.param("Folded", ("application-overview", 3), id="a panel of a folded row"),
    ],
)
def test_dashboards_and_panels_are_found_by_name(
    folders: tuple[Path, ...], what: str, found: tuple[str, int | None]
) -> None:
    assert find(folders, what) == found


def test_what_there_is_not_is_answered_with_what_there_is(folders: tuple[Path, ...]) -> None:
    with pytest.raises(TopmastError, match=r"no dashboard and no panel 'API'; dashboards: agents, application-ov"):
        find(folders, "API")


def test_nothing_running_is_exit_code_3_with_the_remedy(topmast, tmp_path: Path) -> None:
    answer = topmast("snapshot", "-o", str(tmp_path / "x.png"))

    assert (answer.code, answer.out) == (3, "")
    assert "`topmast up` starts it" in answer.err
