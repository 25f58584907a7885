"""`topmast demo` breaks things in a running demo, and says clearly when there is none."""

import json
import os
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from topmast import demo, lock
from topmast.cli import Call
from topmast.commands.demo import COMMAND
from topmast.errors import NotRunningError
from topmast.layout import Layout


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    return Layout(tmp_path, tmp_path / "state")


def run(layout: Layout, *words: str) -> Result:
    call = Call(home=layout.home, state=layout.state, config=None)
    return CliRunner().invoke(COMMAND, list(words), obj=call)


class Running:
    """A state folder that looks as a running appliance leaves it."""

    def __init__(self, layout: Layout, **facts: Any) -> None:
        self.held = lock.acquire(layout, print)
        component = {"name": "demo-app", "state": "ready", "address": "127.0.0.1:18000"}
        told = {"pid": os.getpid(), "components": [component], "demo": True, "real_clocks": False, **facts}
        (layout.run / "status.json").write_text(json.dumps(told))

    def __enter__(self) -> None:
        return None

    def __exit__(self, *_: object) -> None:
        os.close(self.held)


def test_injecting_says_what_breaks_and_what_to_expect(layout: Layout) -> None:
    with Running(layout):
        done = run(layout, "inject", "errors", "--for", "2m")

    assert done.exit_code == 0
    assert "one API request in five answers 500, for 2 min" in done.output
    assert "Expect ApiErrorRateHigh in about 43 s" in done.output
    assert demo.active(layout)["errors"] == pytest.approx(120, abs=10)


def test_with_real_clocks_the_alert_takes_as_long_as_in_production(layout: Layout) -> None:
    with Running(layout, real_clocks=True):
        told = json.loads(run(layout, "inject", "errors", "--json").output)

    assert told["fires_in_seconds"] == 340
    assert told["seconds"] == 1200
    assert told["alerts"] == ["ApiErrorRateHigh", "ApiErrorBudgetBurn"]


def test_a_fault_that_is_too_short_is_said_to_be(layout: Layout) -> None:
    with Running(layout):
        done = run(layout, "inject", "latency", "--for", "10s")

    assert "too short for the alert to fire" in done.output


def test_status_and_clear(layout: Layout) -> None:
    with Running(layout):
        run(layout, "inject", "cpu")
        told = json.loads(run(layout, "status", "--json").output)
        cleared = json.loads(run(layout, "clear", "--json").output)
        after = run(layout, "status").output

    assert [one["fault"] for one in told["faults"]] == ["cpu"]
    assert [one["name"] for one in told["components"]] == ["demo-app"]
    assert cleared == {"cleared": ["cpu"]}
    assert after.startswith("nothing is broken")


@pytest.mark.parametrize("words", [("inject", "errors"), ("status",), ("clear",)])
def test_without_a_running_demo_the_remedy_is_said(layout: Layout, words: tuple[str, ...]) -> None:
    done = run(layout, *words)

    assert isinstance(done.exception, NotRunningError)
    assert "`topmast up --demo` starts it" in str(done.exception)


def test_topmast_without_its_demo_cannot_be_broken(layout: Layout) -> None:
    with Running(layout, demo=False):
        done = run(layout, "inject", "errors")

    assert isinstance(done.exception, NotRunningError)
    assert "runs without its demo" in str(done.exception)
    assert demo.active(layout) == {}


@pytest.mark.parametrize("value", ["", "soon", "2", "0s", "-1m"])
def test_what_is_no_duration_is_refused(layout: Layout, value: str) -> None:
    done = run(layout, "inject", "errors", "--for", value)

    assert done.exit_code == 2
    assert "no duration; say 90s, 2m or 1h" in done.output
