"""The cost benchmark's parts at a small size: what it compares, it compares; what it replays, it counts."""

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest
from topmast.benchmark import Run
from topmast_exporter.pricing.price import Pricer
from topmast_exporter.pricing.refresh import load

HOME = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def cost() -> ModuleType:
    spec = importlib.util.spec_from_file_location("benchmark_cost", HOME / "benchmarks" / "cost.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def bench(trace: Path | None = None) -> Run:
    return Run(home=HOME, full=False, seed=7, say=lambda _text: None, trace=trace)


def test_every_model_is_asked_for_fifty_usages_each_another(cost: ModuleType) -> None:
    shapes = cost.shapes()

    # with no input, some of the usages are the same
    assert len(shapes) == 50
    assert len(set(shapes)) >= 48


def test_a_replayed_trace_is_counted_to_the_token(cost: ModuleType, tmp_path: Path) -> None:
    trace = tmp_path / "trace.csv"
    trace.write_text("TIMESTAMP,ContextTokens,GeneratedTokens\n2023-11-16 18:15:46,4808,10\n2023-11-16,3180,8\n")

    found = {each.name: each for each in cost._replay(bench(trace), tmp_path / "ledger", Pricer(load(tmp_path)))}

    assert [each.holds for each in found.values()] == [True, True]
    assert "{'input': 7988, 'output': 18}" in found["cost.replay.tokens"].note


def test_the_forecast_of_a_weekly_rhythm_is_near(cost: ModuleType) -> None:
    found = cost._forecast(bench())

    assert found.holds is True
    assert found.value > 0


def test_the_peer_counts_what_ours_counts_and_an_id_once(cost: ModuleType) -> None:
    peer = cost._Peer()
    events = list(cost._events(20, "a", 7))

    for one in [*events, *events]:
        peer.count(one)

    counted = sum(sample.value for sample in peer._requests.collect()[0].samples if sample.name.endswith("_total"))
    assert counted == 20
