"""The servers' benchmark says why it could not be taken; its numbers are taken by running it."""

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest
from topmast.benchmark import Run
from topmast.errors import PrerequisiteError
from topmast.measure import Measure


@pytest.fixture(scope="module")
def servers() -> ModuleType:
    path = Path(__file__).resolve().parents[2] / "benchmarks" / "servers.py"
    spec = importlib.util.spec_from_file_location("servers", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_without_the_packages_every_row_says_why(servers: ModuleType, tmp_path: Path) -> None:
    def refuse(*_: object) -> None:
        raise PrerequisiteError("no apt-get here")

    measures: list[Measure] = list(servers.run(Run(tmp_path, False, 7, lambda _: None), {"redis": (refuse, ())}))

    assert {each.name for each in measures} == set(servers.GOALS)
    assert {(each.holds, each.note) for each in measures} == {(None, "no apt-get here")}


def test_every_row_of_the_table_is_a_measure(servers: ModuleType) -> None:
    assert {
        "servers.redis.answer",
        "servers.redis.cpu_share",
        "servers.postgres.refresh",
        "servers.postgres.answer",
        "servers.frozen",
        "servers.memory",
    } <= set(servers.GOALS)
