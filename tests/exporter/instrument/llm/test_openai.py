"""The real OpenAI SDK against a small real HTTP server that answers as the API does."""

import asyncio
import gc
import json
from collections.abc import Iterator
from typing import Any

import openai
import pytest
from caught import Caught, events, first_token
from fastapi import FastAPI
from openai_stand_in import COUNTED, Provider
from provider_stand_in import serving
from starlette.testclient import TestClient
from topmast_exporter.instrument.asgi import instrument
from topmast_exporter.instrument.llm import feature, labels
from topmast_exporter.instrument.llm.openai import instrument_openai
from topmast_exporter.registry import Registry
from topmast_exporter.testing import value

QUESTION: Any = [{"role": "user", "content": "a secret: hunter2"}]

TOOLS: Any = [{"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}]


@pytest.fixture
def provider() -> Iterator[Provider]:
    with serving(Provider()) as server:
        yield server


@pytest.fixture
def client(provider: Provider, usage: Caught) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=provider.url, api_key="sk-secret", max_retries=1) as client:
        yield instrument_openai(client, sender=usage[0])


def event(**differs: Any) -> dict[str, Any]:
    """Return what a plain chat call becomes, but for what differs; None leaves a member out."""
    plain = {
        "provider": "openai",
        "model": "gpt-4o-mini",
        "feature": "",
        "operation": "chat",
        "convention": "total",
        "stream": False,
        "batch": False,
        "outcome": "ok",
        "attempt": 1,
        "usage": COUNTED,
        "service_tier": "flex",
    }
    return {name: value for name, value in {**plain, **differs}.items() if value is not None}


def test_a_chat_is_recorded_and_answered_as_without_us(client: openai.OpenAI, usage: Any) -> None:
    with feature("assistant"):
        answer = client.chat.completions.create(model="gpt-4o-mini", messages=QUESTION)

    assert type(answer) is openai.types.chat.ChatCompletion
    assert answer.choices[0].message.content == "hello"
    assert events(usage) == [event(feature="assistant")]
    assert usage[1].events[0]["duration_seconds"] > 0
    assert "hunter2" not in json.dumps(usage[1].events)


def test_responses_and_embeddings_are_recorded(client: openai.OpenAI, usage: Any) -> None:
    client.responses.create(model="gpt-5", input="hello")
    client.embeddings.create(model="text-embedding-3-small", input="x", encoding_format="float")

    first, second = events(usage)
    assert first == event(model="gpt-5", service_tier=None)
    expected = event(model="text-embedding-3-small", operation="embeddings", service_tier=None)
    assert second == {**expected, "usage": {"input": 7, "output": 0}}


@pytest.mark.parametrize("asked", [True, False], ids=["the application asks for usage", "we ask for it"])
def test_a_stream_says_its_usage_and_the_application_sees_what_it_asked_for(
    asked: bool, client: openai.OpenAI, provider: Provider, usage: Any
) -> None:
    options: Any = {"stream_options": {"include_usage": True}} if asked else {}

    chunks = list(client.chat.completions.create(model="gpt-4o-mini", messages=QUESTION, stream=True, **options))

    assert [len(chunk.choices) for chunk in chunks] == ([1, 1, 0] if asked else [1, 1])
    assert provider.requests[0]["stream_options"] == {"include_usage": True}
    assert events(usage) == [event(stream=True)]
    assert first_token(usage) > 0


def test_a_server_that_refuses_stream_options_can_be_left_alone(provider: Provider, usage: Any) -> None:
    with openai.OpenAI(base_url=provider.url, api_key="x") as plain:
        client = instrument_openai(plain, "local", sender=usage[0], ask_for_usage=False)
        list(client.chat.completions.create(model="llama", messages=QUESTION, stream=True))

    assert "stream_options" not in provider.requests[0]
    assert events(usage) == [event(provider="local", model="llama", stream=True, usage=None)]


def test_a_stream_of_responses_is_recorded(client: openai.OpenAI, usage: Any) -> None:
    kinds = [one.type for one in client.responses.create(model="gpt-5", input="x", stream=True)]

    assert "response.output_text.delta" in kinds and kinds[-1] == "response.completed"
    assert events(usage) == [event(model="gpt-5", stream=True, service_tier=None)]
    assert first_token(usage) > 0


def helped(client: Any) -> None:
    with client.chat.completions.stream(model="gpt-4o-mini", messages=QUESTION) as stream:
        assert [one.type for one in stream][-1] == "content.done"


def helped_with_responses(client: Any) -> None:
    with client.responses.stream(model="gpt-4o-mini", input="x") as stream:
        assert [one.type for one in stream][-1] == "response.completed"


def asked_for_tools(client: Any) -> None:
    list(client.chat.completions.create(model="gpt-4o-mini", messages=QUESTION, tools=TOOLS, stream=True))


@pytest.mark.parametrize(
    ("call", "differs"),
    [
        pytest.param(helped, {}, id="the SDK's helper for chats"),
        pytest.param(helped_with_responses, {"service_tier": None}, id="its helper for responses"),
        pytest.param(asked_for_tools, {}, id="a call of a tool"),
    ],
)
def test_streams_are_recorded_however_they_are_read(
    client: openai.OpenAI, usage: Any, call: Any, differs: dict[str, Any]
) -> None:
    call(client)

    assert events(usage) == [event(stream=True, **differs)]
    assert first_token(usage) > 0


def test_a_call_of_a_tool_is_a_call(client: openai.OpenAI, usage: Any) -> None:
    answer = client.chat.completions.create(model="gpt-4o-mini", messages=QUESTION, tools=TOOLS)

    assert answer.choices[0].message.tool_calls
    assert events(usage) == [event()]


def test_a_stream_that_is_asked_and_says_no_usage_has_none(client: openai.OpenAI, usage: Any) -> None:
    list(client.chat.completions.create(model="silent", messages=QUESTION, stream=True))

    assert events(usage) == [event(model="silent", stream=True, usage=None)]


def test_a_response_that_failed_is_an_error_and_costs_what_it_says(client: openai.OpenAI, usage: Any) -> None:
    kinds = [one.type for one in client.responses.create(model="cut", input="x", stream=True)]

    assert kinds[-1] == "response.failed"
    assert events(usage) == [event(model="cut", stream=True, outcome="error", service_tier=None)]


def test_a_deployment_of_azures_is_recorded_under_its_model(provider: Provider, usage: Any) -> None:
    # the stand-in answers as it was asked, Azure with the model behind the deployment
    with openai.AzureOpenAI(base_url=provider.url, api_key="x", api_version="2026-01-01") as plain:
        client = instrument_openai(plain, "azure", sender=usage[0])
        client.chat.completions.create(model="gpt-4o-mini", messages=QUESTION)

    assert events(usage) == [event(provider="azure")]


def closed(stream: Any) -> None:
    next(stream)
    stream.close()


def left(stream: Any) -> None:
    with stream:
        next(stream)


def dropped(stream: Any) -> None:
    next(stream)
    stream.response.close()


@pytest.mark.parametrize("abort", [closed, left, dropped])
def test_an_aborted_stream_is_cancelled_and_its_usage_unknown(abort: Any, client: openai.OpenAI, usage: Any) -> None:
    abort(client.chat.completions.create(model="gpt-4o-mini", messages=QUESTION, stream=True))
    gc.collect()

    assert events(usage) == [event(stream=True, outcome="cancelled", usage=None)]


def test_a_stream_that_breaks_is_an_error(client: openai.OpenAI, usage: Any) -> None:
    with pytest.raises(openai.APIError):
        list(client.chat.completions.create(model="cut", messages=QUESTION, stream=True))

    assert events(usage) == [event(model="cut", stream=True, outcome="error", usage=None)]


@pytest.mark.parametrize(
    ("model", "error", "outcome", "attempt"),
    [
        pytest.param("limited", openai.RateLimitError, "rate_limited", 2, id="rate limit, retried once"),
        pytest.param("broken", openai.InternalServerError, "error", 2, id="error, retried once"),
    ],
)
def test_a_failure_is_recorded_with_its_attempts(
    model: str, error: type[Exception], outcome: str, attempt: int, client: openai.OpenAI, usage: Any
) -> None:
    with pytest.raises(error):
        client.chat.completions.create(model=model, messages=QUESTION)

    recorded = events(usage)
    failed = event(model=model, outcome=outcome, attempt=attempt, retry_reason=outcome, usage=None, service_tier=None)
    assert recorded == [failed]


def test_a_timeout_is_told_apart(client: openai.OpenAI, usage: Any) -> None:
    with pytest.raises(openai.APITimeoutError):
        client.with_options(timeout=0.2, max_retries=0).chat.completions.create(model="slow", messages=QUESTION)

    assert [(one["outcome"], one["attempt"]) for one in events(usage)] == [("timeout", 1)]


def test_a_retry_that_helps_is_one_call_at_its_second_attempt(client: openai.OpenAI, usage: Any) -> None:
    client.chat.completions.create(model="flaky", messages=QUESTION)

    assert events(usage) == [event(model="flaky", attempt=2, retry_reason="rate_limited")]


def test_usage_that_nobody_said_is_absent(client: openai.OpenAI, usage: Any) -> None:
    client.chat.completions.create(model="silent", messages=QUESTION)

    assert events(usage) == [event(model="silent", usage=None)]


def test_raw_responses_stay_raw(client: openai.OpenAI, usage: Any) -> None:
    raw = client.chat.completions.with_raw_response.create(model="gpt-4o-mini", messages=QUESTION)

    assert raw.headers["content-type"] == "application/json"
    assert raw.parse().id == "chatcmpl-1"
    with client.chat.completions.with_streaming_response.create(model="gpt-4o-mini", messages=QUESTION) as response:
        assert response.parse().id == "chatcmpl-1"
    assert [one["outcome"] for one in events(usage)] == ["ok", "ok"]


def test_calls_that_are_no_model_calls_are_left_alone(client: openai.OpenAI, usage: Any) -> None:
    client.models.list()

    assert events(usage) == []


def test_instrumenting_twice_is_once(client: openai.OpenAI, usage: Any) -> None:
    again = instrument_openai(client, sender=usage[0])
    again.chat.completions.create(model="gpt-4o-mini", messages=QUESTION)

    assert len(events(usage)) == 1


def test_the_asynchronous_client_is_recorded_alike(provider: Provider, usage: Any) -> None:
    async def use() -> list[int]:
        plain = openai.AsyncOpenAI(base_url=provider.url, api_key="x", max_retries=0)
        async with instrument_openai(plain, sender=usage[0]) as client:
            await client.chat.completions.create(model="gpt-4o-mini", messages=QUESTION)
            stream = await client.chat.completions.create(model="gpt-4o-mini", messages=QUESTION, stream=True)
            chunks = [len(chunk.choices) async for chunk in stream]
            aborted = await client.chat.completions.create(model="gpt-4o-mini", messages=QUESTION, stream=True)
            await anext(aborted)
            await aborted.close()
            with pytest.raises(openai.RateLimitError):
                await client.chat.completions.create(model="limited", messages=QUESTION)
            waiting = asyncio.create_task(client.chat.completions.create(model="slow", messages=QUESTION))
            while not any(one["model"] == "slow" for one in provider.requests):
                await asyncio.sleep(0.01)
            waiting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiting
        return chunks

    assert asyncio.run(use()) == [1, 1]
    outcomes = [(one["stream"], one["outcome"], one.get("usage")) for one in events(usage)]
    assert outcomes == [
        (False, "ok", COUNTED),
        (True, "ok", COUNTED),
        (True, "cancelled", None),
        (False, "rate_limited", None),
        (False, "cancelled", None),
    ]


def test_a_call_in_a_request_makes_the_request_one_of_class_llm(client: openai.OpenAI, usage: Any) -> None:
    registry = Registry()
    app = FastAPI()

    @app.get("/ask")
    def ask() -> str | None:
        return client.chat.completions.create(model="gpt-4o-mini", messages=QUESTION).choices[0].message.content

    TestClient(instrument(app, registry)).get("/ask")

    assert value(registry, "app_http_requests_total", route="/ask", route_class="llm", status="200") == 1


class HostileOptions:
    """A body that raises when it is looked at."""

    def __getattr__(self, name: str) -> Any:
        raise RuntimeError(name)


def test_what_the_hook_trips_over_is_swallowed() -> None:
    class Client:
        """As much of a client as the hook needs."""

        def request(self, *args: Any, **options: Any) -> str:
            return "answered"

        def copy(self) -> "Client":
            return Client()

        with_options = copy

    client: Any = instrument_openai(Client())

    assert client.request(dict, HostileOptions()) == "answered"


@pytest.mark.parametrize(
    ("call", "expected"),
    [
        pytest.param(
            lambda client: client.audio.transcriptions.create(model="gpt-4o-transcribe", file=("a.wav", b"RIFF")),
            {"operation": "transcription", "usage": {"input": 40, "output": 9, "audio_in": 31}},
            id="a transcription by the token",
        ),
        pytest.param(
            lambda client: client.audio.transcriptions.create(model="whisper-1", file=("a.wav", b"RIFF")),
            {"operation": "transcription", "usage": None},
            id="a transcription by the second",
        ),
        pytest.param(
            lambda client: client.audio.speech.create(model="tts-1", voice="alloy", input="hunter2").content,
            {"operation": "speech", "usage": None},
            id="speech says no usage",
        ),
        pytest.param(
            lambda client: client.images.generate(model="gpt-image-1", prompt="hunter2"),
            {"operation": "image", "usage": {"input": 50, "output": 1056, "image_in": 20}},
            id="an image",
        ),
        pytest.param(
            lambda client: client.images.edit(model="gpt-image-1", prompt="hunter2", image=("a.png", b"PNG")),
            {"operation": "image", "usage": {"input": 50, "output": 1056, "image_in": 20}},
            id="an image of another",
        ),
    ],
)
def test_sound_and_images_are_recorded(client: openai.OpenAI, usage: Any, call: Any, expected: Any) -> None:
    call(client)

    (recorded,) = events(usage)
    assert {name: recorded.get(name) for name in expected} == expected
    assert "hunter2" not in json.dumps(usage[1].events)


def test_a_proxy_that_repeats_an_id_makes_no_call_vanish(client: openai.OpenAI, usage: Any) -> None:
    for _ in range(3):
        assert client.chat.completions.create(model="gpt-4o", messages=QUESTION).id == "chatcmpl-1"

    assert usage[0].flush(10)
    assert len({one["id"] for one in usage[1].events}) == 3


def test_labels_of_the_block_go_along_with_a_stream_that_is_read_outside_of_it(
    client: openai.OpenAI, usage: Any
) -> None:
    with labels(key_alias="prod", user_group="beta", environment="staging"), feature("search"):
        stream = client.chat.completions.create(model="gpt-4o-mini", messages=QUESTION, stream=True)
    list(stream)

    told = {"feature": "search", "key_alias": "prod", "user_group": "beta", "environment": "staging"}
    assert events(usage) == [event(stream=True, **told)]
    assert first_token(usage) > 0


def test_a_raw_stream_is_recorded_as_it_is_read(client: openai.OpenAI, usage: Any) -> None:
    raw = client.chat.completions.with_raw_response.create(model="gpt-4o-mini", messages=QUESTION, stream=True)
    list(raw.parse())

    assert events(usage) == [event(stream=True)]
    assert first_token(usage) > 0
