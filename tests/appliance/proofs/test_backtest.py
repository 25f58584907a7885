"""`prove backtest` compares firing by firing; one second of difference is one evaluation, two are none."""

import pytest
from topmast.backtest.history import Grid
from topmast.backtest.states import Episode
from topmast.proofs import backtest

A = (("name", "quick"),)
GRID = Grid(0.0, 100.0, 1.0)


@pytest.mark.parametrize(
    ("replayed", "same"),
    [
        pytest.param([Episode(A, 9, 10, 20)], 1, id="the same"),
        pytest.param([Episode(A, 9, 11, 19)], 1, id="within one evaluation"),
        pytest.param([Episode(A, 9, 12, 20)], 0, id="later than that"),
        pytest.param([Episode((("name", "slow"),), 9, 10, 20)], 0, id="of another series"),
        pytest.param([], 0, id="nothing"),
    ],
)
def test_a_firing_agrees(replayed: list[Episode], same: int) -> None:
    assert backtest.agreeing([Episode(A, 10, 10, 20)], replayed, GRID) == same


def test_what_goes_on_is_over_at_the_end() -> None:
    assert backtest.agreeing([Episode(A, 10, 10, 100)], [Episode(A, 10, 10, None)], GRID) == 1


def test_a_gap_in_the_record_is_an_end() -> None:
    found = backtest._runs({A: [1.0, 2.0, 3.0, 7.0, 8.0]}, 1.0)

    assert found == [Episode(A, 1.0, 1.0, 4.0), Episode(A, 7.0, 7.0, 9.0)]
