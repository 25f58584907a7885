"""The delivery benchmark at a small size, with the real shipper; its numbers are taken by running it."""

import importlib.util
import random
from itertools import islice
from pathlib import Path
from types import ModuleType

import pytest
from topmast.benchmark import Run

HOME = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def delivery() -> ModuleType:
    spec = importlib.util.spec_from_file_location("delivery", HOME / "benchmarks" / "delivery.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_a_backlog_is_measured(delivery: ModuleType, tmp_path: Path) -> None:
    measure = delivery._lumberjack(Run(HOME, False, 7, lambda _text: None), tmp_path, 20_000)

    assert (measure.name, measure.unit) == ("delivery.lumberjack", "events/s/core")
    assert measure.value > 0
    assert measure.note.startswith("20000 lines of 554 bytes, seed 7; ")


def test_the_store_is_measured(delivery: ModuleType, tmp_path: Path) -> None:
    measure = delivery._sqlite(Run(HOME, False, 7, lambda _text: None), tmp_path, 3_000)

    assert (measure.name, measure.unit) == ("delivery.sqlite", "events/s")
    assert measure.value > 0


def test_lines_have_one_length_and_differ(delivery: ModuleType) -> None:
    lines = list(islice(delivery._lines(random.Random(7)), 100))

    assert {len(line) for line in lines} == {delivery.LINE_BYTES}
    assert len(set(lines)) == 100
