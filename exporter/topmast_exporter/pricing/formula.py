"""A price sheet as a formula: the source of a Python function, which takes a third of what a loop over charges does.

What comes out for a sheet of input, output and cached input, at 150, 600 and 75 pico-USD:

    def price(t):
        c0 = t[2]
        c1 = t[0] - t[2]
        if c1 < 0: return INCONSISTENT
        c2 = t[1]
        if not (c0 or c1 or c2): return NOT_MEASURED if t[0] or t[1] else made(Price, (PRICED, NOTHING, ''))
        return made(Price, (PRICED, (c1 * 150, c2 * 600, c0 * 75, 0, 0), ''))
"""

from collections.abc import Sequence
from typing import NamedTuple

Ratio = tuple[int, int]
"""A price of one unit in pico-USD: numerator, denominator."""


class Charge(NamedTuple):
    """One unit that a sheet prices: how many of it a request has, and what each costs."""

    component: int
    """Its place in COMPONENTS."""
    terms: tuple[tuple[int, int], ...]
    """(field of Tokens, factor): the unit's own count less what its more specific units take."""
    constant: int
    price: Ratio
    steps: tuple[tuple[int, Ratio], ...]
    """(start, price): above `start` input tokens the whole request has this price."""


def source(charges: Sequence[Charge], components: int) -> str:
    """Return the source of `price(t)`, t being the counts of Tokens; the names that it uses are in the example."""
    lines = ["def price(t):"]
    sums: list[list[str]] = [[] for _ in range(components)]
    costs_something, may_cost_something = False, []
    for number, charge in enumerate(charges):
        lines.append(f"    c{number} = {_count(charge)}")
        if any(factor < 0 for _, factor in charge.terms):
            lines.append(f"    if c{number} < 0: return INCONSISTENT")
        prices = [charge.price, *(price for _, price in charge.steps)]
        if not charge.steps:
            amount = _amount(number, charge.price)
        else:
            lines.append(f"    n{number}, a{number} = {_priced(number, charge.price)}")
            for place, (start, price) in enumerate(charge.steps):
                word = "elif" if place else "if"
                lines.append(f"    {word} t[0] > {start}: n{number}, a{number} = {_priced(number, price)}")
            amount = f"a{number}"
        if all(numerator for numerator, _ in prices):
            costs_something = True
        elif any(numerator for numerator, _ in prices):
            may_cost_something.append(f"n{number}")
        if amount != "0":
            sums[charge.component].append(amount)
    status = "PRICED" if costs_something else f"PRICED if {' or '.join(may_cost_something) or 0} else FREE"
    # `NOT_MEASURED`: priced by something that a usage event does not have, such as seconds, pages, characters
    measured = " or ".join(f"c{number}" for number in range(len(charges))) or "0"
    unmeasured = "t[0] or t[1]" if charges else "1"
    lines.append(
        f"    if not ({measured}): return NOT_MEASURED if {unmeasured} else made(Price, ({status}, NOTHING, ''))"
    )
    parts = ", ".join(" + ".join(amounts) or "0" for amounts in sums)
    lines.append(f"    return made(Price, ({status}, ({parts}), ''))")
    return "\n".join(lines)


def _count(charge: Charge) -> str:
    terms = [
        f"{factor} * t[{field}]" if abs(factor) != 1 else f"{'-' * (factor < 0)}t[{field}]"
        for field, factor in charge.terms
    ]
    if charge.constant or not terms:
        terms.append(str(charge.constant))
    return " + ".join(terms).replace("+ -", "- ")


def _priced(number: int, price: Ratio) -> str:
    return f"{price[0]}, {_amount(number, price)}"


def _amount(number: int, price: Ratio) -> str:
    numerator, denominator = price
    if not numerator:
        return "0"
    return f"c{number} * {numerator}" if denominator == 1 else f"half_even(c{number} * {numerator}, {denominator})"
