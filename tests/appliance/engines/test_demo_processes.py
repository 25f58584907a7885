"""The demo's Python processes are told where everything is, and start in order."""

from pathlib import Path

import pytest
from topmast.component import Component
from topmast.engine import Setup
from topmast.engines import demo_app, demo_load, demo_model
from topmast.errors import PrerequisiteError
from topmast.layout import Layout

HOME = Path(__file__).parents[3]


def setup(home: Path, state: Path) -> Setup:
    return Setup(Layout(home, state, 200), settings={}, demo=True, real_clocks=False, say=print)


def test_the_app_starts_after_what_it_needs(tmp_path: Path) -> None:
    app = demo_app.ENGINE.component(setup(HOME, tmp_path))

    assert set(app.needs) == {"demo-redis", "demo-postgres", "demo-model"}
    assert app.ready == "http://127.0.0.1:18200/health"
    assert app.env["SHOP_MODEL_URL"] == "http://127.0.0.1:18210/v1"
    assert app.env["TOPMAST_INGEST_URL"] == "http://127.0.0.1:4518"


def test_the_load_starts_after_the_app_and_is_ready_when_it_was_answered(tmp_path: Path) -> None:
    stale = tmp_path / "demo" / "load.ready"
    stale.parent.mkdir()
    stale.touch()

    load = demo_load.ENGINE.component(setup(HOME, tmp_path))

    assert load.needs == ("demo-app",)
    assert load.ready == f"file://{stale}"
    assert not stale.exists()


def test_all_of_them_see_the_same_faults(tmp_path: Path) -> None:
    made: list[Component] = [
        each.ENGINE.component(setup(HOME, tmp_path)) for each in (demo_app, demo_load, demo_model)
    ]

    assert {component.env["DEMO_FAULTS"] for component in made} == {str(tmp_path / "demo" / "faults.json")}
    assert {component.env["PYTHONPATH"] for component in made} == {str(HOME / "examples")}


def test_without_the_examples_the_demo_says_so(tmp_path: Path) -> None:
    with pytest.raises(PrerequisiteError, match="examples/reference_app"):
        demo_app.ENGINE.component(setup(tmp_path, tmp_path / "state"))
