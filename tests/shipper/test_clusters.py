"""clusters.py: many messages as the shapes they have."""

import random

import pytest
from topmast_shipper import clusters
from topmast_shipper.clusters import Clusters


def templates(*messages: str) -> list[tuple[str, int]]:
    found = Clusters()
    for each in messages:
        found.add("info", "shop", each)
    return [(each.template, each.count) for each in found.largest(100)]


@pytest.mark.parametrize(
    ("messages", "found"),
    [
        pytest.param(["order 7 paid", "order 8 paid"], [("order <*> paid", 2)], id="numbers"),
        pytest.param(
            ["user anna signed in", "user bert signed in"], [("user <*> signed in", 2)], id="words that differ"
        ),
        pytest.param(["cache miss", "disk full"], [("cache miss", 1), ("disk full", 1)], id="nothing in common"),
        pytest.param(["took 1.5 ms", "took 12 ms now"], [("took <*> ms", 1), ("took <*> ms now", 1)], id="lengths"),
        pytest.param(['no "a b" in x', 'no "c" in x'], [("no <*> in x", 2)], id="quoted text"),
        pytest.param(["id 6f1c0e2b93d84a7e", "id 0af7651916cd43dd"], [("id <*>", 2)], id="hexadecimal ids"),
        pytest.param(["failed\nat a", "failed\nat b"], [("failed", 2)], id="the first line"),
        pytest.param(["", " "], [("", 2)], id="nothing"),
    ],
)
def test_shapes(messages: list[str], found: list[tuple[str, int]]) -> None:
    assert templates(*messages) == found


def test_a_hundred_shapes_are_found_again() -> None:
    chance = random.Random(7)
    shapes = [f"part{number // 26}{chr(97 + number % 26)} did {'very ' * (number % 7)}much" for number in range(100)]
    found = Clusters()
    for _ in range(5_000):
        shape = chance.choice(shapes)
        found.add("info", "shop", f"{shape} in {chance.random():.3f} s for user {chance.randrange(10**6)}")

    assert len(found) <= 100
    assert sum(each.count for each in found.largest(200)) == 5_000


def test_beyond_a_bound_shapes_are_counted_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clusters, "MAX_CLUSTERS", 2)
    found = Clusters()
    for word in ("alpha", "beta", "gamma", "delta"):
        found.add("info", "shop", word * 3)

    assert (len(found), found.other) == (2, 2)
