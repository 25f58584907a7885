"""Prices by column are the prices one by one, for every model of the table, or left to these."""

import random

import pytest
from genai_prices.data import providers
from topmast_exporter.pricing import many, refresh
from topmast_exporter.pricing.price import COMPONENTS, Pricer
from topmast_exporter.pricing.tokens import FIELDS, Tokens

AT = 1_795_176_000.0
OVERRIDES = {
    "acme/big": {"input_usd_per_million": 0.1234567, "output_usd_per_million": 3, "cache_read_usd_per_million": 0.01},
    "acme/own": "free",
    "acme/third": {"input_usd_per_million": 1e-7 / 3},
}


@pytest.fixture(scope="module")
def pricer(tmp_path_factory):
    return Pricer(refresh.load(tmp_path_factory.mktemp("prices")), OVERRIDES)


def some(chance, count):
    """Return usages as applications have them; now and then an odd one."""
    found = []
    for _ in range(count):
        whole, out = chance.randrange(1, 9_000), chance.randrange(0, 900)
        cached = chance.randrange(whole) if chance.random() < 0.5 else 0
        reasoning = chance.randrange(out + 1) if chance.random() < 0.3 else 0
        found.append(Tokens(whole, out, cached, reasoning=reasoning))
    if chance.random() < 0.1:
        found[0] = Tokens(0, 0)
    if chance.random() < 0.2:
        found[-1] = Tokens(250_000, 10, 7, 8, 9, 1, 2, 3, 4)
    return found


def by_column(pricer, name, usages):
    columns = [column if any(column) else None for column in zip(*usages, strict=True)]
    found = many.price(pricer, name, columns, AT, AT + 900)
    if found is None:
        return None
    parts = zip(*(column or [0] * len(usages) for column in found.parts), strict=True)
    return [(found.status, each, found.reason) for each in parts]


def names():
    for provider in providers:
        for model in provider.models:
            yield provider.id, model.id
    for name in (*OVERRIDES, "acme/nobody", "openai/no-such-model"):
        yield tuple(name.split("/"))


def test_every_model_costs_the_same_either_way(pricer):
    chance, plain, asked = random.Random(3), 0, 0
    for provider, model in names():
        usages = some(chance, 6)
        found = by_column(pricer, (provider, model, "", False), usages)
        asked += 1
        if found is not None:
            plain += 1
            assert found == [pricer.price(provider, model, one, AT) for one in usages], (provider, model, usages)

    assert plain > asked / 2  # it is the way of most


@pytest.mark.parametrize(
    "usages",
    [
        pytest.param([Tokens(5, 5, cache_read=9)], id="more cached than there was"),
        pytest.param([Tokens(0, 0), Tokens(1, 1)], id="nothing measured"),
    ],
)
def test_what_is_not_plain_is_left_to_the_other_way(pricer, usages):
    assert by_column(pricer, ("acme", "big", "", False), usages) is None


def test_shapes(pricer):
    found = many.price(pricer, ("acme", "own", "", False), [None] * len(FIELDS), AT, AT)

    assert (found.status, len(found.parts)) == ("free", len(COMPONENTS))
