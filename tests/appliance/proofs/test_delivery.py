"""`prove delivery` counts what is lost, doubled and out of order; and finds none of it in a few kills."""

from collections.abc import Sequence
from pathlib import Path

import pytest
from topmast.deliverytargets import TARGETS, Arrived
from topmast.layout import Layout
from topmast.proof import Trial
from topmast.proofs.delivery import PROOF, Outcome, compare, doubled

A, B = "a" * 20, "b" * 20


@pytest.mark.parametrize(
    ("arrived", "keys", "outcome"),
    [
        pytest.param([(A + "1", 0), (A + "2", 1)], False, Outcome(2, 2, 0, 0, 0), id="all is well"),
        pytest.param([(A + "2", 1)], False, Outcome(2, 1, 1, 0, 0), id="lost"),
        pytest.param([(A + "1", 0), (A + "2", 1), (B + "1", 1)], True, Outcome(2, 2, 0, 1, 0), id="two ids of one"),
        pytest.param([(A + "1", 0), (A + "1", 0), (A + "2", 1)], True, Outcome(2, 2, 0, 0, 0), id="twice on a wire"),
        pytest.param(
            [(A + "1", 0), (A + "1", 0), (A + "2", 1)], False, Outcome(2, 2, 0, 1, 0), id="twice in a store"
        ),
        pytest.param([(A + "2", 1), (A + "1", 0)], False, Outcome(2, 2, 0, 0, 1), id="out of order"),
        pytest.param([(A + "1", 1), (A + "2", 0)], False, Outcome(2, 2, 0, 0, 1), id="written in another order"),
        pytest.param([(A + "2", 0), (B + "1", 1)], False, Outcome(2, 2, 0, 0, 0), id="another generation"),
    ],
)
def test_compare(arrived: Sequence[tuple[str, int]], keys: bool, outcome: Outcome) -> None:
    assert compare(2, [Arrived(*each) for each in arrived], keys=keys) == outcome


def test_what_nobody_could_read_is_not_lost() -> None:
    assert compare(3, [Arrived(A + "1", 0)], keys=False, unreadable={1}) == Outcome(3, 1, 1, 0, 0, 1, 1)


def test_what_arrived_all_the_same_shows_that_the_model_is_wrong() -> None:
    assert compare(1, [Arrived(A + "1", 0)], keys=False, unreadable={0}) == Outcome(1, 1, 0, 0, 0, 0, 1)


def test_kills_lose_nothing(tmp_path: Path) -> None:
    """All sinks together see more than a hundred."""
    kills = 102 // len(TARGETS)
    trial = Trial(Layout(tmp_path, tmp_path), full=False, seed=7, say=lambda _text: None, options={"kills": kills})

    measures = {each.name: each for each in PROOF.run(trial)}

    assert {each.name for each in measures.values() if each.holds is not True} == set()
    assert {f"delivery.lost.{name}" for name in TARGETS} < measures.keys()
    written = sum(measures[f"delivery.written.{name}"].value or 0 for name in TARGETS)
    assert measures["delivery.written"].value == written >= 100 * kills * len(TARGETS)


def test_what_came_twice_is_told_with_its_ids() -> None:
    arrived = [Arrived(A + "1", 0), Arrived(A + "2", 1), Arrived(A + "2", 1), Arrived("b" * 20 + "1", 0)]

    assert doubled(arrived, keys=True) == {0: [A + "1", "b" * 20 + "1"]}
    assert doubled(arrived, keys=False).keys() == {0, 1}
