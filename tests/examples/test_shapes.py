"""The load's shapes have the means they claim, and the same seed gives the same load."""

import itertools
import random
from collections import Counter

import pytest
from reference_app.shapes import CHAT, CODE, RAG, REQUESTS, Popularity, Seldom, TokenShape, day_wave


@pytest.mark.parametrize(
    ("shape", "mean_in", "mean_out"),
    [
        pytest.param(CODE, 2048, 28, id="code"),
        pytest.param(CHAT, 1155, 211, id="chat"),
        pytest.param(RAG, 12000, 340, id="retrieval"),
    ],
)
def test_token_counts_have_the_means_of_the_traces(shape: TokenShape, mean_in: int, mean_out: int) -> None:
    rng = random.Random(7)

    drawn = [shape.draw(rng) for _ in range(20_000)]

    assert sum(tokens for tokens, _ in drawn) / len(drawn) == pytest.approx(mean_in, rel=0.03)
    assert sum(tokens for _, tokens in drawn) / len(drawn) == pytest.approx(mean_out, rel=0.03)


def test_no_call_is_larger_than_the_largest_that_was_seen() -> None:
    rng = random.Random(7)

    drawn = [CHAT.draw(rng) for _ in range(50_000)]

    assert max(tokens for tokens, _ in drawn) <= 14_050
    assert max(tokens for _, tokens in drawn) <= 1_000
    assert min(min(pair) for pair in drawn) >= 1


@pytest.mark.parametrize(
    ("seconds", "against_the_mean"),
    [
        pytest.param(0, 1.0, id="nine in the morning"),
        pytest.param(150, 1.45, id="in the afternoon"),
        pytest.param(450, 0.55, id="at night"),
        pytest.param(600, 1.0, id="the next morning"),
    ],
)
def test_traffic_swells_and_ebbs_within_a_day(seconds: float, against_the_mean: float) -> None:
    assert day_wave(seconds, 600) == pytest.approx(against_the_mean)


def test_few_things_are_asked_for_often() -> None:
    rng = random.Random(7)
    popularity = Popularity(400)

    picked = Counter(popularity.pick(rng) for _ in range(10_000))

    assert picked[0] > 10 * picked[50] > 0
    assert max(picked) < 400


def test_what_happens_seldom_never_happens_twice_close_together() -> None:
    seldom = Seldom(1 / 100, random.Random(7))

    calls = [call for call in range(20_000) if seldom.now()]

    gaps = [after - before for before, after in itertools.pairwise(calls)]
    assert min(gaps) >= 60
    assert len(calls) == pytest.approx(200, rel=0.1)


def test_the_same_seed_asks_for_the_same_things() -> None:
    first, second = random.Random(7), random.Random(7)

    assert [REQUESTS.pick(first) for _ in range(50)] == [REQUESTS.pick(second) for _ in range(50)]
