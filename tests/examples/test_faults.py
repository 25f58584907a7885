"""Faults begin, end by themselves, and are seen by every process that reads the file."""

import time
from collections.abc import Callable
from pathlib import Path

import pytest
from reference_app.faults import Faults


class Clock:
    def __init__(self) -> None:
        self.now = 1_700_000_000.0

    def __call__(self) -> float:
        return self.now


def seen(condition: Callable[[], bool], seconds: float = 5.0) -> bool:
    deadline = time.monotonic() + seconds
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.02)
    return condition()


def test_a_fault_ends_by_itself() -> None:
    clock = Clock()
    faults = Faults(clock=clock)

    faults.start("errors", 60)

    assert faults.active("errors")
    assert faults.all_active() == {"errors": 60.0}
    clock.now += 60
    assert not faults.active("errors")
    assert faults.all_active() == {}


def test_another_process_sees_a_fault_and_its_end(tmp_path: Path) -> None:
    writer, reader = Faults(tmp_path / "demo" / "faults.json"), Faults(tmp_path / "demo" / "faults.json")
    assert not reader.active("latency")

    writer.start("latency", 60)

    assert seen(lambda: reader.active("latency"))
    writer.clear()
    assert seen(lambda: not reader.active("latency"))


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("{", id="not JSON"),
        pytest.param("[]", id="a list"),
        pytest.param('{"errors": 5}', id="no object"),
        pytest.param('{"errors": {"until": "soon"}}', id="no number"),
    ],
)
def test_a_broken_file_breaks_nothing(tmp_path: Path, text: str) -> None:
    path = tmp_path / "faults.json"
    path.write_text(text)

    assert Faults(path).all_active() == {}
