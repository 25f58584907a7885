"""The real LangChain: a fake chat model, and langchain-openai against a small real HTTP server."""

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import openai
import pytest
from caught import Caught, events, first_token
from langchain_core.language_models import GenericFakeChatModel
from langchain_core.messages import AIMessage
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI
from openai_stand_in import COUNTED, Provider
from provider_stand_in import serving
from topmast_exporter.instrument.llm import feature
from topmast_exporter.instrument.llm import langchain as hook
from topmast_exporter.instrument.llm.langchain import UsageCallback, usage_of
from topmast_exporter.instrument.llm.openai import instrument_openai
from topmast_exporter.instrument.llm.record import Usage


@pytest.fixture
def provider() -> Iterator[Provider]:
    with serving(Provider()) as server:
        yield server


@pytest.fixture
def callback(usage: Caught) -> UsageCallback:
    return UsageCallback(sender=usage[0])


def chat(provider: Provider, model: str = "gpt-4o-mini", **options: Any) -> ChatOpenAI:
    given: Any = {"model": model, "base_url": provider.url, "api_key": "sk-secret", "max_retries": 1, **options}
    return ChatOpenAI(**given)


def instrumented(model: ChatOpenAI, usage: Caught) -> ChatOpenAI:
    """Instrument the SDK's clients inside of the model as well."""
    instrument_openai(model.root_client, sender=usage[0])
    instrument_openai(model.root_async_client, sender=usage[0])
    return model


def test_a_chat_is_recorded_with_its_parts(provider: Provider, usage: Caught, callback: UsageCallback) -> None:
    with feature("search"):
        answer = chat(provider, callbacks=[callback]).invoke("a secret: hunter2")

    assert answer.content == "hello"
    names = ("provider", "model", "feature", "outcome", "stream", "usage")
    expected = dict(zip(names, ("openai", "gpt-4o-mini", "search", "ok", False, COUNTED), strict=True))
    assert events(usage, *names) == [expected]
    assert usage[1].events[0]["duration_seconds"] > 0
    assert "hunter2" not in json.dumps(usage[1].events)


def test_a_stream_is_recorded_once_with_its_first_token(
    provider: Provider, usage: Caught, callback: UsageCallback
) -> None:
    text = "".join(
        str(one.content) for one in chat(provider, callbacks=[callback], stream_usage=True).stream("hello")
    )

    assert text == "hello"
    assert events(usage, "stream", "usage") == [{"stream": True, "usage": COUNTED}]
    assert first_token(usage) > 0


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_asynchronous_calls_are_recorded_alike(
    provider: Provider, usage: Caught, callback: UsageCallback, stream: bool
) -> None:
    async def ask() -> None:
        model = chat(provider, callbacks=[callback], stream_usage=True)
        if stream:
            assert "".join([str(one.content) async for one in model.astream("hello")]) == "hello"
        else:
            assert (await model.ainvoke("hello")).content == "hello"

    asyncio.run(ask())

    assert events(usage, "stream", "usage") == [{"stream": stream, "usage": COUNTED}]


@pytest.mark.parametrize(
    ("model", "error", "outcome"),
    [
        pytest.param("limited", openai.RateLimitError, "rate_limited", id="limited"),
        pytest.param("broken", openai.InternalServerError, "error", id="broken"),
    ],
)
def test_a_failure_has_its_outcome(
    provider: Provider, usage: Caught, callback: UsageCallback, model: str, error: type[Exception], outcome: str
) -> None:
    with pytest.raises(error):
        chat(provider, model, callbacks=[callback]).invoke("hello")

    assert events(usage, "model", "outcome", "usage") == [{"model": model, "outcome": outcome, "usage": None}]


LAYERS = pytest.mark.parametrize("order", ["callback first", "sdk first"])


@LAYERS
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_a_model_whose_sdk_is_instrumented_too_counts_once(
    provider: Provider, usage: Caught, callback: UsageCallback, order: str, stream: bool
) -> None:
    if order == "sdk first":
        model = instrumented(chat(provider, "flaky", stream_usage=True), usage)
        model.callbacks = [callback]
    else:
        model = instrumented(chat(provider, "flaky", callbacks=[callback], stream_usage=True), usage)

    list(model.stream("hello")) if stream else model.invoke("hello")

    # of the SDK, which knows the attempts
    assert events(usage, "attempt", "stream", "usage") == [{"attempt": 2, "stream": stream, "usage": COUNTED}]


@LAYERS
def test_layers_in_tasks_and_threads_count_once_each(
    provider: Provider, usage: Caught, callback: UsageCallback, order: str
) -> None:
    both = chat(provider, callbacks=[callback]) if order == "callback first" else chat(provider)
    instrumented(both, usage)
    both.callbacks = [callback]
    alone = chat(provider, "gpt-4o", callbacks=[callback])

    async def ask() -> None:
        await asyncio.gather(*(one.ainvoke("hello") for one in (both, alone, both, alone)))
        both.root_client.chat.completions.create(model="gpt-4.1", messages=[{"role": "user", "content": "hello"}])

    asyncio.run(ask())
    both.batch(["hello"] * 3)
    alone.batch(["hello"] * 3)

    models = sorted(one["model"] for one in events(usage, "model"))
    assert models == ["gpt-4.1", *["gpt-4o"] * 5, *["gpt-4o-mini"] * 5]


def test_one_call_installs_it_everywhere_and_twice_is_once(
    monkeypatch: pytest.MonkeyPatch, usage: Caught, callback: UsageCallback
) -> None:
    from langchain_core.tracers import context

    monkeypatch.setattr(context, "_configure_hooks", [])
    monkeypatch.setattr(hook, "_installed", False)
    said: Any = {"input_tokens": 7, "output_tokens": 3, "total_tokens": 10}
    model = GenericFakeChatModel(messages=iter([AIMessage("hello", usage_metadata=said)] * 2))

    hook.instrument_langchain(sender=usage[0])
    hook.instrument_langchain(sender=usage[0])
    model.invoke("hello")
    model.invoke("hello", {"callbacks": [callback]})  # and by hand

    assert events(usage, "usage") == [{"usage": {"input": 7, "output": 3}}] * 2


def test_a_call_of_a_tool_is_a_call(usage: Caught, callback: UsageCallback) -> None:
    @tool
    def weather(city: str) -> str:
        """Return the weather."""
        return f"fine in {city}"

    said: Any = {"input_tokens": 7, "output_tokens": 3, "total_tokens": 10}
    asks = AIMessage("", tool_calls=[{"name": "weather", "args": {"city": "Bonn"}, "id": "1"}], usage_metadata=said)
    model = GenericFakeChatModel(messages=iter([asks]))

    answer = model.invoke("hello", {"callbacks": [callback]})
    weather.invoke(answer.tool_calls[0], {"callbacks": [callback]})

    assert events(usage, "usage") == [{"usage": {"input": 7, "output": 3}}]


def test_a_model_that_says_no_usage_has_none(usage: Caught, callback: UsageCallback) -> None:
    GenericFakeChatModel(messages=iter([AIMessage("hello")])).invoke("hello", {"callbacks": [callback]})

    assert events(usage, "outcome", "usage") == [{"outcome": "ok", "usage": None}]


def test_anthropics_lifetimes_are_told_apart() -> None:
    details = {"cache_read": 1_000, "cache_creation": 0, "ephemeral_5m_input_tokens": 12_000}
    said = {
        "input_tokens": 13_307,
        "output_tokens": 5,
        "input_token_details": {**details, "ephemeral_1h_input_tokens": 304},
    }

    assert usage_of(said) == Usage(13_307, 5, cache_read=1_000, cache_write_5m=12_000, cache_write_1h=304)
