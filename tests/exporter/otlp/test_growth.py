"""growth.py: a series that was forgotten and speaks again counts nothing twice."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from topmast_exporter.otlp import growth as growth_module
from topmast_exporter.otlp.growth import Grown, Growth
from topmast_exporter.otlp.points import Point


def point(name: str, total: float, *, start: int, at: int) -> Point:
    return Point("tokens", {}, {}, name, name, True, start, at, total)


@pytest.fixture
def growth(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Growth]:
    monkeypatch.setattr(growth_module, "MAX_SERIES", 2)
    monkeypatch.setattr(growth_module, "PRUNE_EVERY", 2)
    opened = Growth(tmp_path)
    yield opened
    opened.close()


def grown(growth: Growth, *points: Point) -> list[tuple[str, float]]:
    """Return what each of the points added."""
    added: list[tuple[str, float]] = []

    def follow(found: Sequence[Grown]) -> Sequence[dict[str, Any]]:
        added.extend((one.point.identity, one.total) for one in found)
        return []

    growth.take(points, follow)
    return added


def forget_a(growth: Growth) -> None:
    """Four series of which two may be remembered; `a` is the quietest."""
    assert grown(growth, point("a", 10, start=1, at=100)) == [("a", 10)]
    grown(growth, *(point(name, 1, start=1, at=at) for name, at in (("b", 200), ("c", 300), ("d", 400))))
    grown(growth, point("d", 2, start=1, at=500))


def test_one_that_was_forgotten_counts_from_where_it_is(growth: Growth) -> None:
    forget_a(growth)

    assert grown(growth, point("a", 12, start=1, at=600)) == []
    assert grown(growth, point("a", 15, start=1, at=700)) == [("a", 3)]


def test_one_that_does_not_say_since_when_does_too(growth: Growth) -> None:
    forget_a(growth)

    assert grown(growth, point("e", 12, start=0, at=600)) == []
    assert grown(growth, point("e", 13, start=0, at=700)) == [("e", 1)]


def test_one_that_began_since_counts_whole_also_after_a_restart(growth: Growth, tmp_path: Path) -> None:
    forget_a(growth)
    growth.close()
    again = Growth(tmp_path)

    assert grown(again, point("new", 7, start=550, at=600)) == [("new", 7)]
    assert grown(again, point("a", 12, start=1, at=600)) == []
    again.close()


def test_while_none_was_forgotten_whatever_is_new_counts_whole(growth: Growth) -> None:
    assert grown(growth, point("a", 10, start=0, at=100), point("b", 3, start=1, at=100)) == [("a", 10), ("b", 3)]
