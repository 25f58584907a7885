"""Prices: exact to the pico-USD, equal to genai-prices, unknown where they are unknown."""

import itertools
from datetime import UTC, datetime
from decimal import Decimal
from fractions import Fraction

import pytest
from topmast_exporter.pricing.price import COMPONENTS, PICO, Price, Pricer, half_even
from topmast_exporter.pricing.refresh import FILE, is_current, load
from topmast_exporter.pricing.table import PriceTable, PriceTableError
from topmast_exporter.pricing.tokens import Tokens, normalise


@pytest.fixture(scope="session")
def table_path(tmp_path_factory):
    folder = tmp_path_factory.mktemp("prices")
    load(folder)
    return folder / FILE


@pytest.fixture(scope="session")
def table(table_path):
    return PriceTable.load(table_path)


@pytest.fixture
def pricer(table):
    return Pricer(table)


def unix(day):
    return datetime.fromisoformat(day).replace(tzinfo=UTC).timestamp()


def test_invoice_litellm_9812_cache_writes_are_instead_of_input_not_on_top(pricer):
    usage = normalise({"input": 3, "cache_write_5m": 12_304, "output": 550}, "additive")

    price = pricer.price("anthropic", "claude-3-7-sonnet-20250219", usage, unix("2025-04-01"))

    assert price.total == 54_399_000_000  # the console billed $0.05439
    assert dict(zip(COMPONENTS, price.parts, strict=True)) == {
        "input": 9_000_000,
        "output": 8_250_000_000,
        "cache_read": 0,
        "cache_write": 46_140_000_000,
        "other": 0,
    }


@pytest.mark.parametrize(
    ("day", "usd"),
    [
        pytest.param("2026-04-10", "0.2891", id="after the change of price"),
        pytest.param("2026-02-20", "0.5585", id="before it: the whole request at the long-context rate"),
    ],
)
def test_invoice_langfuse_12996_is_priced_by_its_date(pricer, day, usd):
    tokens = {"input": 16, "cache_read": 226_784, "cache_write_5m": 48_454, "output": 2_621}
    usage = normalise(tokens, "additive")

    price = pricer.price("anthropic", "claude-sonnet-4-6", usage, unix(day))

    assert round(Decimal(price.total) / PICO, 4) == Decimal(usd)


def test_langfuse_12306_is_not_counted_twice():
    usage = normalise({"input": 3, "cache_read": 130_000, "output": 210}, "additive")

    assert usage.input + usage.output == 130_213


def test_reasoning_is_a_part_of_the_output_and_not_billed_again(pricer):
    at = unix("2026-11-01")

    plain = pricer.price("openai", "gpt-5", Tokens(input=100, output=500), at)
    thinking = pricer.price("openai", "gpt-5", Tokens(input=100, output=500, reasoning=400), at)

    assert plain == thinking
    assert plain.total > 0


def test_a_batch_costs_half_and_a_tier_nobody_knows_is_unpriced_not_standard(pricer):
    at, usage = unix("2026-11-01"), Tokens(input=1000, output=100)

    standard = pricer.price("openai", "gpt-4o-mini", usage, at)
    batch = pricer.price("openai", "gpt-4o-mini", usage, at, batch=True)
    named = pricer.price("openai", "gpt-4o-mini", usage, at, tier="default")
    unknown = pricer.price("openai", "gpt-4o-mini", usage, at, tier="platinum")

    assert batch.total * 2 == standard.total
    assert named == standard
    assert (unknown.status, unknown.reason, unknown.total) == ("unpriced", "unknown_tier", 0)


@pytest.mark.parametrize(
    ("provider", "model", "tokens", "reason"),
    [
        pytest.param("openai", "gpt-77-ultra", Tokens(input=1), "unknown_model", id="a model of tomorrow"),
        pytest.param("my-gateway", "gpt-4o", Tokens(input=1), "unknown_provider", id="a provider of one's own"),
        pytest.param("openai", "whisper-1", Tokens(input=5, output=5), "unit_not_measured", id="priced by the hour"),
        pytest.param("github-copilot", "gpt-4o-mini", Tokens(input=1), "no_price", id="listed, without a price"),
    ],
)
def test_unknown_is_unpriced_with_a_reason_never_zero(pricer, provider, model, tokens, reason):
    assert pricer.price(provider, model, tokens, unix("2026-11-01")) == Price("unpriced", reason=reason)


def test_without_a_table_everything_is_unpriced_but_the_overrides():
    pricer = Pricer(None, {"vllm/llama": "free", "Acme/Big": {"input_usd_per_million": 0.1}})

    assert pricer.price("openai", "gpt-4o", Tokens(input=1), 0).reason == "no_price_table"
    assert pricer.price("vllm", "llama", Tokens(input=9), 0) == Price("free")
    assert pricer.price("acme", "big", Tokens(input=3), 0).total == 300_000


def test_an_override_prices_cached_input_as_input_unless_it_says_otherwise():
    plain = {"input_usd_per_million": 3, "output_usd_per_million": 15}
    cheap = {**plain, "cache_read_usd_per_million": 0.3}
    usage = Tokens(input=100, cache_read=90, output=10)

    assert Pricer(None, {"a/b": plain}).price("a", "b", usage, 0).parts == (300_000_000, 150_000_000, 0, 0, 0)
    assert Pricer(None, {"a/b": cheap}).price("a", "b", usage, 0).parts == (30_000_000, 150_000_000, 27_000_000, 0, 0)


@pytest.mark.parametrize(
    ("numerator", "denominator", "rounded"),
    [(1, 2, 0), (3, 2, 2), (5, 2, 2), (7, 3, 2), (8, 3, 3), (6, 3, 2)],
)
def test_a_tie_is_rounded_to_the_even_neighbour(numerator, denominator, rounded):
    assert half_even(numerator, denominator) == rounded == round(Fraction(numerator, denominator))


def test_a_strangers_names_do_not_grow_the_memory(table):
    for number in range(10_000):
        table.find("openai", f"model-{number}")

    assert len(table._found) <= 4096


SHAPES = [
    {"input": 1000, "output": 200},
    {"input": 1, "output": 0},
    {"input": 0, "output": 7},
    {"input": 300_000, "output": 1000},
    {"input": 272_000, "output": 1},
    {"input": 272_001, "output": 1},
    {"input": 200_001, "output": 1, "cache_read": 150_000},
    {"input": 128_001, "output": 3, "cache_read": 1},
    {"input": 5000, "output": 10, "cache_write_5m": 4000},
    {"input": 5000, "output": 10, "cache_write_1h": 3000, "cache_write_5m": 1000, "cache_read": 999},
    {"input": 500, "output": 400, "reasoning": 399},
    {"input": 500, "output": 400, "audio_in": 100},
    {"input": 500, "output": 400, "audio_out": 300},
    {"input": 7777, "output": 3333, "image_in": 77},
]
DATES = ["2025-06-01", "2026-03-01", "2026-11-20"]


def oracle(provider, model, shape, at, context):
    """Return genai-prices' total in pico-USD, None when it refuses the usage."""
    from genai_prices.types import Usage

    names = {
        "input": "input_tokens",
        "output": "output_tokens",
        "cache_read": "cache_read_tokens",
        "cache_write_1h": "cache_write_1h_tokens",
        "reasoning": "output_reasoning_tokens",
        "audio_in": "input_audio_tokens",
        "audio_out": "output_audio_tokens",
        "image_in": "input_image_tokens",
    }
    usage = {names[key]: count for key, count in shape.items() if key in names}
    written = shape.get("cache_write_5m", 0) + shape.get("cache_write_1h", 0)
    if written:
        usage["cache_write_tokens"] = written
    moment = datetime.fromtimestamp(at, tz=UTC)
    priced = model.calc_price(Usage(**usage), provider, genai_request_timestamp=moment, price_context=context)
    return Fraction(priced.total_price) * PICO


def test_every_seventh_model_costs_what_genai_prices_says(pricer):
    from genai_prices.data import providers

    compared, different = 0, []
    models = [(provider, model) for provider in providers for model in provider.models]
    for provider, model in models[::7]:
        if not isinstance(pricer.table.find(provider.id, model.id), str):
            if pricer.table.find(provider.id, model.id).id != model.id:
                continue  # another model of the provider matches this id first: asked for under that one's name
            for shape, day in itertools.product(SHAPES, DATES):
                ours = pricer.price(provider.id, model.id, Tokens(**shape), unix(day))
                if ours.status == "unpriced":
                    continue
                exact = oracle(provider, model, shape, unix(day), None)
                compared += 1
                if abs(ours.total - exact) > len([part for part in ours.parts if part]):
                    different.append((provider.id, model.id, shape, day, ours, float(exact)))

    assert different == []
    assert compared > 5000


def test_batches_and_tiers_cost_what_genai_prices_says(pricer):
    from genai_prices.data import providers

    compared, at = 0, unix("2026-11-20")
    for provider in providers:
        for model in provider.models:
            for variant in model.price_variants or ():
                ((key, value),) = variant.when.items()
                if key in ("route", "search_type"):
                    continue
                shape = {"input": 1000, "output": 100, "cache_read": 500}
                ours = pricer.price(provider.id, model.id, Tokens(**shape), at, tier=value)
                if ours.status != "unpriced":
                    exact = oracle(provider, model, shape, at, variant.when)
                    assert ours.total == exact, (provider.id, model.id, variant.when)
                    compared += 1

    assert compared > 100


@pytest.mark.parametrize(
    "content",
    [
        pytest.param("", id="empty"),
        pytest.param('{"format": 99}\n', id="of a newer version"),
        pytest.param("garbage\n", id="garbage"),
        pytest.param('{"format": 1, "providers": [{"id": "openai"}]}\n', id="cut off"),
    ],
)
def test_a_broken_table_is_refused_whole(tmp_path, content):
    path = tmp_path / FILE
    path.write_text(content)

    with pytest.raises(PriceTableError):
        PriceTable.load(path)
    assert not is_current(path) or content.startswith('{"format": 1')


def test_a_table_of_another_library_version_is_made_anew(table_path, tmp_path):
    old = table_path.read_text().replace('"source":"genai-prices ', '"source":"genai-prices 0.0-', 1)
    (tmp_path / FILE).write_text(old)

    table = load(tmp_path)

    assert is_current(tmp_path / FILE)
    assert table.model_count > 2000


def test_what_is_remembered_of_a_name_ends_with_its_price(pricer):
    usage = normalise({"input": 16, "cache_read": 226_784, "cache_write_5m": 48_454, "output": 2_621}, "additive")
    days = ["2026-04-10", "2026-02-20", "2026-04-11", "2026-02-19"]

    costs = [pricer.price("anthropic", "claude-sonnet-4-6", usage, unix(day)).total for day in days]

    assert costs[0] == costs[2] < costs[1] == costs[3]


def test_a_price_by_the_time_of_day_is_asked_each_time(pricer):
    names = [
        (provider["id"], model)
        for provider in pricer.table._providers
        for _, model in pricer.table._models_of(provider["id"])
        if any("daily" in one for one in model.prices)
    ]
    fresh, day = Pricer(pricer.table), unix("2026-11-20")

    assert names
    for (provider, model), hour in itertools.product(names, range(24)):
        at, usage = day + hour * 3600, Tokens(input=1000, output=100)
        fresh._known.clear()
        assert pricer.price(provider, model.id, usage, at) == fresh.price(provider, model.id, usage, at)


def test_a_strangers_names_do_not_grow_the_pricer(pricer):
    for number in range(10_000):
        pricer.price("openai", f"model-{number}", Tokens(input=1), 0)

    assert len(pricer._known) <= 4096
