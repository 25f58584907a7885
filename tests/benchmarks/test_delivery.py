"""The delivery benchmark at a small size, with the real shipper; its numbers are taken by running it."""

import importlib.util
import random
from itertools import islice
from pathlib import Path
from types import ModuleType

import pytest
from topmast.benchmark import Run
from topmast.loglines import LINE_BYTES, lines

HOME = Path(__file__).resolve().parents[2]
RUN = Run(HOME, False, 7, lambda _text: None)


@pytest.fixture(scope="module")
def delivery() -> ModuleType:
    spec = importlib.util.spec_from_file_location("delivery", HOME / "benchmarks" / "delivery.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_a_backlog_is_measured(delivery: ModuleType, tmp_path: Path) -> None:
    first, second = delivery._turns(tmp_path, 10_000, 2, RUN.seed)

    assert first.rate > 0
    assert second.wall_seconds > 0


def test_the_store_is_measured(delivery: ModuleType, tmp_path: Path) -> None:
    measure = delivery._sqlite(RUN, tmp_path, 3_000)

    assert (measure.name, measure.unit) == ("delivery.sqlite", "events/s")
    assert measure.value > 0


def test_a_line_is_timed_until_its_acknowledgement(delivery: ModuleType, tmp_path: Path) -> None:
    measures = list(delivery._latency(RUN, tmp_path, 3))

    assert [each.name for each in measures] == ["delivery.latency.p50", "delivery.latency.p99"]
    assert 0 < measures[0].value <= measures[1].value


def test_memory_is_that_of_a_shipper_with_a_backlog(delivery: ModuleType, tmp_path: Path) -> None:
    measure = delivery._memory(RUN, tmp_path, 1, 0.2)

    assert (measure.name, measure.unit) == ("delivery.memory", "MB")
    assert measure.value > 5


def test_searches_find_what_they_are_timed_for(delivery: ModuleType, tmp_path: Path) -> None:
    word, field = delivery._search(RUN, tmp_path, 65_000)

    assert (word.name, word.note) == ("delivery.search.word", "65000 lines, 10 found; the median of 7")
    assert field.name == "delivery.search.field_and_time"
    assert " 0 found" not in field.note


def test_bulk_requests_are_measured_beside_the_official_helper(delivery: ModuleType, tmp_path: Path) -> None:
    rate, ratio = delivery._elasticsearch(RUN, tmp_path, 8_000)

    assert (rate.name, rate.peer) == ("delivery.elasticsearch", "elasticsearch.helpers.bulk")
    assert rate.value > 0
    assert ratio.value == rate.ratio


def test_lines_have_one_length_and_differ() -> None:
    some = list(islice(lines(random.Random(7)), 100))

    assert {len(line) for line in some} == {LINE_BYTES}
    assert len(set(some)) == 100
