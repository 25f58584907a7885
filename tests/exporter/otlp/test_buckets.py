"""Histograms of OpenTelemetry: what one grew, and its counts by bounds of ours."""

import math
import random
from bisect import bisect_left

import pytest
from topmast_exporter.otlp.buckets import Buckets, PointError, explicit, exponential

OURS = (0.1, 0.2, 0.5)


@pytest.mark.parametrize(
    ("bounds", "counts", "divisor", "ours", "moved"),
    [
        pytest.param(OURS, {0: 1, 1: 2, 2: 3, 3: 4}, 1, [1, 2, 3, 4], 0, id="the same bounds"),
        pytest.param((0.05, 0.1, 0.2, 0.3, 0.5), {0: 1, 1: 1, 3: 1, 4: 1}, 1, [2, 0, 2, 0], 0, id="finer ones"),
        pytest.param((0.1, 0.25, 0.5), {1: 7}, 1, [0, 0, 7, 0], 7, id="0.2 lies within: counted above it"),
        pytest.param((0.1, 0.2), {2: 5}, 1, [0, 0, 0, 5], 5, id="beyond the last, 0.5 lies within"),
        pytest.param((0.5,), {0: 2}, 1, [0, 0, 2, 0], 2, id="one that holds two of ours"),
        pytest.param((), {0: 3}, 1, [0, 0, 0, 3], 3, id="no bounds"),
        pytest.param((100.0, 200.0, 500.0), {0: 1, 1: 2, 3: 4}, 1_000, [1, 2, 0, 4], 0, id="milliseconds"),
    ],
)
def test_counts_by_our_bounds(bounds, counts, divisor, ours, moved):
    assert Buckets(counts, bounds).within(OURS, divisor) == (ours, moved)


def test_no_observation_is_told_shorter_than_it_was():
    random.seed(7)
    values = [random.lognormvariate(-2, 1.5) for _ in range(2_000)]
    for scale in (-1, 0, 3, 8):
        counts: dict[int, int] = {}
        for value in values:
            place = math.ceil(math.log2(value) * 2**scale) - 1
            counts[place] = counts.get(place, 0) + 1
        ours, moved = Buckets(counts, (), scale).within(OURS, 1)
        exact = [0] * 4
        for value in values:
            exact[bisect_left(OURS, value)] += 1

        assert sum(ours) == len(values)
        below = [(sum(ours[: place + 1]), sum(exact[: place + 1])) for place in range(4)]
        assert all(told <= true for told, true in below), scale
        assert sum(true - told for told, true in below) <= 3 * moved


def test_an_exponential_histogram_that_became_coarser_grew_by_what_is_left():
    before = Buckets({-3: 2, 4: 1, 5: 1}, (), 3, zero=1)
    after = Buckets({-2: 2, 2: 5, 9: 1}, (), 2, zero=1)  # -3 >> 1 is -2; 4 and 5 are 2

    assert after.since(before) == Buckets({2: 3, 9: 1}, (), 2, zero=0)


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        pytest.param(Buckets({1: 2}, OURS), Buckets({1: 1, 2: 5}, OURS), "fell", id="one fell"),
        pytest.param(Buckets({1: 2}, OURS), Buckets({1: 2}, (0.1, 0.3)), "bounds_changed", id="other bounds"),
        pytest.param(Buckets({1: 2}, (), 1), Buckets({1: 2}, (), 2), "bounds_changed", id="a finer scale"),
        pytest.param(Buckets({}, (), 1, zero=3), Buckets({}, (), 1, zero=2), "fell", id="fewer zeroes"),
    ],
)
def test_what_does_not_follow_is_refused(old, new, reason):
    with pytest.raises(PointError, match=reason):
        new.since(old)


def test_an_empty_one_may_have_any_scale():
    assert Buckets({7: 1}, (), 5).since(Buckets({}, (), 2)) == Buckets({7: 1}, (), 5)


@pytest.mark.parametrize(
    "point",
    [
        pytest.param({"scale": 21}, id="a scale that nobody has"),
        pytest.param({"scale": "x"}, id="a scale that is none"),
        pytest.param({"zeroCount": -1}, id="less than nothing"),
        pytest.param({"positive": 7}, id="no buckets"),
        pytest.param({"positive": {"offset": 2**40, "bucketCounts": [1]}}, id="an offset beyond all"),
        pytest.param({"positive": {"bucketCounts": [1] * 401}}, id="too many"),
        pytest.param({"positive": {"bucketCounts": ["-1"]}}, id="a negative count"),
        pytest.param({"negative": {"bucketCounts": ["1"]}}, id="a request that ended before it began"),
    ],
)
def test_a_broken_exponential_histogram_is_refused(point):
    with pytest.raises(PointError):
        exponential(point)


def test_extreme_places_are_numbers():
    ours, moved = Buckets({2**31 - 1: 1, -(2**31): 1}, (), 0).within(OURS, 1)

    assert (ours, moved) == ([1, 0, 0, 1], 0)


def test_it_is_found_again_as_it_was_kept():
    for one in (Buckets({2: 3}, OURS), Buckets({-4: 1, 9: 2}, (), 3, 5, 0.001)):
        assert Buckets.unpacked(one.packed()) == one


def test_explicit_bounds_are_read_as_both_encodings_have_them():
    assert explicit({"bucketCounts": ["1", 0, "2"], "explicitBounds": [1, 2.5]}) == ((1, 0, 2), (1.0, 2.5))
