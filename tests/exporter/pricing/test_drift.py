"""Drift: the second table against the first, a unit at a time, at every length of context."""

import json

import pytest
from topmast_exporter.pricing import drift, litellm, refresh
from topmast_exporter.pricing.price import Pricer
from topmast_exporter.pricing.table import PriceTable, PriceTableError
from topmast_exporter.pricing.tokens import Tokens
from topmast_exporter.registry import Registry

NOW = 1.79e9


def entry(provider="openai", **prices):
    return {"litellm_provider": provider, **prices}


def written(path, document, version="9.9"):
    source = path / "list.json"
    source.write_text(json.dumps(document))
    assert litellm.main([str(source), str(path / "out"), "--version", version, "--day", "2026-11-01"]) == 0
    return PriceTable.load(path / "out")


def test_litellms_list_is_compiled_to_exact_integers_under_our_names(tmp_path):
    table = written(
        tmp_path,
        {
            "sample_spec": {"input_cost_per_token": 0.0, "litellm_provider": "one of …"},
            "xai/grok-9": entry("xai", input_cost_per_token=1.5e-07, output_cost_per_token=3e-07),
            "grok-9": entry("xai", input_cost_per_token=9),  # no price: nine dollars a token
            "a": entry(input_cost_per_token=2e-06, input_cost_per_token_above_272k_tokens=4e-06),
        },
    )

    assert table.source == "litellm 9.9"
    assert table.model_count == 2
    grok = table.find("x-ai", "grok-9")
    assert grok.sheet(grok.select(NOW)) == {"input_tokens": 150_000, "output_tokens": 300_000}
    long = table.find("openai", "a")
    assert long.sheet(long.select(NOW)) == {"input_tokens": {"base": 2_000_000, "steps": [[272_000, 4_000_000]]}}


@pytest.mark.parametrize(
    ("ours", "theirs", "apart"),
    [
        pytest.param({"input_tokens": 100}, {"input_tokens": 100}, 0.0, id="equal"),
        pytest.param({"input_tokens": 100}, {"input_tokens": 1000}, 9.0, id="litellm_9833: ten times as much"),
        pytest.param(
            {"input_tokens": 1, "output_tokens": 4}, {"input_tokens": 1, "output_tokens": 3}, 0.25, id="less"
        ),
        pytest.param({"input_tokens": 0}, {"input_tokens": 5}, 1.0, id="free here and not there"),
        pytest.param({"input_tokens": [1, 3]}, {"input_tokens": [1, 3]}, 0.0, id="no whole number"),
        pytest.param({"input_tokens": 1}, {"output_tokens": 1}, None, id="nothing in common"),
        pytest.param(
            {"input_tokens": {"base": 2, "steps": [[200_000, 4]]}}, {"input_tokens": 2}, 0.5, id="a long context"
        ),
        pytest.param(
            {"input_tokens": {"base": 2, "steps": [[199_999, 4]]}},
            {"input_tokens": {"base": 2, "steps": [[200_000, 4]]}},
            0.0,
            id="at 200,000 or after them",
        ),
    ],
)
def test_the_largest_difference_of_a_price(ours, theirs, apart):
    assert drift.difference(ours, theirs) == apart


@pytest.fixture(scope="module")
def tables(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tables")
    return refresh.load(folder), drift.load(folder)


def test_the_bundled_table_agrees_on_the_commonest_models(tables):
    first, second = tables

    apart = [
        drift.ratio(first, second, provider, model, NOW)
        for provider, model in (("openai", "gpt-4o-mini"), ("openai", "gpt-4.1"), ("google", "gemini-2.5-flash"))
    ]

    assert apart == [0.0, 0.0, 0.0]
    assert second.model_count > 1000


def test_langfuse_12996_where_the_tables_disagree_it_is_shown(tables):
    """A long context of claude-sonnet-4-5 costs twice as much in the one: nobody here can say which is right."""
    first, second = tables
    usage = Tokens(input=16 + 226_784 + 48_454, cache_read=226_784, cache_write_5m=48_454, output=2_621)

    ours, theirs = (
        Pricer(table).price("anthropic", "claude-sonnet-4-5", usage, NOW).total / 10**12 for table in (first, second)
    )

    assert (round(ours, 4), round(theirs, 4)) == (0.5585, 0.2891)
    assert drift.ratio(first, second, "anthropic", "claude-sonnet-4-5", NOW) == 0.5


def test_only_called_models_have_a_series_and_overridden_ones_have_none(tables):
    registry = Registry()
    called = [("openai", "gpt-4o-mini"), ("openai", "gpt-4.1"), ("acme", "nobody-knows"), ("_other", "_other")]
    found = drift.Drift(lambda: called, registry, lambda: NOW)
    assert found.samples() == []

    found.use(tables[0], {"OpenAI/gpt-4.1": "free"}, tables[1])

    assert found.samples() == [(("openai", "gpt-4o-mini"), 0.0)]
    assert [source for (source,), _ in found.tables()] == ["litellm", "genai-prices"]
    assert {"llm_price_drift_ratio", "llm_price_table_timestamp_seconds"} <= {one.name for one in registry.families()}


def test_a_wrong_price_in_the_users_own_second_table_is_seen(tables, tmp_path):
    source = tmp_path / "prices.json"
    source.write_text(json.dumps({"gpt-4.1": entry(input_cost_per_token=2e-05, output_cost_per_token=8e-06)}))

    second = drift.load(tmp_path, str(source))

    assert drift.ratio(tables[0], second, "openai", "gpt-4.1", NOW) == 9.0  # $2 a million here, $20 there


def test_a_compiled_table_of_before_can_be_the_second_one(tables, tmp_path):
    refresh.load(tmp_path)

    second = drift.load(tmp_path, str(tmp_path / refresh.FILE))

    assert drift.ratio(tables[0], second, "anthropic", "claude-sonnet-4-5", NOW) == 0.0


@pytest.mark.parametrize(
    ("content", "said"),
    [
        pytest.param(None, "cannot be read", id="missing"),
        pytest.param(b"{", "list.json", id="cut off"),
        pytest.param(b"[]", "not LiteLLM's price list", id="another document"),
        pytest.param(b'{"a": {"litellm_provider": "openai"}}', "no model", id="no prices"),
        pytest.param(b"\xff\xfe", "cannot be read", id="no text"),
        pytest.param(b'{"format": 99}\n', "format 99", id="a newer format"),
    ],
)
def test_a_second_table_that_cannot_be_used_says_why(tmp_path, content, said):
    path = tmp_path / "list.json"
    if content is not None:
        path.write_bytes(content)

    with pytest.raises(PriceTableError, match=said):
        drift.load(tmp_path, str(path))
