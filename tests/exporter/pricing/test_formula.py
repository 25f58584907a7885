"""A sheet's formula is what its charges say, one by one."""

import re

from hypothesis import given
from hypothesis import strategies as some
from topmast_exporter.pricing import formula
from topmast_exporter.pricing.formula import Charge
from topmast_exporter.pricing.price import FREE, PRICED, UNPRICED, Price, half_even

COMPONENTS = 5
INCONSISTENT, NOT_MEASURED = Price(UNPRICED, reason="inconsistent_usage"), Price(UNPRICED, reason="unit_not_measured")

prices = some.tuples(some.integers(0, 10**9), some.sampled_from((1, 1, 1, 3, 1_000)))
charges = some.builds(
    Charge,
    component=some.integers(0, COMPONENTS - 1),
    terms=some.lists(
        some.tuples(some.integers(0, 8), some.sampled_from((-2, -1, 1, 2))),
        max_size=3,
        unique_by=lambda term: term[0],
    ).map(tuple),
    constant=some.integers(0, 1),
    price=prices,
    steps=some.lists(some.tuples(some.integers(0, 2_000), prices), max_size=2, unique_by=lambda step: step[0]).map(
        lambda steps: tuple(sorted(steps, reverse=True))
    ),
)


def function_of(listed):
    names = {
        "Price": Price,
        "made": tuple.__new__,
        "half_even": half_even,
        "PRICED": PRICED,
        "FREE": FREE,
        "NOTHING": (0,) * COMPONENTS,
        "INCONSISTENT": INCONSISTENT,
        "NOT_MEASURED": NOT_MEASURED,
    }
    exec(formula.source(listed, COMPONENTS), names)  # noqa: S102 its source is of numbers and of names of ours
    return names["price"]


def one_by_one(listed, tokens):
    parts, measured, costs_something = [0] * COMPONENTS, False, False
    for charge in listed:
        count = charge.constant + sum(factor * tokens[field] for field, factor in charge.terms)
        if count < 0:
            return INCONSISTENT
        numerator, denominator = next((price for start, price in charge.steps if tokens[0] > start), charge.price)
        costs_something = costs_something or numerator > 0
        measured = measured or count > 0
        parts[charge.component] += half_even(count * numerator, denominator)
    if not measured and (tokens[0] or tokens[1] or not listed):
        return NOT_MEASURED
    return Price(PRICED if costs_something else FREE, tuple(parts))


@given(some.lists(charges, max_size=4), some.tuples(*[some.integers(0, 3_000)] * 9))
def test_a_formula_gives_what_the_charges_say(listed, tokens):
    assert function_of(listed)(tokens) == one_by_one(listed, tokens)


def test_the_documented_example_is_what_comes_out():
    example = [
        Charge(2, ((2, 1),), 0, (75, 1), ()),
        Charge(0, ((0, 1), (2, -1)), 0, (150, 1), ()),
        Charge(1, ((1, 1),), 0, (600, 1), ()),
    ]

    told = re.search(r"def price\(t\):.*", formula.__doc__ or "", re.DOTALL)

    assert told is not None
    assert formula.source(example, COMPONENTS).split() == told[0].split()
