"""Episodes are what Prometheus' rules make of an expression: `for`, `keep_firing_for`, and the end."""

import pytest
from topmast.backtest.states import Episode, episodes

A = (("instance", "a"),)
MOMENTS = [float(each) for each in range(0, 200, 10)]


@pytest.mark.parametrize(
    ("times", "wait", "keep", "expected"),
    [
        pytest.param([], 0, 0, [], id="never"),
        pytest.param([20, 30], 0, 0, [Episode(A, 20, 20, 40)], id="at once"),
        pytest.param([20, 30], 20, 0, [Episode(A, 20, None, 40)], id="not for long enough"),
        pytest.param([20, 30, 40], 20, 0, [Episode(A, 20, 40, 50)], id="just for long enough"),
        pytest.param([20, 40], 0, 0, [Episode(A, 20, 20, 30), Episode(A, 40, 40, 50)], id="with a gap"),
        pytest.param([20, 40], 0, 30, [Episode(A, 20, 20, 80)], id="a gap that is bridged"),
        pytest.param(
            [20, 40], 20, 30, [Episode(A, 20, None, 30), Episode(A, 40, None, 50)], id="pending is not kept"
        ),
        pytest.param([180, 190], 0, 0, [Episode(A, 180, 180, None)], id="going on"),
        pytest.param([180], 0, 60, [Episode(A, 180, 180, None)], id="kept beyond the end"),
    ],
)
def test_one_series(times: list[float], wait: float, keep: float, expected: list[Episode]) -> None:
    assert episodes({A: times}, MOMENTS, wait, keep) == expected


def test_series_do_not_wait_for_each_other() -> None:
    b = (("instance", "b"),)

    found = episodes({A: [20, 30], b: [30, 40]}, MOMENTS, 10)

    assert [(each.labels, each.fired) for each in found] == [(A, 30), (b, 40)]
