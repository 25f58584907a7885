"""Prices of many requests of one model at once, column by column: the integers that they have one by one.

Whatever is not plain (a price that steps, units that overlap, a count that cannot be) is left to `Pricer.price`.
"""

from collections.abc import Sequence
from operator import add, sub
from typing import NamedTuple

from topmast_exporter.pricing.price import COMPONENTS, FREE, PRICED, Pricer, half_even

Column = Sequence[int] | None
"""A number a request; None: 0 for each."""


class Prices(NamedTuple):
    """The prices of requests that have one status."""

    status: str
    reason: str
    parts: tuple[Column, ...]
    """pico-USD, a column for each of COMPONENTS."""


def price(
    pricer: Pricer, name: tuple[str, str, str, bool], tokens: Sequence[Column], first: float, last: float
) -> Prices | None:
    """Return the prices of requests of one (provider, model, tier, batch), made in [first, last]; None: not plain.

    `tokens` are columns in the order of FIELDS; at least one request.
    """
    known = pricer.known(*name, first)
    if not last < known.until:
        return None
    if known.sheet is None:
        return Prices(known.answer.status, known.answer.reason, (None,) * len(COMPONENTS))
    sheet = known.sheet
    if sheet.empty or sheet.overlaps:
        return None
    parts: list[Column] = [None] * len(COMPONENTS)
    measured, costs_something = False, False
    for charge in sheet.charges:
        numerator, denominator = charge.price
        if charge.constant or (charge.steps and _steps(charge.steps, tokens[0])):
            return None
        costs_something = costs_something or bool(numerator)
        counts = _counts(charge.terms, tokens)
        if counts is None:
            continue
        if not measured or len(charge.terms) > 1:  # a difference may be below 0
            least = min(counts)
            if least < 0:
                return None
            measured = measured or least > 0
        if not numerator:
            continue
        if denominator == 1:
            amounts = [count * numerator for count in counts]
        else:
            amounts = [half_even(count * numerator, denominator) for count in counts]
        standing = parts[charge.component]
        parts[charge.component] = amounts if standing is None else list(map(add, standing, amounts))
    return Prices(PRICED if costs_something else FREE, "", tuple(parts)) if measured else None


def _steps(steps: Sequence[tuple[int, tuple[int, int]]], inputs: Column) -> bool:
    return inputs is not None and max(inputs) > min(start for start, _ in steps)


def _counts(terms: Sequence[tuple[int, int]], tokens: Sequence[Column]) -> Column:
    """Return how many of its unit each request has."""
    counts: Column = None
    for field, factor in terms:
        column = tokens[field]
        if column is None:
            continue
        if counts is None:
            counts = column if factor == 1 else [factor * count for count in column]
        elif factor == -1:
            counts = list(map(sub, counts, column))
        else:
            counts = [a + factor * b for a, b in zip(counts, column)]  # noqa: B905 one length
    return counts
