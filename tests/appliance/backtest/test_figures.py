"""Figures of episodes: how often, how long, at night, flapping."""

from datetime import UTC
from zoneinfo import ZoneInfo

import pytest
from topmast.backtest import figures
from topmast.backtest.states import Episode

A, B = (("instance", "a"),), (("instance", "b"),)
HOUR = 3600.0
WEEK = 7 * 86_400.0


def test_what_a_week_comes_to() -> None:
    listed = [
        Episode(A, 0, 60, 360),
        Episode(A, 600, 660, 4000),
        Episode(B, 1000, 1060, 2000),
        Episode(B, 12 * HOUR, None, 12 * HOUR + 30),
        Episode(B, WEEK - 3 * HOUR, WEEK - 3 * HOUR, None),
    ]

    found = figures.figures(listed, 0, WEEK, UTC)

    assert found == figures.Figures(
        firings=4,
        per_week=4.0,
        at_night=3,
        flaps=1,
        short=1,
        pending=1,
        seconds=300 + 3340 + 3 * HOUR,
        median_seconds=(940 + 3340) / 2,
        longest_seconds=3 * HOUR,
        series=2,
        ongoing=1,
    )


@pytest.mark.parametrize(
    ("seconds", "zone", "night"),
    [
        pytest.param(0, "UTC", True, id="midnight"),
        pytest.param(7 * HOUR, "UTC", False, id="seven"),
        pytest.param(22 * HOUR, "UTC", True, id="ten in the evening"),
        pytest.param(21 * HOUR, "Europe/Berlin", True, id="ten in Berlin"),
    ],
)
def test_a_night_is_that_of_the_zone(seconds: float, zone: str, night: bool) -> None:
    assert figures.at_night(seconds, ZoneInfo(zone)) is night


def test_noise_is_what_was_over_soon_and_came_again() -> None:
    lasting = figures.figures([Episode(A, 0, 0, 5000)], 0, WEEK, UTC)
    flapping = figures.figures([Episode(A, at, at, at + 60) for at in (0, 120, 240)], 0, WEEK, UTC)

    assert (figures.noise(lasting), figures.noise(flapping)) == (0.0, 18.0)


def test_what_another_rule_would_not_have_told() -> None:
    before = [Episode(A, 0, 60, 360), Episode(A, 600, 660, 900), Episode(B, 2000, 2060, None)]
    after = [Episode(B, 300, 350, 400), Episode(A, 700, None, 800)]

    assert figures.lost(before, after) == [660, 2060]
    assert figures.lost(after, before) == []
