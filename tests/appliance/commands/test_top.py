"""The screen: services, numbers with their course, what fires; one key leaves it."""

import os
import pty
from collections.abc import Iterator
from datetime import UTC, datetime

import click
import pytest
from topmast.commands.top import lines, one_key_at_a_time, watch
from topmast.keynumbers import Alert, Number, Reading

NOW = datetime(2026, 5, 1, 12, 10, tzinfo=UTC)
READING = Reading(
    {"app": True, "redis": False},
    (Number("error ratio", "percentunit", "red", 0.05, (0.0, None, 0.05)),),
    (Alert("RedisDown", "critical", "a \x1b[2Jserver is gone", "2026-05-01T12:00:00Z"),),
)


def text(found: Reading, width: int = 80) -> list[str]:
    return [click.unstyle(line) for line in lines(found, width, NOW)]


def test_everything_stands_on_its_line() -> None:
    assert text(READING) == [
        "redis down, 1 up",
        "",
        "error ratio                    5.0 %  ▁ █",
        "",
        "critical  RedisDown  a  [2Jserver is gone  10 min",
    ]


def test_what_is_calm_says_so() -> None:
    calm = Reading({"app": True}, (), ())

    assert text(calm) == ["all 1 up: app", "", "", "nothing fires"]


def test_no_line_is_wider_than_the_terminal() -> None:
    assert max(len(line) for line in text(READING, 40)) <= 40


def test_a_prometheus_that_is_gone_is_one_line() -> None:
    assert text(Reading({}, (), (), "Prometheus does not answer")) == ["Prometheus does not answer"]


@pytest.fixture
def terminal() -> Iterator[tuple[int, int]]:
    """A keyboard and the terminal that it is plugged into."""
    keyboard, plugged = pty.openpty()
    yield keyboard, plugged
    os.close(keyboard)
    os.close(plugged)


def test_q_leaves_and_r_reads_at_once(terminal: tuple[int, int], capsys: pytest.CaptureFixture[str]) -> None:
    keyboard, plugged = terminal
    readings = []

    def reading() -> Reading:
        readings.append(READING)
        return READING

    with one_key_at_a_time(plugged):
        os.write(keyboard, b"rxq")
        watch(reading, plugged, 60, 300)

    assert len(readings) == 2
    told = capsys.readouterr().out
    assert "redis down, 1 up" in told
    assert told.startswith("\x1b[?1049h")
    assert told.endswith("\x1b[?1049l")


def test_nothing_running_is_exit_code_3_with_the_remedy(topmast) -> None:
    answer = topmast("top", "--once")

    assert (answer.code, answer.out) == (3, "")
    assert "`topmast up` starts it" in answer.err
