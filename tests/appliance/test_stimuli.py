"""Every panel of the overview has a stimulus, and a panel has moved only when its own values did."""

import json
from collections import Counter

import pytest
from topmast import stimuli
from topmast.demo import FAULTS
from topmast.layout import find_home
from topmast.stimuli import Moved, Values, any_rises, falls, grows, rises

OVERVIEW = find_home() / "monitoring" / "grafana" / "dashboards" / "application-overview.json"


def test_every_panel_of_the_overview_is_moved_once() -> None:
    panels = [each["title"] for each in json.loads(OVERVIEW.read_text())["panels"] if each["type"] != "row"]

    assert Counter(title for one in stimuli.rounds() for each in one for title in each.moves) == Counter(panels)


def test_faults_that_are_injected_are_the_demos() -> None:
    injected = [each.does.removeprefix("inject ") for one in stimuli.rounds() for each in one]

    assert {name for name in injected if name in FAULTS} == set(FAULTS) - {"llm-outage", "rate-limit"}


@pytest.mark.parametrize(
    ("moved", "before", "now", "expected"),
    [
        pytest.param(rises("api", by=0.1), {"api P95": 0.1}, {"api P95": 0.3}, True, id="risen"),
        pytest.param(
            rises("api", by=0.1), {"api P95": 0.1}, {"llm P95": 3.0, "api P95": 0.1}, False, id="another rose"
        ),
        pytest.param(rises("api", by=0.1, to=0.5), {"api": 0.1}, {"api": 0.3}, False, id="not high enough"),
        pytest.param(rises(by=0.1), {}, {"api": 0.3}, True, id="a new series"),
        pytest.param(rises(by=0.1), {"api": None}, {"api": None}, False, id="no value"),
        pytest.param(falls("a", by=0.1), {"a": 0.9, "b": 0.9}, {"a": 0.7, "b": 0.9}, True, id="fallen"),
        pytest.param(falls("a", by=0.1), {"a": 0.9, "b": 0.9}, {"a": 0.9, "b": 0.1}, False, id="another fell"),
        pytest.param(falls("a", by=0.1), {"a": 0.9}, {}, False, id="gone is not fallen"),
        pytest.param(any_rises(0.5), {"a": 0.0, "b": 1.0}, {"a": 1.0, "b": 0.0}, True, id="one for the other"),
        pytest.param(any_rises(0.5), {"a": 1.0}, {"a": 1.0, "b": 2.0}, False, id="new is not risen"),
        pytest.param(grows(1), {"a": 1.0}, {"a": 1.0, "b": 2.0}, True, id="one more series"),
        pytest.param(grows(1), {"a": 1.0, "b": 2.0}, {"a": 2.0, "b": 1.0}, False, id="only shifted"),
    ],
)
def test_moved(moved: Moved, before: Values, now: Values, expected: bool) -> None:
    assert moved(before, now) is expected
