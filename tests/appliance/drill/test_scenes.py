"""Scenes are the fire cases as samples; those that share a world do not see each other."""

from pathlib import Path

import pytest
from topmast import rulefile
from topmast.drill import scenes
from topmast.drill.scenes import Series
from topmast.errors import PrerequisiteError

ROOT = Path(__file__).resolve().parents[3]
RULES = rulefile.load(ROOT / "monitoring" / "prometheus")
RECORDS = {rule.name: rule for rule in RULES if rule.kind == "record"}
CATALOGUE = [rule for rule in RULES if rule.kind == "alert" and rule.file.parent.name == "alerts"]


@pytest.fixture(scope="module")
def every() -> list[scenes.Scene]:
    return scenes.read(ROOT / "tests" / "monitoring" / "alerts", CATALOGUE)


def test_every_alert_is_in_one_company_and_no_alert_sees_a_neighbour(every: list[scenes.Scene]) -> None:
    companies = scenes.alone(every, RECORDS)

    played = [scene.alert for company in companies for scene in company]
    pairs = [[scene.rule.labels["pair"] for scene in company] for company in companies]
    assert sorted(played) == sorted(rule.name for rule in CATALOGUE)
    assert all(len(set(each)) == len(each) for each in pairs)
    # More companies are more engines: a new alert that needs one of its own is worth a look.
    assert len(companies) <= 5


def test_all_at_once_every_series_belongs_to_one_alert(every: list[scenes.Scene]) -> None:
    side_by_side = scenes.together(every, RECORDS)

    texts = [series.text() for scene in side_by_side for series in scene.sick]
    assert len(texts) == len(set(texts))
    assert {scene.alert for scene in side_by_side} | set(scenes.WITHIN) == {rule.name for rule in CATALOGUE}


@pytest.mark.parametrize(
    ("text", "at", "value"),
    [
        pytest.param('up{job="a"} 0x*', 30, 0.0, id="a state"),
        pytest.param('up{job="a"} 0x*', 9000, 0.0, id="a state after its case"),
        pytest.param("x_total 0+6x*", 90, 9.0, id="a counter between two samples"),
        pytest.param("x_total 0+6x*", 6000, 600.0, id="a counter after its case"),
        pytest.param("x 3x5 4x*", 360, 4.0, id="a step"),
        pytest.param("x_total 0+1x5 +2x*", 420, 9.0, id="a counter that grows faster"),
        pytest.param("x _x2 5x*", 60, None, id="nothing yet"),
    ],
)
def test_a_series_goes_on_as_it_went(text: str, at: float, value: float | None) -> None:
    assert scenes.parse(text, 10, 60.0, "here").at(at) == value


def test_history_lies_before_now_and_is_closer_towards_it() -> None:
    counter = scenes.parse('x_total{a="b"} 0+60x*', 12, 60.0, "here")
    rule = CATALOGUE[0]
    scene = scenes.Scene(rule=rule, sick=[counter], well=[], now=120.0, ended=0.0, labels={}, text="")

    lines = scenes.history([scene], now=1000.0).splitlines()

    assert lines[0] == 'x_total{a="b"} 0.0 880.000'
    assert lines[-2:] == ['x_total{a="b"} 117.0 997.000', "# EOF"]


def test_a_counter_that_has_ended_begins_again() -> None:
    counter = scenes.parse("x_total 0+60x*", 12, 60.0, "here")
    gauge = Series("x", {}, 60.0, (7.0, 7.0))
    rule = CATALOGUE[0]
    scene = scenes.Scene(rule=rule, sick=[], well=[counter, gauge], now=0.0, ended=120.0, labels={}, text="")

    assert scenes.exposition([scene], 60.0, well=True) == "x_total{} 60.0\nx{} 7.0\n"


def test_without_cases_there_is_no_drill(tmp_path: Path) -> None:
    with pytest.raises(PrerequisiteError, match="run it in a clone"):
        scenes.read(tmp_path, CATALOGUE[:1])
