"""The check `recording` is silent about our house and sees each seeded defect."""

from typing import Any

import pytest
from topmast.checks.recording import CHECK


def test_is_silent_about_our_house(house: Any) -> None:
    assert house.said(CHECK) == []


@pytest.mark.parametrize(
    ("file", "old", "new", "message"),
    [
        pytest.param(
            "monitoring/prometheus/recording/host.yml",
            "record: instance:node_memory_available:ratio",
            "record: node_memory_available",
            "a recording rule is named level:metric:operation",
            id="a name without its level",
        ),
        pytest.param(
            "monitoring/prometheus/recording/host.yml",
            "record: instance:node_memory_available:ratio",
            "record: instance:node_memory_avail:ratio",
            "nobody records instance:node_memory_available:ratio",
            id="nobody records it",
        ),
        pytest.param(
            "monitoring/prometheus/recording/host.yml",
            "record: instance:node_memory_available:ratio",
            "record: instance:node_memory_avail:ratio",
            "no rule and no panel reads it",
            id="nobody reads it",
        ),
    ],
)
def test_sees(house: Any, file: str, old: str, new: str, message: str) -> None:
    house.change(file, old, new)

    assert [said for said in house.said(CHECK) if message in said]


def test_sees_what_is_read_before_it_is_recorded(said_of: Any) -> None:
    text = """
groups:
  - name: mine
    rules:
      - {record: "b:y:sum", expr: "sum(a:x:sum)"}
      - {record: "a:x:sum", expr: "sum(x)"}
"""

    assert said_of(CHECK, text) == ["5: b:y:sum: a:x:sum is recorded below it: move that one up"]
