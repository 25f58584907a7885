"""The demo's app is told where everything is, and starts after what it needs."""

from pathlib import Path

import pytest
from topmast.engine import Setup
from topmast.engines.demo_app import ENGINE
from topmast.errors import PrerequisiteError
from topmast.layout import Layout

HOME = Path(__file__).parents[3]


def setup(home: Path, state: Path) -> Setup:
    return Setup(Layout(home, state, 200), settings={}, demo=True, real_clocks=False, say=print)


def test_it_starts_after_what_it_needs(tmp_path: Path) -> None:
    app = ENGINE.component(setup(HOME, tmp_path))

    assert set(app.needs) == {"demo-redis", "demo-postgres", "demo-model"}
    assert app.ready == "http://127.0.0.1:18200/health"


def test_it_is_told_where_everything_is(tmp_path: Path) -> None:
    env = ENGINE.component(setup(HOME, tmp_path)).env

    assert env["SHOP_MODEL_URL"] == "http://127.0.0.1:18210/v1"
    assert env["SHOP_REDIS_URL"] == "redis://127.0.0.1:16579/0"
    assert env["TOPMAST_INGEST_URL"] == "http://127.0.0.1:4518"
    assert env["DEMO_FAULTS"] == str(tmp_path / "demo" / "faults.json")
    assert env["PYTHONPATH"] == str(HOME / "examples")


def test_no_password_stands_in_its_environment(tmp_path: Path) -> None:
    env = ENGINE.component(setup(HOME, tmp_path)).env

    assert env["SHOP_DATABASE_PASSWORD_FILE"] == str(tmp_path / "demo" / "postgres.password")
    assert "password" not in env["SHOP_DATABASE"]


def test_without_the_examples_the_demo_says_so(tmp_path: Path) -> None:
    with pytest.raises(PrerequisiteError, match="examples/reference_app"):
        ENGINE.component(setup(tmp_path, tmp_path / "state"))
