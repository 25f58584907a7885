"""Expressions are edited in place: only what is meant changes, white space stays."""

import pytest
from topmast import promql


@pytest.mark.parametrize(
    ("text", "length"),
    [
        pytest.param("15s", 15_000, id="seconds"),
        pytest.param("1h30m", 5_400_000, id="two units"),
        pytest.param("1d", 86_400_000, id="a day"),
        pytest.param("250ms", 250, id="milliseconds"),
    ],
)
def test_durations(text: str, length: int) -> None:
    assert (promql.milliseconds(text), promql.duration(length)) == (length, text)


@pytest.mark.parametrize("text", ["", "5", "m5", "5 m", "1.5h", "-1m"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not a duration"):
        promql.milliseconds(text)


@pytest.mark.parametrize(
    ("text", "speed", "shorter"),
    [
        pytest.param("5m", 10, "30s", id="minutes"),
        pytest.param("15s", 10, "1s500ms", id="a fraction of a second"),
        pytest.param("0s", 10, "0s", id="nothing"),
        pytest.param("3ms", 10, "1ms", id="never nothing"),
    ],
)
def test_shortened(text: str, speed: int, shorter: str) -> None:
    assert promql.shortened(text, speed) == shorter


def test_only_numbers_and_durations_are_edited() -> None:
    expression = 'x:rate5m{a="5m", b=~`9`}[5m] offset 1h > 0.5 * 1e3  # 5m\n  and y5 == .25'

    edited = promql.edited(expression, number=lambda _: "N", span=lambda _: "D")

    assert edited == 'x:rate5m{a="5m", b=~`9`}[D] offset D > N * N  # 5m\n  and y5 == N'


def test_numbers_are_listed_as_they_are_written() -> None:
    assert promql.numbers('rate(x_1[5m]) > 14.4 * 0.001 and on () y{a="7"} > 100') == ["14.4", "0.001", "100"]
