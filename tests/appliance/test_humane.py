"""A threshold is said in the unit of its value, and follows when it is changed."""

import pytest
from topmast import humane


@pytest.mark.parametrize(
    ("said", "value", "unit"),
    [
        pytest.param("85%", 0.85, "ratio", id="a share"),
        pytest.param("an error budget of 0.1%", 0.001, "ratio", id="a share in a sentence"),
        pytest.param("250ms", 0.25, "seconds", id="milliseconds"),
        pytest.param("5m", 300.0, "seconds", id="minutes"),
        pytest.param("1h 30m", 5400.0, "seconds", id="hours and minutes"),
        pytest.param("3 times its mean", 3.0, "", id="a factor"),
        pytest.param("14 days", 14.0, "", id="days are words"),
        pytest.param("250k", 250_000.0, "", id="thousands"),
        pytest.param("none", None, "", id="no number"),
    ],
)
def test_what_a_limit_says(said: str, value: float | None, unit: str) -> None:
    found = humane.value_of(said)

    assert (found if found is None else pytest.approx(found)) == value
    assert humane.unit_of(said) == unit


@pytest.mark.parametrize(
    ("said", "value", "now"),
    [
        pytest.param("85%", 0.9, "90%", id="a share"),
        pytest.param("5%", 0.005, "0.5%", id="a small share"),
        pytest.param("250ms", 2, "2s", id="seconds"),
        pytest.param("5m", 5400, "1h 30m", id="an hour and a half"),
        pytest.param("1h 30m", 90, "1m 30s", id="both parts go"),
        pytest.param("3 times its mean", 4.5, "4.5 times its mean", id="words stay"),
        pytest.param("250k", 500_000, "500k", id="thousands"),
        pytest.param("none", 1, "none", id="no number"),
    ],
)
def test_a_limit_follows_its_threshold(said: str, value: float, now: str) -> None:
    assert humane.changed(said, value) == now
    assert humane.unit_of(humane.changed(said, value)) == humane.unit_of(said)
