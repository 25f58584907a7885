"""`prove cost` counts what is lost, doubled and fallen; and finds none of it in a few kills."""

from pathlib import Path

import pytest
from topmast.layout import Layout, find_state
from topmast.proof import Trial
from topmast.proofs.cost import PROOF, Sent, Watch, measures

HOME = Path(__file__).resolve().parents[3]
SHOWN = {'llm_requests_total{outcome="ok"}': 2.0, 'llm_cost_usd_total{component="input"}': 3e-12}


@pytest.mark.parametrize(
    ("stored", "shown", "failing"),
    [
        pytest.param({"a": 1, "b": 2}, SHOWN, set(), id="all is well"),
        pytest.param({"a": 1}, {**SHOWN, 'llm_requests_total{outcome="ok"}': 1.0}, {"cost.lost"}, id="lost"),
        pytest.param({"a": 1, "b": 3}, SHOWN, {"cost.lost"}, id="another cost"),
        pytest.param(
            {"a": 1, "b": 2}, {**SHOWN, 'llm_requests_total{outcome="ok"}': 3.0}, {"cost.double"}, id="counted twice"
        ),
        pytest.param(
            {"a": 1, "b": 2}, {**SHOWN, "llm_cost_usd_total{}": 0.01}, {"cost.counter_error"}, id="a cent beside it"
        ),
    ],
)
def test_measures(stored: dict[str, int], shown: dict[str, float], failing: set[str]) -> None:
    found = measures([Sent({"a": 1}), Sent({"b": 2})], Watch(), stored, shown, 0, "no kills", "2.42.0")

    assert {each.name for each in found if each.holds is not True} == failing


@pytest.mark.parametrize(
    ("later", "falls"),
    [
        pytest.param({"a": 2.0, "b": 1.0}, 0, id="grown"),
        pytest.param({"a": 1.0}, 0, id="stood still"),
        pytest.param({"a": 0.99}, 1, id="fell"),
        pytest.param({}, 1, id="gone"),
    ],
)
def test_a_total_that_fell_or_is_gone_is_a_fall(later: dict[str, float], falls: int) -> None:
    watch = Watch()

    watch.see({"a": 1.0})
    watch.see(later)

    assert len(watch.falls) == falls


def test_a_reset_that_prometheus_saw_is_a_fall() -> None:
    found = measures([Sent({"a": 1, "b": 2})], Watch(), {"a": 1, "b": 2}, SHOWN, 1, "", "2.42.0")

    assert {each.name for each in found if each.holds is not True} == {"cost.counter_falls"}


@pytest.mark.parametrize("prometheus", [None, "2.42.0"])
def test_without_the_word_of_a_prometheus_nobody_knows_whether_something_fell(prometheus: str | None) -> None:
    found = measures([Sent({"a": 1, "b": 2})], Watch(scrapes=9), {"a": 1, "b": 2}, SHOWN, None, "", prometheus)

    (one,) = [each for each in found if each.name == "cost.counter_falls"]
    assert (one.value, one.holds) == (None, None)
    assert "Prometheus" in one.note


def test_a_fall_that_the_proof_saw_needs_no_prometheus() -> None:
    watch = Watch(falls=["a: 2.0, then 1.0"])

    found = measures([Sent({"a": 1, "b": 2})], watch, {"a": 1, "b": 2}, SHOWN, None, "", None)

    assert {each.name for each in found if each.holds is not True} == {"cost.counter_falls"}


@pytest.mark.live
def test_kills_lose_nothing() -> None:
    trial = Trial(
        Layout(HOME, find_state(None, HOME)), full=False, seed=7, say=lambda _text: None, options={"kills": 3}
    )

    found = {each.name: each for each in PROOF.run(trial)}

    assert {each.name for each in found.values() if each.holds is not True} == set()
    assert {"cost.lost", "cost.double", "cost.counter_falls"} <= set(found)
