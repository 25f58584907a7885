"""costs.py: amounts, tables and the course by day, as people read them."""

from datetime import date

import pytest
from topmast import costs
from topmast_exporter.ledger_report import Row
from topmast_exporter.pricing.price import COMPONENTS, PICO
from topmast_exporter.pricing.tokens import FIELDS


def row(*group: str, usd: float, requests: int = 1, unpriced: int = 0) -> Row:
    cost = dict.fromkeys(COMPONENTS, 0) | {"input": round(usd * PICO)}
    return Row(group, requests, unpriced, dict.fromkeys(FIELDS, 1000), cost)


@pytest.mark.parametrize(
    ("usd", "text"),
    [
        (0, "$0.00"),
        (1234.567, "$1,234.57"),
        (0.1, "$0.10"),
        (0.0123, "$0.0123"),
        (0.0000131, "$0.0000131"),
        (0.00000014, "$0.00000014"),
        (1e-12, "$0.0000000000010"),
        (-2.5, "-$2.50"),
    ],
)
def test_an_amount_shows_what_is_there(usd: float, text: str) -> None:
    assert costs.money(round(usd * PICO)) == text


def test_the_least_bar_can_be_seen() -> None:
    assert [costs.bar(share) for share in (1.0, 0.5, 1e-9, 0.0)] == ["█" * 16, "█" * 8, "▏", ""]


def test_a_table_says_what_it_leaves_out_and_adds_up() -> None:
    rows = [row("big", usd=3, requests=10), row("small", usd=1, requests=4, unpriced=2), row("", usd=0.0)]

    lines = costs.table(rows, ("model",), width=100, limit=1)

    assert [line.split()[:6] for line in lines] == [
        ["model", "spent", "share", "requests", "a", "request"],
        ["big", "$3.00", "75.0%", "10", "$0.30", "1000"],
        ["2", "more", "$1.00", "25.0%", "5", "$0.33"],
        ["all", "$4.00", "100.0%", "15", "$0.31", "3000"],
    ]


@pytest.mark.parametrize(
    ("width", "name", "bars"),
    [
        pytest.param(120, "text-embedding-3-small", True, id="wide"),
        pytest.param(80, "text-embedding-3-small", False, id="the bars give way first"),
        pytest.param(70, "text-embedding-3…", False, id="then the names"),
    ],
)
def test_a_narrow_terminal_keeps_the_names(width: int, name: str, bars: bool) -> None:
    lines = costs.table([row("text-embedding-3-small", usd=1), row("b", usd=1)], ("model",), width=width, limit=5)

    assert lines[1].startswith(f"{name} ")
    assert ("█" in lines[1]) == bars
    assert max(map(len, lines)) <= width


def test_a_name_that_is_empty_or_steers_the_terminal_is_made_plain() -> None:
    lines = costs.table([row("", "\x1b[31mred", usd=1)], ("feature", "model"), width=120, limit=5)

    assert lines[1].startswith("(none)")
    assert "\x1b" not in "".join(lines)


def test_days_without_calls_are_there() -> None:
    spent = costs.days([row("2026-11-02", usd=2)], date(2026, 11, 1), date(2026, 11, 3))

    assert [(day.day, cost) for day, cost in spent] == [(1, 0), (2, 2 * PICO), (3, 0)]


def test_the_course_names_its_scale_and_its_ends() -> None:
    lines = costs.course([(date(2026, 11, 1), 4 * PICO), (date(2026, 11, 2), PICO)], height=4)

    assert lines[0].startswith("$4.00 │█")
    assert lines[3].startswith("      │██ ██")
    assert lines[-1].split() == ["2026-11-01", "2026-11-02"]
    assert costs.course([(date(2026, 11, 1), 0)]) == []
