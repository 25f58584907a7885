"""Another threshold is tried on the values that were asked once."""

from datetime import UTC
from pathlib import Path

import pytest
from topmast import rulefile
from topmast.backtest import figures, variants
from topmast.backtest.history import Grid, Past
from topmast.backtest.states import Episode
from topmast.backtest.variants import Shape
from topmast.errors import TopmastError

ROOT = Path(__file__).resolve().parents[3]
RULES = {rule.name: rule for rule in rulefile.load(ROOT / "monitoring" / "prometheus")}
A = (("instance", "a"),)
GRID = Grid(0.0, 7 * 86_400.0 - 60, 60.0)


def past(*peaks: float) -> Past:
    """A value of 0.1, and one hour a day at a peak."""
    values = dict.fromkeys(GRID.moments(), 0.1)
    for day, peak in enumerate(peaks):
        values |= {day * 86_400.0 + minute * 60: peak for minute in range(60)}
    return Past(GRID, {A: values})


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        pytest.param("HostCpuHigh", Shape(">", 0.85), id="a comparison"),
        pytest.param("HostMemoryLow", Shape("<", 0.15), id="the other way"),
        pytest.param("ApiErrorRateHigh", Shape(">", 0.01), id="with a guard"),
        pytest.param("CacheHitRateLow", Shape("<", 0.5), id="with two guards"),
        pytest.param("RedisDown", None, id="a state"),
        pytest.param("ApiErrorBudgetBurn", None, id="of the service level"),
    ],
)
def test_the_shape_of_a_rule(name: str, shape: Shape | None) -> None:
    assert variants.shape(RULES[name]) == shape


def test_without_a_limit_the_value_is_returned_wherever_guards_hold() -> None:
    rule = RULES["HostMemoryLow"]

    assert variants.unlimited(rule, Shape("<", 0.15)) == "instance:node_memory_available:ratio < 1000000000000000"


def test_a_threshold_fires_where_its_value_is_crossed_for_long_enough() -> None:
    found = variants.at(past(0.9, 0.7), Shape(">", 0.5), 0.8, 600)

    assert found == [Episode(A, 0.0, 600.0, 3600.0)]


@pytest.mark.parametrize(
    ("wanted", "threshold", "firings"),
    [
        pytest.param(3, 0.5, 3, id="as it is"),
        pytest.param(2, 0.6, 2, id="once less"),
        pytest.param(0, 0.9, 0, id="never"),
    ],
)
def test_the_nearest_threshold_that_is_quiet_enough(wanted: float, threshold: float, firings: int) -> None:
    found = variants.suggested(
        past(0.6, 0.7, 0.9),
        Shape(">", 0.5),
        600,
        lambda listed: figures.figures(listed, GRID.start, GRID.start + 7 * 86_400, UTC),
        wanted,
    )

    assert found is not None
    assert (found[0], found[1].firings) == (threshold, firings)


def test_a_state_has_no_threshold() -> None:
    with pytest.raises(TopmastError, match=r"RedisDown: it has no threshold to change .it says state."):
        variants.with_threshold(RULES["RedisDown"], 2)


def test_another_threshold_is_another_expression() -> None:
    found = variants.with_threshold(RULES["HostCpuHigh"], 0.9)

    assert (found.expr, found.annotations["threshold"]) == ("instance:node_cpu_busy:ratio_rate5m > 0.9", "0.9")
