"""The real Anthropic SDK against a small real HTTP server that answers as the API does."""

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import anthropic
import pytest
from anthropic_stand_in import COUNTED, Provider
from caught import Caught, events, first_token
from provider_stand_in import serving
from topmast_exporter.instrument.llm import feature
from topmast_exporter.instrument.llm.anthropic import instrument_anthropic

QUESTION: Any = [{"role": "user", "content": "a secret: hunter2"}]


@pytest.fixture
def provider() -> Iterator[Provider]:
    with serving(Provider()) as server:
        yield server


@pytest.fixture
def client(provider: Provider, usage: Caught) -> Iterator[anthropic.Anthropic]:
    with anthropic.Anthropic(base_url=provider.url, api_key="sk-secret", max_retries=1) as client:
        yield instrument_anthropic(client, sender=usage[0])


def event(**differs: Any) -> dict[str, Any]:
    """Return what a plain message becomes, but for what differs; None leaves a member out."""
    plain = {
        "provider": "anthropic",
        "model": "claude-3-7-sonnet-20250219",
        "feature": "",
        "operation": "chat",
        "convention": "total",
        "stream": False,
        "batch": False,
        "outcome": "ok",
        "attempt": 1,
        "usage": COUNTED,
        "service_tier": "standard",
    }
    return {name: value for name, value in {**plain, **differs}.items() if value is not None}


MODEL: Any = "claude-3-7-sonnet-20250219"


def test_a_message_is_recorded_with_its_cache_inside_of_the_input(client: anthropic.Anthropic, usage: Any) -> None:
    with feature("assistant"):
        answer = client.messages.create(model=MODEL, max_tokens=600, messages=QUESTION)

    assert type(answer) is anthropic.types.Message
    assert events(usage) == [event(feature="assistant")]
    assert "hunter2" not in json.dumps(usage[1].events)


def test_a_stream_is_recorded_once_it_ends(client: anthropic.Anthropic, usage: Any) -> None:
    chunks = list(client.messages.create(model=MODEL, max_tokens=600, messages=QUESTION, stream=True))

    assert chunks[-1].type == "message_stop"
    assert events(usage) == [event(stream=True)]
    assert first_token(usage) > 0


def test_the_stream_helper_is_recorded_and_gives_its_text(client: anthropic.Anthropic, usage: Any) -> None:
    with client.messages.stream(model=MODEL, max_tokens=600, messages=QUESTION) as stream:
        text = "".join(stream.text_stream)

    assert text == "hello"
    assert events(usage) == [event(stream=True)]


def test_a_stream_that_is_dropped_is_cancelled_and_keeps_what_it_knew(
    client: anthropic.Anthropic, usage: Any
) -> None:
    stream = client.messages.create(model=MODEL, max_tokens=600, messages=QUESTION, stream=True)
    next(iter(stream))
    stream.close()

    assert events(usage) == [event(stream=True, outcome="cancelled", usage={**COUNTED, "output": 1})]


def test_a_stream_that_errs_is_an_error(client: anthropic.Anthropic, usage: Any) -> None:
    with pytest.raises(anthropic.APIStatusError):
        list(client.messages.create(model="cut", max_tokens=600, messages=QUESTION, stream=True))

    known = {**COUNTED, "output": 1}
    assert events(usage) == [event(model="cut", stream=True, outcome="error", usage=known)]


@pytest.mark.parametrize(
    ("model", "error", "outcome", "attempt"),
    [
        pytest.param("limited", anthropic.RateLimitError, "rate_limited", 2, id="limited, tried twice"),
        pytest.param("broken", anthropic.BadRequestError, "error", 1, id="refused"),
    ],
)
def test_a_failure_has_its_outcome(
    client: anthropic.Anthropic, usage: Any, model: str, error: type[Exception], outcome: str, attempt: int
) -> None:
    with pytest.raises(error):
        client.messages.create(model=model, max_tokens=600, messages=QUESTION)

    (recorded,) = events(usage)
    reason = "rate_limited" if attempt > 1 else None
    left = event(model=model, outcome=outcome, attempt=attempt, retry_reason=reason, usage=None, service_tier=None)
    assert recorded == left


def test_a_retry_is_one_event_that_says_so(client: anthropic.Anthropic, usage: Any) -> None:
    client.messages.create(model="flaky", max_tokens=600, messages=QUESTION)

    assert events(usage) == [event(model="flaky", attempt=2, retry_reason="rate_limited")]


def test_counting_tokens_is_no_model_call(client: anthropic.Anthropic, usage: Any) -> None:
    counted = client.messages.count_tokens(model=MODEL, messages=QUESTION)

    assert counted.input_tokens == 3
    assert events(usage) == []


def test_a_raw_response_stays_raw(client: anthropic.Anthropic, usage: Any) -> None:
    raw = client.messages.with_raw_response.create(model=MODEL, max_tokens=600, messages=QUESTION)

    assert raw.http_response.json()["id"] == "msg_1"
    assert [one["outcome"] for one in events(usage)] == ["ok"]


def test_a_client_made_of_another_is_instrumented_once(client: anthropic.Anthropic, usage: Any) -> None:
    again = instrument_anthropic(client.with_options(timeout=5), sender=usage[0])

    again.messages.create(model=MODEL, max_tokens=600, messages=QUESTION)

    assert events(usage) == [event()]


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_asynchronous_calls_are_recorded_alike(provider: Provider, usage: Any, stream: bool) -> None:
    async def ask() -> None:
        async with anthropic.AsyncAnthropic(base_url=provider.url, api_key="x") as plain:
            client = instrument_anthropic(plain, sender=usage[0])
            answer: Any = await client.messages.create(model=MODEL, max_tokens=600, messages=QUESTION, stream=stream)
            if stream:
                assert [chunk.type async for chunk in answer][-1] == "message_stop"
            else:
                assert answer.content[0].text == "hello"

    asyncio.run(ask())

    assert events(usage) == [event(stream=stream)]
