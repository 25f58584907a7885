"""The measure's shape: goals as text, a verdict worked out, never a made-up value."""

import json

import pytest
from topmast.measure import Measure, measure, to_json, to_table


@pytest.mark.parametrize(
    ("value", "ratio", "goal", "holds"),
    [
        pytest.param(20, None, "<= 20", True, id="at the goal"),
        pytest.param(20.1, None, "<= 20", False, id="above it"),
        pytest.param(0, None, "== 0", True, id="zero"),
        pytest.param(3, 4.9, "ratio >= 5", False, id="a ratio goal looks at the ratio"),
        pytest.param(3, 5.1, "ratio >= 5", True, id="ratio reached"),
    ],
)
def test_holds_is_worked_out_from_the_goal(value: float, ratio: float | None, goal: str, holds: bool) -> None:
    assert measure("x", value, "s", goal, ratio=ratio).holds is holds


def test_what_could_not_be_taken_says_why() -> None:
    assert measure("x", None, "s", "<= 1", note="no browser").holds is None
    with pytest.raises(ValueError, match="no note says why"):
        measure("x", None, "s", "<= 1")


def test_a_goal_that_is_no_comparison_is_refused() -> None:
    with pytest.raises(ValueError, match="not a goal: 'fast'"):
        measure("x", 1, "s", "fast")


def test_json_has_every_field_and_the_table_the_verdict() -> None:
    one = measure("delivery.lost", 0, "events", "== 0", peer="rsyslog 8", peer_value=12.4, note="seed 7")

    assert json.loads(to_json([one])) == {
        "measures": [
            {
                "name": "delivery.lost",
                "value": 0,
                "unit": "events",
                "goal": "== 0",
                "holds": True,
                "peer": "rsyslog 8",
                "peer_value": 12.4,
                "ratio": None,
                "note": "seed 7",
            }
        ]
    }
    assert to_table([Measure("x", 2, "s", "<= 1", False)]).splitlines()[1].split() == [
        "FAILS",
        "x",
        "2",
        "s",
        "<=",
        "1",
    ]
