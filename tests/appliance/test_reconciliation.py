"""Why the ledger and a bill differ: each cause by the numbers that speak for it."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest
from topmast import reconciliation
from topmast.invoices import Line
from topmast.reconciliation import cause, off, pairs
from topmast_exporter.ledger_report import Row
from topmast_exporter.pricing import drift
from topmast_exporter.pricing.table import PriceTable

PICO = 10**12
FIRST = date(2026, 11, 1)
DAYS = 6


@pytest.fixture(scope="module")
def table() -> PriceTable:
    return PriceTable.load(drift.BUNDLED)


def line(day: int = 0, tokens: int = 1000, model: str = "big", **changes: object) -> Line:
    start = datetime.combine(FIRST + timedelta(days=day), datetime.min.time(), UTC).timestamp()
    plain = Line(start, start + 86_400, "acme", model, "", 10, tokens, 0, tokens * PICO // 1000)
    return replace(plain, **changes)  # type: ignore[arg-type]  # the fields of a Line


def row(day: int = 0, tokens: int = 1000, model: str = "big", requests: int = 10, unpriced: int = 0) -> Row:
    when = (FIRST + timedelta(days=day)).isoformat()
    return Row(
        ("acme", model, when),
        requests,
        unpriced,
        {"input": tokens, "output": 0},
        {"input": tokens * PICO // 1000},
    )


def every(make: Callable[..., object], **changes: object) -> list[object]:
    return [make(day, **changes) for day in range(DAYS)]


@pytest.mark.parametrize(
    ("lines", "rows", "said"),
    [
        pytest.param(every(line), [], "missing hook: no call of it", id="a model that nobody hooked"),
        pytest.param(
            every(line),
            [row(0), row(1), row(5)],
            "missing hook: nothing was counted on 2026-11-03 to 2026-11-05 (3 days)",
            id="days without a hook",
        ),
        pytest.param(
            every(line), every(row, tokens=600), "missing hook: 40.0% of it", id="an application without a hook"
        ),
        pytest.param(
            [*every(line, key="key_1"), *every(line, key="key_2", tokens=500)],
            every(row),
            "another key: key_2 alone",
            id="another key",
        ),
        pytest.param(
            every(line, cost=2 * PICO),
            every(row),
            "a price: the same tokens cost 2.00 times as much",
            id="another price",
        ),
        pytest.param(every(line, cost=PICO // 2), every(row), "a tier: the same tokens cost half", id="batch calls"),
        pytest.param(
            [line(0, 400), *every(line)[1:-1], line(DAYS - 1, 1900)],
            every(row),
            "a time zone:",
            id="days begin elsewhere",
        ),
        pytest.param(
            every(line),
            every(row, tokens=900, unpriced=3),
            "no usage or no price: 18 calls",
            id="streams without usage",
        ),
        pytest.param(every(line, requests=11, tokens=1100), every(row), "retries: 6 more requests", id="retries"),
        pytest.param(
            every(line, tokens=700, requests=7), every(row), "another account: the export", id="a filtered export"
        ),
    ],
)
def test_a_difference_has_its_likeliest_cause(
    table: PriceTable, lines: list[Line], rows: list[Row], said: str
) -> None:
    (pair,) = pairs(lines, rows, table)

    assert cause(pair, retries=8).startswith(said)


@pytest.mark.parametrize(
    "rows",
    [
        pytest.param([row(3, 400), row(4), row(5)], id="from that day's noon on"),
        pytest.param([], id="of a model that was not called since"),
    ],
)
def test_what_was_billed_before_the_ledger_is_no_missing_hook(table: PriceTable, rows: list[Row]) -> None:
    (pair,) = pairs([line(day) for day in range(DAYS if rows else 2)], rows, table)

    assert cause(pair, began=date(2026, 11, 4)) == "before the ledger, which begins on 2026-11-04"
    assert cause(pair, began=FIRST).startswith("missing hook")


def test_days_of_another_time_zone_are_those_that_most_of_them_lies_in(table: PriceTable) -> None:
    early = [replace(one, start=one.start - 7_200, end=one.end - 7_200) for one in map(line, range(DAYS))]

    (pair,) = pairs(early, every(row), table)

    assert pair.days == ({FIRST + timedelta(days=n): PICO for n in range(DAYS)},) * 2


def test_credits_above_what_was_used_are_no_agreement(table: PriceTable) -> None:
    (pair,) = pairs([line(), line(cost=-5 * PICO)], [row()], table)

    assert pair.amounts == (-4 * PICO, PICO)
    assert off([pair]) == 1.0


def test_a_model_that_was_not_billed_is_of_another_account(table: PriceTable) -> None:
    found = pairs([line()], [row(), row(model="own")], table)

    assert [(pair.model, pair.apart) for pair in found] == [("own", -PICO), ("big", 0)]
    assert cause(found[0]).startswith("another account: it was not billed")


def test_differences_do_not_cancel_out(table: PriceTable) -> None:
    found = pairs([line(), line(model="b")], [row(tokens=1100), row(tokens=900, model="b")], table)

    assert off(found) == pytest.approx(0.1)


def test_names_of_both_sides_are_the_tables(table: PriceTable) -> None:
    billed = replace(line(model="gpt-4o-mini-2024-07-18"), provider="openai")
    counted = replace(row(), group=("openai", "GPT-4o-mini-2024-07-18", FIRST.isoformat()))

    (pair,) = pairs([billed], [counted], table)

    assert pair.model == "gpt-4o-mini-2024-07-18"
    assert not pair.apart


def test_amounts_of_all_models_are_compared_as_one(table: PriceTable) -> None:
    (pair,) = pairs([replace(line(), model="", cost=3 * PICO)], [row(), row(model="b")], table)

    assert (pair.model, pair.amounts) == ("", (3 * PICO, 2 * PICO))


def test_an_export_of_usage_is_compared_in_tokens(table: PriceTable) -> None:
    found = pairs([line(cost=None)], [row(tokens=990)], table)

    assert (found[0].in_money, found[0].amounts) == (False, (1000, 990))
    assert off(found) == 0.01
    assert off([]) == 0.0
    assert reconciliation.name_of(table, "nobody", "X") == "x"
