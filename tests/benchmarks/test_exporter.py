"""The exporter benchmark: its rows are what was asked for, and what a kill loses is seen; no time is asserted."""

import importlib.util
import random
from pathlib import Path
from types import ModuleType

import pytest
from topmast.benchmark import Run

HOME = Path(__file__).resolve().parents[2]

RUN = Run(HOME, False, 7, lambda _text: None)

ADDED = {"ours": 4.0, "prometheus-fastapi-instrumentator": 28.0, "starlette_exporter": 30.0}
ANSWERS = {
    "asgi.py": {
        "bare": 10.0,
        "added": {"ours": 4.0, "prometheus-fastapi-instrumentator": 28.0, "starlette_exporter": 30.0},
    },
    "render.py": {"render": 0.01, "stall": 0.002, "worst_stall": 0.003},
    "cache.py": {"bare": 20.0, "added": 4.0},
    "attack.py": {"memory": 1.5, "series": 4_000, "lines": 4_100},
    "imports.py": {"asyncio": 0.05, "added": 0.02},
}


@pytest.fixture(scope="module")
def exporter() -> ModuleType:
    spec = importlib.util.spec_from_file_location("exporter_benchmark", HOME / "benchmarks" / "exporter.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_row_has_its_name_and_its_goal(exporter: ModuleType) -> None:
    def script(name: str, *_arguments: object) -> object:
        return ANSWERS[name]

    size = exporter.DEFAULT
    taken = [
        *exporter._asgi(RUN, script, size),
        *exporter._render(RUN, script, size),
        exporter._cache(RUN, script, size),
        *exporter._attack(RUN, script),
        exporter._import(RUN, script, size),
    ]

    assert [(one.name, one.goal, one.holds) for one in taken] == [
        ("exporter.asgi.starlette", "ratio >= 5", True),
        ("exporter.asgi.starlette.vs_starlette_exporter", "ratio >= 6", True),
        ("exporter.asgi.fastapi", "ratio >= 5", True),
        ("exporter.asgi.fastapi.vs_starlette_exporter", "ratio >= 6", True),
        ("exporter.asgi.routes300", "ratio >= 40", False),
        ("exporter.asgi.routes300.vs_one_route", "<= 2", True),
        ("exporter.render.50k", "ratio >= 20", False),
        ("exporter.render.stall", "<= 10", True),
        ("exporter.cache.wrapped_get", "<= 5", True),
        ("exporter.attack.memory", "<= 2", True),
        ("exporter.attack.series", "<= 20000", True),
        ("exporter.import", "<= 50", True),
    ]


def test_a_difference_below_nothing_is_no_ratio(exporter: ModuleType) -> None:
    added = {**ADDED, "ours": -0.1}
    one = exporter._against("x", added, "starlette_exporter", "ratio >= 5", "few rounds")

    assert (one.ratio, one.holds) == (None, None)
    assert one.note == "few rounds; ours is below what can be told from nothing"


def test_workers_are_killed_and_compared(exporter: ModuleType, tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    crew = exporter.Crew(tmp_path, HOME)
    try:
        taken = crew.measure(2, random.Random(7), 7)
    finally:
        crew.stop()

    assert (taken.name, taken.value, taken.goal) == ("exporter.workers.lost", 0, "== 0")
    assert "2 kill -9" in taken.note


def test_loss_and_doubling_are_seen(exporter: ModuleType, tmp_path: Path) -> None:
    crew = exporter.Crew(tmp_path, HOME)
    crew._workers = {"w0": None, "w1": None}
    (tmp_path / "w0").write_text("counting 10\nkept 10\n")
    (tmp_path / "w1").write_text("counting 10\n")

    assert crew._compare({"w0"}) == (20.0, 0.0, 10.0)  # nobody answers: all of it is lost, in both samples
