"""Normalisation of usage: OpenAI's subset and Anthropic's addition become one convention, nonsense is refused."""

import math

import pytest
from topmast_exporter.pricing.tokens import Tokens, UsageError, normalise


@pytest.mark.parametrize(
    ("usage", "convention", "tokens"),
    [
        pytest.param({"input": 10, "output": 2}, "", Tokens(input=10, output=2), id="plain"),
        pytest.param(
            {"input": 100, "cache_read": 60, "output": 1},
            "total",
            Tokens(input=100, cache_read=60, output=1),
            id="OpenAI: cached is a part",
        ),
        pytest.param(
            {"input": 3, "cache_read": 60, "cache_write_5m": 30, "cache_write_1h": 7, "output": 1},
            "additive",
            Tokens(input=100, cache_read=60, cache_write_5m=30, cache_write_1h=7, output=1),
            id="Anthropic: cached comes on top",
        ),
        pytest.param({"input": 12.0}, "", Tokens(input=12), id="12.0 of another language"),
        pytest.param({"input": 5, "output": None}, "", Tokens(input=5), id="null is nothing"),
    ],
)
def test_usage_becomes_one_convention(usage, convention, tokens):
    assert normalise(usage, convention) == tokens


@pytest.mark.parametrize(
    ("usage", "convention", "reason"),
    [
        pytest.param({"input": -1}, "", "negative_tokens", id="negative"),
        pytest.param({"input": 10**15}, "", "too_many_tokens", id="10^15"),
        pytest.param({"input": math.nan}, "", "not_a_number", id="NaN"),
        pytest.param({"input": math.inf}, "", "too_many_tokens", id="infinity"),
        pytest.param({"input": "12"}, "", "not_a_number", id="a string"),
        pytest.param({"input": True}, "", "not_a_number", id="a boolean"),
        pytest.param({"input": 1.5}, "", "not_a_number", id="half a token"),
        pytest.param({"prompt": 1}, "", "unknown_usage_key", id="an unknown key"),
        pytest.param({"input": 100, "cache_read": 60}, "", "convention_missing", id="cached, but in which sense?"),
        pytest.param({"input": 1}, "sum", "unknown_convention", id="a third convention"),
        pytest.param({"input": 3, "cache_read": 60}, "total", "cache_exceeds_input", id="additive said as total"),
        pytest.param(
            {"input": 1, "output": 5, "reasoning": 6}, "", "reasoning_exceeds_output", id="reasoning on top"
        ),
        pytest.param({"input": 1, "audio_in": 2}, "", "audio_exceeds_tokens", id="audio on top"),
    ],
)
def test_nonsense_is_refused_with_a_reason(usage, convention, reason):
    with pytest.raises(UsageError) as refused:
        normalise(usage, convention)

    assert refused.value.reason == reason
