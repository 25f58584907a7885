"""The start-up benchmark reads the kernel's own accounting; its numbers are taken by running it."""

import importlib.util
import os
from pathlib import Path
from types import ModuleType

import pytest


@pytest.fixture(scope="module")
def startup() -> ModuleType:
    path = Path(__file__).resolve().parents[2] / "benchmarks" / "startup.py"
    spec = importlib.util.spec_from_file_location("startup", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_memory_is_read_for_a_process(startup: ModuleType) -> None:
    assert startup._pss_bytes(os.getpid()) > 1_000_000


def test_the_core_is_what_runs_without_the_demo(startup: ModuleType) -> None:
    from topmast import engines, outside, plugins

    core = {engine.name for engine in plugins.load_all(engines, "ENGINE") if not engine.demo}

    # that one only starts where a topmast.yml names a page
    assert set(startup.CORE) == core - {outside.EXPORTER}
