"""Prices of the user's own and discounts, each in its time: exact, and known for exactly as long as they hold."""

import itertools
import json
import math
import random
from datetime import UTC, datetime
from fractions import Fraction

import pytest
from topmast_exporter.ledger import Ledger
from topmast_exporter.ledger_report import report
from topmast_exporter.ledger_spend import QUARTER_SECONDS
from topmast_exporter.pricing import many, overrides
from topmast_exporter.pricing.overrides import Overrides
from topmast_exporter.pricing.price import Price, Pricer
from topmast_exporter.pricing.table import PriceTable
from topmast_exporter.pricing.tokens import FIELDS, Tokens
from topmast_exporter.registry import Registry
from topmast_exporter.usage_event import UsageEvent

WHERE = "$.overrides"
NAME = ("acme", "big", "", False)


def unix(text):
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


NOVEMBER, DECEMBER, JANUARY = unix("2026-11-01"), unix("2026-12-01"), unix("2027-01-01")
NOON = unix("2026-12-31T12:00")

UNITS = {
    "input_tokens": {"family": "tokens", "direction": "input"},
    "output_tokens": {"family": "tokens", "direction": "output"},
    "cache_read_tokens": {"family": "tokens", "direction": "input", "token_type": "cache_read"},
}
MODELS = [
    {
        "id": "big",
        "match": ["equals", "big"],
        # 7 pico-USD a token in, 13 above 1,000 of them; a third of one for what is read; all dearer from noon on
        "prices": [
            {"sheet": {"input_tokens": {"base": 7, "steps": [[1000, 13]]}, "output_tokens": 11,
                       "cache_read_tokens": [1, 3]}},
            {"from": NOON, "sheet": {"input_tokens": 70, "output_tokens": 110}},
        ],
        "variants": [{"tier": "batch", "sheet": {"input_tokens": 5}}],
    },
    {
        "id": "night",
        "match": ["equals", "night"],
        "prices": [{"sheet": {"input_tokens": 8}}, {"daily": [0, 3600], "sheet": {"input_tokens": 4}}],
    },
]  # fmt: skip
PROVIDER = {"id": "acme", "match": None, "model_match": None, "fallback": []}
HEADER = {"source": "ours 1", "timestamp": 0, "models": 2, "units": UNITS, "providers": [PROVIDER]}


@pytest.fixture
def table():
    return PriceTable(HEADER, {"acme": json.dumps({"models": MODELS})})


PERIODS = {
    "Acme/Big": [
        {"input_usd_per_million": 1e-6, "since": "2026-12-01", "until": "2027-01-01"},
        {"discount_percent": 50, "since": "2026-11-01T00:00:00Z", "until": "2026-12-01T01:00+01:00"},
    ]
}
LISTED, HALF, OWN = 7, 3.5, 1  # pico-USD a token in


@pytest.mark.parametrize(
    ("at", "a_token"),
    [
        pytest.param(NOVEMBER - 0.001, LISTED, id="before the first period"),
        pytest.param(NOVEMBER, HALF, id="since is inclusive"),
        pytest.param(DECEMBER - 0.001, HALF, id="the last moment of a period"),
        pytest.param(DECEMBER, OWN, id="until is exclusive: the next one holds"),
        pytest.param(NOON, OWN, id="a new list price changes no price of one's own"),
        pytest.param(JANUARY - 0.001, OWN, id="the last moment of the last one"),
        pytest.param(JANUARY, 70, id="the list price of then"),
    ],
)
def test_each_period_has_its_price_and_the_rest_the_list_price(table, at, a_token):
    assert Pricer(table, PERIODS).price("acme", "big", Tokens(input=100), at).total == 100 * a_token


@pytest.mark.parametrize(
    ("at", "since", "until"),
    [
        pytest.param(NOVEMBER - 1, -math.inf, NOVEMBER, id="the list price, until the first period"),
        pytest.param(NOVEMBER, NOVEMBER, DECEMBER, id="a discount"),
        pytest.param(DECEMBER, DECEMBER, JANUARY, id="a price of one's own"),
        pytest.param(JANUARY, JANUARY, math.inf, id="the list price again, from the end on and not from noon"),
    ],
)
def test_an_answer_says_how_long_it_holds(table, at, since, until):
    known = Pricer(table, PERIODS).known(*NAME, at)

    assert (known.since, known.until) == (since, until)


@pytest.mark.parametrize(
    ("override", "at", "since", "until"),
    [
        pytest.param({"discount_percent": 10}, JANUARY, NOON, math.inf, id="a discount, by the list's own dates"),
        pytest.param({"discount_percent": 10, "until": "2027-01-01"}, NOON, NOON, JANUARY, id="the nearer of both"),
        pytest.param({"discount_percent": 10, "since": "2027-01-01"}, NOON, NOON, JANUARY, id="not yet"),
        pytest.param("free", NOON, -math.inf, math.inf, id="free, for good"),
        pytest.param({"input_usd_per_million": 1}, NOON, -math.inf, math.inf, id="one price, for good"),
    ],
)
def test_the_tables_dates_and_the_periods_meet(table, override, at, since, until):
    known = Pricer(table, {"acme/big": override}).known(*NAME, at)

    assert (known.since, known.until) == (since, until)


@pytest.mark.parametrize("name", [NAME, ("acme", "big", "platinum", False), ("acme", "nobody", "", False),
                                  ("nobody", "big", "", False), ("acme", "night", "", False)])  # fmt: skip
def test_what_is_remembered_is_what_would_be_found_anew(table, name):
    section = {**PERIODS, "acme/nobody": PERIODS["Acme/Big"], "nobody/big": PERIODS["Acme/Big"],
               "acme/night": PERIODS["Acme/Big"]}  # fmt: skip
    pricer, chance = Pricer(table, section), random.Random(5)
    edges = [NOVEMBER, DECEMBER, NOON, JANUARY, NOVEMBER + 3600]
    moments = [edge + off for edge in edges for off in (-1, -0.001, 0, 0.001, 1)] * 3
    chance.shuffle(moments)

    for at in moments:
        asked = (name[0], name[1], Tokens(input=100), at, name[2])
        assert pricer.price(*asked) == Pricer(table, section).price(*asked), at


def test_a_discount_is_exact_and_rounded_once_a_component(table):
    usages = [Tokens(1, 1), Tokens(3, 5, 2), Tokens(1000, 7, 999), Tokens(1001, 7, 10), Tokens(99_999, 1, 98_989)]
    for percent, usage in itertools.product((0.1, 12.5, 33.3, 50, 99.99, 1e-6), usages):
        left = 1 - Fraction(str(percent)) / 100
        a_token = 13 if usage.input > 1000 else 7
        exact = (
            (usage.input - usage.cache_read) * a_token * left,
            usage.output * 11 * left,
            usage.cache_read * left / 3,
        )

        priced = Pricer(table, {"acme/big": {"discount_percent": percent}}).price("acme", "big", usage, 0)

        assert priced.parts == (*map(round, exact), 0, 0)  # Python's round is half-even too


def test_a_discount_is_off_the_price_of_the_tier(table):
    pricer = Pricer(table, {"acme/big": {"discount_percent": 20}})

    assert pricer.price("acme", "big", Tokens(input=10), 0, batch=True).total == 40
    assert pricer.price("acme", "big", Tokens(input=10), 0, tier="platinum").reason == "unknown_tier"


def test_all_of_it_taken_off_is_free(table):
    assert Pricer(table, {"acme/big": {"discount_percent": 100}}).price(*NAME[:2], Tokens(9, 9), 0).status == "free"


@pytest.mark.parametrize(
    ("provider", "model", "reason"),
    [("acme", "nobody", "unknown_model"), ("nobody", "big", "unknown_provider")],
)
def test_a_discount_off_no_list_price_leaves_a_model_unpriced(table, provider, model, reason):
    pricer = Pricer(table, {f"{provider}/{model}": {"discount_percent": 20}})

    assert pricer.price(provider, model, Tokens(input=1), 0) == Price("unpriced", reason=reason)
    assert Pricer(None, {"acme/big": {"discount_percent": 20}}).price("acme", "big", Tokens(1), 0).reason == (
        "no_price_table"
    )


def test_a_tier_has_no_price_of_ones_own_but_has_the_list_price_outside_of_the_period(table):
    pricer = Pricer(table, {"acme/big": {"input_usd_per_million": 1e-6, "since": "2026-12-01"}})

    assert pricer.price("acme", "big", Tokens(input=1), DECEMBER, batch=True).reason == "unknown_tier"
    assert pricer.price("acme", "big", Tokens(input=1), DECEMBER - 1, batch=True).total == 5


# --- by the quarter of an hour ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("edge", "plain"),
    [
        pytest.param("2026-11-20T10:00", True, id="at its beginning"),
        pytest.param("2026-11-20T10:00:00.001", False, id="a moment after it"),
        pytest.param("2026-11-20T10:07:30", False, id="within"),
        pytest.param("2026-11-20T10:14:59.999", False, id="a moment before its end"),
    ],
)
@pytest.mark.parametrize("bound", ["since", "until"])
def test_a_quarter_of_an_hour_in_which_a_price_changes_is_not_priced_as_one(table, edge, plain, bound):
    start = unix("2026-11-20T10:00")
    pricer = Pricer(table, {"acme/big": {"discount_percent": 50, bound: edge}})
    columns = [[10, 20], *[None] * (len(FIELDS) - 1)]

    found = many.price(pricer, NAME, columns, start, start + QUARTER_SECONDS)

    assert (found is not None) == plain
    if found:
        assert found.parts[0] == ([35, 70] if bound == "since" else [70, 140])


def test_the_ledger_books_each_call_of_a_quarter_at_the_price_of_its_time(table, tmp_path):
    edge, chance = unix("2026-11-20T10:07:30"), random.Random(2)
    section = {"acme/big": {"discount_percent": 50, "since": "2026-11-20T10:07:30"}}
    times = [edge + chance.choice((-1, 1)) * chance.randrange(0, 450_000) / 1000 for _ in range(200)] + [edge]
    chance.shuffle(times)
    ledger = Ledger(tmp_path, Pricer(table, section), Registry(), clock=lambda: edge + 900)
    ledger.start()

    ledger.submit(
        [
            UsageEvent(id=str(number), provider="acme", model="big", at=at, tokens=Tokens(input=2))
            for number, at in enumerate(times)
        ]
    ).result(30)
    ledger.stop()

    (row,) = report(tmp_path)
    assert row.total == sum(7 if at >= edge else 14 for at in times)


# --- what is wrong with them ----------------------------------------------------------------------------------------

PRICE = {"input_usd_per_million": 1}


@pytest.mark.parametrize(
    ("section", "told"),
    [
        pytest.param(
            {"a/b": [{**PRICE, "until": "2026-11-02"}, {"discount_percent": 5, "since": "2026-11-01T10:00"}]},
            ["$.overrides.a/b[1]: overlaps [0]: it begins on 2026-11-01T10:00, the other ends on 2026-11-02: "
             "one price at a time"],
            id="two that overlap",
        ),
        pytest.param(
            {"a/b": [{**PRICE, "since": "2026-11-01"}, {"discount_percent": 5}]},
            ["$.overrides.a/b[0]: overlaps [1]: it begins on 2026-11-01, the other has no `until`: "
             "one price at a time"],
            id="one for good and another",
        ),
        pytest.param(
            {"a/b": {**PRICE, "since": "2026-11-02", "until": "2026-11-01"}, "c/d": {"output_usd_per_million": 1}},
            ["$.overrides.a/b: its `until` (2026-11-01) is not after its `since` (2026-11-02)",
             "$.overrides.c/d: 'input_usd_per_million' is missing (or 'discount_percent', which is taken off the "
             "list price)"],
            id="one of nothing, and one without a price: each is told",
        ),
        pytest.param(
            {"a/b": {**PRICE, "discount_percent": 5}},
            ["$.overrides.a/b: a discount is taken off the list price: say 'discount_percent' or prices, not both"],
            id="a discount and prices",
        ),
        pytest.param(
            {"a/b": {**PRICE, "since": "2026-02-30"}, "a/c": {**PRICE, "until": "tomorrow"}},
            ["$.overrides.a/b.since: is no date: say 2026-11-01 or 2026-11-01T12:00 (UTC)",
             "$.overrides.a/c.until: is no date: say 2026-11-01 or 2026-11-01T12:00 (UTC)"],
            id="no dates",
        ),
        pytest.param(
            {"a/b": {"input_usd_per_million": math.nan}},
            ["$.overrides.a/b.input_usd_per_million: is no number"],
            id="not a number",
        ),
        pytest.param(
            {"a/b": "free", "A/b": PRICE},
            ["$.overrides.A/b: is 'a/b' again (upper and lower case are one): leave one of them"],
            id="one model twice",
        ),
    ],
)  # fmt: skip
def test_what_no_schema_says_is_one_sentence_each(section, told):
    assert list(overrides.problems(section, WHERE)) == told


def test_periods_may_touch_and_stand_in_any_order():
    section = {
        "a/b": [{**PRICE, "since": "2027-01-01"}, {**PRICE, "until": "2026-12-01"},
                {"discount_percent": 5, "since": "2026-12-01", "until": "2027-01-01T01:00+01:00"}],
        "c/d": "free",
    }  # fmt: skip

    assert list(overrides.problems(section, WHERE)) == []


def test_a_price_of_ones_own_replaces_the_lists_while_it_holds_and_a_discount_does_not():
    found = Overrides(PERIODS)

    assert [found.replaces("acme", "big", at) for at in (NOVEMBER - 1, NOVEMBER, DECEMBER, JANUARY)] == [
        False,
        False,
        True,
        False,
    ]
