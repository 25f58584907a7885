"""Values as people write them, and nothing that could steer a terminal."""

import pytest
from topmast.terminal import plain, spark, value_text


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (None, "s", "–"),
        (float("nan"), "s", "–"),
        (0.00042, "s", "420 µs"),
        (0.154, "s", "154 ms"),
        (1.5, "s", "1.5 s"),
        (600, "s", "10 min"),
        (93_600, "s", "26 h"),
        (864_000, "s", "10 days"),
        (0.6241, "percentunit", "62.4 %"),
        (0.0008, "percentunit", "0.08 %"),
        (0.9991, "percentunit", "99.91 %"),
        (1, "percentunit", "100 %"),
        (0, "percentunit", "0 %"),
        (36.66, "currencyUSD", "$36.66"),
        (0.0042, "currencyUSD", "$0.0042"),
        (14.62, "reqps", "14.6 req/s"),
        (12_345, "short", "12.3k"),
        (4_500_000, "none", "4.5M"),
        (812, "short", "812"),
        (0.042, "short", "0.042"),
    ],
)
def test_values(value: float | None, unit: str, text: str) -> None:
    assert value_text(value, unit) == text


@pytest.mark.parametrize(
    ("values", "width", "text"),
    [
        pytest.param([0.0, 1.0, 2.0, 7.0], 10, "▁▂▃█", id="rising"),
        pytest.param([1.0, None, 2.0], 10, "▁ █", id="a gap"),
        pytest.param([5.0, 5.0], 10, "▁▁", id="flat"),
        pytest.param([0.0, 0.0, 9.0], 2, "▁█", id="only the last"),
        pytest.param([None], 10, "", id="nothing"),
        pytest.param([1.0], 0, "", id="no room"),
    ],
)
def test_a_course(values: list[float | None], width: int, text: str) -> None:
    assert spark(values, width) == text


def test_text_is_cut_and_cannot_steer_the_terminal() -> None:
    assert plain("a\x1b[31mb\nc", 40) == "a [31mb c"
    assert plain("abcdef", 4) == "abc…"
