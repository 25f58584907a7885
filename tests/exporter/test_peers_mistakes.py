"""Mistakes that other cost trackers made and were billed for, each by the number of its report.

A usage goes in as a caller posts it (a socket, the ingest, the real prices) or as an SDK's hook tells it; looked at
is what people look at: the counters and the ledger's report.
"""

import itertools
import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import anthropic
import anthropic_stand_in
import openai
import openai_stand_in
import pytest
from provider_stand_in import serving
from topmast_exporter.instrument.llm.anthropic import instrument_anthropic
from topmast_exporter.instrument.llm.openai import instrument_openai
from topmast_exporter.ledger_report import report
from topmast_exporter.pricing.price import COMPONENTS, PICO, Pricer
from topmast_exporter.pricing.tokens import Tokens
from topmast_exporter.registry import Registry
from topmast_exporter.usage import UsageSender, http_post

QUESTION: Any = [{"role": "user", "content": "hello"}]
_numbers = itertools.count()


def usd(amount: str) -> int:
    """Return dollars in pico-USD."""
    whole, _, rest = amount.partition(".")
    return int(whole) * PICO + int(f"{rest:0<12}")


@pytest.fixture
def post(ingest: Any) -> Callable[..., dict[str, Any]]:
    """`post(provider, model, …)`: one event; returns how it is booked."""

    def post(provider: str, model: str, **told: Any) -> dict[str, Any]:
        event_id = f"e{next(_numbers)}"
        body = {"id": event_id, "provider": provider, "model": model, **told}
        status, _, answer = ingest.post("/v1/usage", json.dumps(body).encode())
        assert (status, json.loads(answer)["rejected"]) == (202, [])
        columns = ("id", "price_status", "price_reason", "input", "output", *(f"cost_{part}" for part in COMPONENTS))
        (booked,) = [row for row in ingest.rows(*columns) if row["id"] == event_id]
        return {**booked, "usd": sum(booked[f"cost_{part}"] for part in COMPONENTS)}

    return post


@pytest.fixture
def sender(ingest: Any) -> Iterator[UsageSender]:
    """What hooks tell, told to the ingest."""
    one = UsageSender(http_post(ingest.url, ""), Registry(), interval_seconds=0.01)
    yield one
    one.close()


def spent(ingest: Any) -> int:
    """Return the report's total in pico-USD."""
    return sum(row.total for row in report(ingest.folder))


# --- a price of nothing ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("said", [0, 0.0, None], ids=["cost 0", "cost 0.0", "no cost"])
def test_litellm_37923_and_40100_a_stream_whose_chunks_say_cost_0_costs_what_it_costs(
    ingest: Any, post: Any, said: float | None
) -> None:
    booked = post("openai", "gpt-4o", usage={"input": 10_000, "output": 1_000}, stream=True, cost_usd=said)

    assert booked["usd"] == usd("0.035")
    mismatches = ingest.count("llm_cost_mismatch_total", provider="openai", model="gpt-4o")
    assert mismatches == (None if said is None else 1)


@pytest.mark.parametrize(
    ("provider", "model", "reason"),
    [
        pytest.param("openai", "gpt-77-ultra", "unknown_model", id="agent_afk_865"),
        pytest.param("my-gateway", "gpt-4o", "unknown_provider", id="openlit"),
    ],
)
def test_an_unknown_price_is_counted_and_listed_and_is_not_0(
    ingest: Any, post: Any, provider: str, model: str, reason: str
) -> None:
    booked = post(provider, model, usage={"input": 10_000, "output": 1_000})

    assert (booked["price_status"], booked["price_reason"]) == ("unpriced", reason)
    assert ingest.count("llm_unpriced_requests_total", provider=provider, model=model, reason=reason) == 1
    assert ingest.count("llm_cost_usd_total", provider=provider, model=model, feature="", component="input") is None
    assert [row.unpriced for row in report(ingest.folder)] == [1]


# --- streams ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "report_id", ["openllmetry_627", "openllmetry_2898", "langchain_30429", "spring_ai_2671", "openinference_2258"]
)
def test_a_stream_that_nobody_asked_for_its_usage_says_it(ingest: Any, sender: UsageSender, report_id: str) -> None:
    with serving(openai_stand_in.Provider()) as provider, openai.OpenAI(base_url=provider.url, api_key="x") as plain:
        client = instrument_openai(plain, sender=sender)
        chunks = list(client.chat.completions.create(model="gpt-4o-mini", messages=QUESTION, stream=True))
    assert sender.flush(10)

    assert all(chunk.choices for chunk in chunks)  # and the application sees no more than without the hook
    (row,) = report(ingest.folder)
    assert {name: row.tokens[name] for name in openai_stand_in.COUNTED} == openai_stand_in.COUNTED


def said(prompt: int, completion: int, **more: Any) -> dict[str, Any]:
    """Return a usage as OpenAI's API writes it."""
    return {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion, **more}


def piece(text: str = "", ended: str | None = None) -> list[Any]:
    return [{"index": 0, "delta": {"content": text} if text else {}, "finish_reason": ended}]


@pytest.mark.parametrize(
    ("script", "tokens"),
    [
        # LiteLLM fell back to its own guess: 13 and 0 for 107 and 20
        pytest.param([(piece("hi"), None), (piece(ended="stop"), said(107, 20))], (107, 20), id="litellm_36943"),
        # the provider's own figures: 15,872 of 16,111 were cached, and four times as much was billed
        pytest.param(
            [
                (piece("hi", "stop"), None),
                (piece(), said(16_111, 2, prompt_tokens_details={"cached_tokens": 15_872})),
            ],
            (16_111, 2),
            id="litellm_36168",
        ),
        pytest.param(
            [(piece("h"), said(500, 1)), (piece("i"), said(500, 2)), (piece(ended="stop"), said(500, 3)), ([], None)],
            (500, 3),
            id="langfuse_8808",
        ),
    ],
)
def test_a_streams_usage_counts_wherever_it_stands_and_once(
    ingest: Any, sender: UsageSender, script: Any, tokens: tuple[int, int]
) -> None:
    with serving(openai_stand_in.Provider()) as provider, openai.OpenAI(base_url=provider.url, api_key="x") as plain:
        provider.script = script
        client = instrument_openai(plain, sender=sender)
        chunks = list(client.chat.completions.create(model="gpt-4o", messages=QUESTION, stream=True))
    assert sender.flush(10)

    (row,) = report(ingest.folder)
    assert (row.tokens["input"], row.tokens["output"]) == tokens
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices) == "hi"


@pytest.mark.parametrize("report_id", ["litellm_37924", "litellm_40950"])
def test_a_stream_whose_usage_says_cost_0_costs_what_it_costs(
    ingest: Any, sender: UsageSender, report_id: str
) -> None:
    with serving(openai_stand_in.Provider()) as provider, openai.OpenAI(base_url=provider.url, api_key="x") as plain:
        provider.script = [(piece("hi"), said(10_000, 1, cost=0)), ([], said(10_000, 1_000, cost=0))]
        client = instrument_openai(plain, sender=sender)
        list(client.chat.completions.create(model="gpt-5", messages=QUESTION, stream=True))
    assert sender.flush(10)

    assert spent(ingest) == usd("0.01125")  # the stand-in serves it as flex, at half the price


def test_a_stream_without_usage_is_missing_and_unpriced(ingest: Any, sender: UsageSender) -> None:
    with serving(openai_stand_in.Provider()) as provider, openai.OpenAI(base_url=provider.url, api_key="x") as plain:
        client = instrument_openai(plain, sender=sender)
        list(client.chat.completions.create(model="silent", messages=QUESTION, stream=True))
    assert sender.flush(10)

    assert ingest.count("llm_usage_missing_total", provider="openai", model="silent", stream="true") == 1
    assert ingest.rows("price_status", "price_reason") == [
        {"price_status": "unpriced", "price_reason": "usage_missing"}
    ]


def test_an_aborted_stream_costs_at_least_what_it_said(ingest: Any, sender: UsageSender) -> None:
    model: Any = "claude-3-7-sonnet-20250219"
    with (
        serving(anthropic_stand_in.Provider()) as provider,
        anthropic.Anthropic(base_url=provider.url, api_key="x") as plain,
    ):
        client = instrument_anthropic(plain, sender=sender)
        stream = client.messages.create(model=model, max_tokens=600, messages=QUESTION, stream=True)
        next(iter(stream))
        stream.close()
    assert sender.flush(10)

    (row,) = report(ingest.folder)
    # 3 in, 1,000 read, 12,000 and 304 written for five minutes and for an hour, and the first token out
    assert row.total == usd("0.000009") + usd("0.0003") + usd("0.045") + usd("0.001824") + usd("0.000015")
    assert ingest.rows("outcome") == [{"outcome": "cancelled"}]


# --- cached input: a part of the input, or on top -----------------------------------------------------------------


@pytest.mark.parametrize(
    "report_id", ["langfuse_12306", "langfuse_10592", "langsmith_2519", "posthog_39901", "litellm_6575"]
)
@pytest.mark.parametrize(
    ("usage", "convention"),
    [
        ({"input": 3, "cache_read": 130_000, "output": 210}, "additive"),
        ({"input": 130_003, "cache_read": 130_000, "output": 210}, "total"),
    ],
    ids=["Anthropic's convention", "OpenAI's convention"],
)
def test_cached_tokens_are_counted_once(
    ingest: Any, post: Any, usage: dict[str, int], convention: str, report_id: str
) -> None:
    booked = post("anthropic", "claude-sonnet-4-5", usage=usage, convention=convention)

    assert booked["input"] + booked["output"] == 130_213  # 260,421 were shown
    assert (booked["cost_input"], booked["cost_cache_read"]) == (usd("0.000009"), usd("0.039"))


def test_litellm_6575_a_written_token_costs_its_price_instead_of_the_inputs_not_on_top(post: Any) -> None:
    booked = post(
        "anthropic",
        "claude-3-5-sonnet-20241022",
        usage={"input": 0, "cache_write_5m": 1_000_000},
        convention="additive",
    )

    assert (booked["usd"], booked["cost_input"], booked["cost_cache_write"]) == (usd("3.75"), 0, usd("3.75"))


def test_more_cached_than_there_was_is_refused_and_not_guessed_at(ingest: Any) -> None:
    told = {"input": 3, "cache_read": 130_000, "output": 210}
    body = {"id": "1", "provider": "anthropic", "model": "claude-sonnet-4-5", "usage": told, "convention": "total"}

    _, _, answer = ingest.post("/v1/usage", json.dumps(body).encode())

    assert json.loads(answer)["rejected"] == [{"index": 0, "reason": "cache_exceeds_input"}]
    assert report(ingest.folder) == []


def test_9router_3481_reasoning_is_a_part_of_the_output(post: Any) -> None:
    plain = post("openai", "gpt-5", usage={"input": 100, "output": 5_000})
    thinking = post("openai", "gpt-5", usage={"input": 100, "output": 5_000, "reasoning": 4_000})

    assert plain["usd"] == thinking["usd"] == usd("0.050125")


# --- steps and tiers ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("provider", "model", "most"),
    [
        pytest.param("openai", "gpt-5.4", 272_000, id="OpenAI: above 272,000"),
        pytest.param("anthropic", "claude-sonnet-4-5", 200_000, id="Anthropic: above 200,000"),
        pytest.param("x-ai", "grok-4.20", 199_999, id="xAI: from 200,000 on"),
        pytest.param("google", "gemini-2.5-pro", 200_000, id="Google: above 200,000"),
    ],
)
def test_opencodex_952_a_step_begins_where_its_provider_says(
    pricer: Pricer, provider: str, model: str, most: int
) -> None:
    def cost(tokens: int) -> int:
        at = datetime(2026, 11, 20, tzinfo=UTC).timestamp()
        return pricer.price(provider, model, Tokens(input=tokens), at).total

    assert cost(most) % most == cost(most + 1) % (most + 1) == 0
    assert cost(most + 1) // (most + 1) == 2 * (cost(most) // most)  # of the whole request


@pytest.mark.parametrize(
    "usage",
    [
        pytest.param({"input": 16, "cache_read": 226_784, "output": 1}, id="langfuse_12996"),
        pytest.param({"input": 1, "cache_write_5m": 200_000, "output": 1}, id="ccusage_1541"),
    ],
)
def test_a_step_is_reached_by_all_that_the_model_reads_cached_or_not(post: Any, usage: dict[str, int]) -> None:
    long = post("anthropic", "claude-sonnet-4-5", usage=usage, convention="additive")

    assert long["cost_input"] == usage["input"] * usd("0.000006")
    assert long["cost_output"] == usd("0.0000225")


@pytest.mark.parametrize(
    ("provider", "model", "told", "share"),
    [
        pytest.param("openai", "gpt-4o-mini", {"batch": True}, (1, 2), id="langfuse_13780"),
        pytest.param("openai", "gpt-5", {"service_tier": "flex"}, (1, 2), id="genai_prices_390"),
        pytest.param("openai", "gpt-5", {"service_tier": "priority"}, (2, 1), id="genai_prices_429"),
        pytest.param("openai", "gpt-4o-mini", {"service_tier": "batch"}, (1, 2), id="litellm_30450"),
        pytest.param("openai", "gpt-4o-mini", {"service_tier": "default"}, (1, 1), id="nothing special"),
    ],
)
def test_a_tier_has_its_price(
    post: Any, provider: str, model: str, told: dict[str, Any], share: tuple[int, int]
) -> None:
    usage = {"input": 100_000, "output": 1_000}

    standard, tier = post(provider, model, usage=usage), post(provider, model, usage=usage, **told)

    assert tier["price_status"] == "priced"
    assert tier["usd"] * share[1] == standard["usd"] * share[0]


def test_litellm_39861_a_long_batch_is_half_of_the_long_price(post: Any) -> None:
    usage = {"input": 250_000, "output": 1_000}

    standard = post("anthropic", "claude-sonnet-4-5", usage=usage)
    batch = post("anthropic", "claude-sonnet-4-5", usage=usage, batch=True)

    assert standard["usd"] == usd("1.5225")
    assert batch["usd"] == usd("0.76125")


# --- once a call ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("outcome", ["error", "timeout", "rate_limited"])
def test_langfuse_9038_a_failed_call_costs_only_what_it_says_it_used(ingest: Any, post: Any, outcome: str) -> None:
    nothing = post("openai", "gpt-4o", outcome=outcome)
    half = post("openai", "gpt-4o", outcome=outcome, usage={"input": 10_000, "output": 0})

    assert (nothing["price_status"], nothing["usd"]) == ("free", 0)
    assert (half["price_status"], half["usd"]) == ("priced", usd("0.025"))
    # counters count it, histograms of answers do not
    assert (
        ingest.count("llm_tokens_total", provider="openai", model="gpt-4o", feature="", direction="input") == 10_000
    )
    assert not ingest.count("llm_request_duration_seconds_count", provider="openai", model="gpt-4o")


def test_langfuse_2112_and_litellm_1787_an_answer_from_a_cache_is_no_spend(ingest: Any, post: Any) -> None:
    booked = post("openai", "gpt-4o", outcome="cached", usage={"input": 10_000, "output": 1_000})

    assert (booked["price_status"], booked["usd"], spent(ingest)) == ("free", 0, 0)
    assert not ingest.count("llm_tokens_total", provider="openai", model="gpt-4o", feature="", direction="input")
    assert ingest.count("llm_requests_total", provider="openai", model="gpt-4o", feature="", outcome="cached") == 1


def test_langfuse_2112_a_client_that_is_instrumented_twice_counts_once(ingest: Any, sender: UsageSender) -> None:
    with serving(openai_stand_in.Provider()) as provider, openai.OpenAI(base_url=provider.url, api_key="x") as plain:
        client = instrument_openai(instrument_openai(plain, sender=sender), sender=sender)
        client.with_options(timeout=9).chat.completions.create(model="gpt-4o-mini", messages=QUESTION)
    assert sender.flush(10)

    assert [row.requests for row in report(ingest.folder)] == [1]


def test_litellm_27519_a_restart_forgets_no_cent(start: Any) -> None:
    first = start()
    body = {"id": "1", "provider": "openai", "model": "gpt-4o", "usage": {"input": 90_000_000}}
    first.post("/v1/usage", json.dumps(body).encode())
    labels = {"provider": "openai", "model": "gpt-4o", "feature": "", "component": "input"}
    before = first.count("llm_cost_usd_total", **labels)
    first.stop()

    again = start()

    assert before == again.count("llm_cost_usd_total", **labels) == 225.0


def test_litellm_26611_what_the_dashboard_shows_is_what_the_report_says(ingest: Any) -> None:
    lines = [
        {
            "id": f"1-{number}",
            "provider": "openai",
            "model": ("gpt-4o", "gpt-4.1-mini", "o3")[number % 3],
            "feature": ("search", "")[number % 2],
            "usage": {"input": 7 * number + 1, "output": number, "cache_read": number},
            "convention": "total",
        }
        for number in range(300)
    ]
    ingest.post("/v1/usage", "\n".join(map(json.dumps, lines)).encode(), "application/x-ndjson")

    booked = {
        (*row.group, part): cost
        for row in report(ingest.folder, ("provider", "model", "feature"))
        for part, cost in row.cost.items()
    }
    shown = {
        (provider, model, feature, part): ingest.count(
            "llm_cost_usd_total", provider=provider, model=model, feature=feature, component=part
        )
        for provider, model, feature, part in booked
    }
    assert sum(booked.values()) == spent(ingest) > 0
    assert {key: round((value or 0) * PICO) for key, value in shown.items()} == booked
