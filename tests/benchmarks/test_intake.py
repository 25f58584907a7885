"""The intake benchmark: its rows are what was asked for, and its two lines are told apart; no time is asserted."""

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest
from topmast.benchmark import Run

HOME = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def intake() -> ModuleType:
    spec = importlib.util.spec_from_file_location("intake_benchmark", HOME / "benchmarks" / "intake.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_row_of_formatting_has_its_name_its_goal_and_its_peer(intake: ModuleType) -> None:
    told = {
        "call": {"ours": 12.0, "ecs-logging": 60.0},
        "format": {"ours": 9.0, "ecs-logging": 56.0, "python-json-logger": 10.0},
    }

    taken = list(intake.formatting(told, "note"))

    assert [(one.name, one.goal, one.holds) for one in taken] == [
        ("intake.log_call", "<= 15", True),
        ("intake.log_call.vs_ecs_logging", "ratio >= 4", True),
        ("intake.format", "<= 8", False),
    ]
    assert taken[0].ratio == 5.0


def test_patterns_and_redaction_are_measured(intake: ModuleType) -> None:
    taken = [*intake._grok(1, 10), intake._redact(1, 10)]

    assert [one.name for one in taken] == ["intake.grok.match", "intake.grok.miss", "intake.redact"]
    assert all(one.value > 0 for one in taken)


def test_the_http_input_takes_what_a_drain_sends(intake: ModuleType) -> None:
    taken = intake._http(Run(HOME, False, 7, lambda _text: None), 2)

    assert (taken.name, taken.goal) == ("intake.http", ">= 50000")
    assert taken.note.startswith("2000 events")


def test_the_best_round_counts(intake: ModuleType) -> None:
    found = intake.best({"a": lambda: None, "b": lambda: sum(range(1000))}, 3, 100)

    assert found["a"] < found["b"]
