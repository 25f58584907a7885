"""Why the SDKs of OpenAI and Anthropic tried again, as their hooks tell it."""

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

import anthropic
import anthropic_stand_in
import openai
import openai_stand_in
import pytest
from caught import Caught, events
from provider_stand_in import Provider, serving
from topmast_exporter.instrument.llm.anthropic import instrument_anthropic
from topmast_exporter.instrument.llm.call import Call, listen, retry_reason
from topmast_exporter.instrument.llm.openai import instrument_openai

QUESTION: Any = [{"role": "user", "content": "hello"}]
# Long enough for an answer on a busy machine, short enough to wait for one that does not come.
OPTIONS: Any = {"api_key": "x", "timeout": 2.0}

Asks = Callable[..., None]


def openai_sync(url: str, model: str, sender: Any, stream: bool = False, max_retries: int = 2) -> None:
    with openai.OpenAI(base_url=url, max_retries=max_retries, **OPTIONS) as plain:
        client = instrument_openai(plain, sender=sender)
        answer: Any = client.chat.completions.create(model=model, messages=QUESTION, stream=stream)
        list(answer)


def openai_async(url: str, model: str, sender: Any, stream: bool = False, max_retries: int = 2) -> None:
    async def ask() -> None:
        async with openai.AsyncOpenAI(base_url=url, max_retries=max_retries, **OPTIONS) as plain:
            client = instrument_openai(plain, sender=sender)
            answer: Any = await client.chat.completions.create(model=model, messages=QUESTION, stream=stream)
            if stream:
                assert [chunk async for chunk in answer]

    asyncio.run(ask())


def anthropic_sync(url: str, model: str, sender: Any, stream: bool = False, max_retries: int = 2) -> None:
    with anthropic.Anthropic(base_url=url, max_retries=max_retries, **OPTIONS) as plain:
        client = instrument_anthropic(plain, sender=sender)
        answer: Any = client.messages.create(model=model, max_tokens=600, messages=QUESTION, stream=stream)
        list(answer)


def anthropic_async(url: str, model: str, sender: Any, stream: bool = False, max_retries: int = 2) -> None:
    async def ask() -> None:
        async with anthropic.AsyncAnthropic(base_url=url, max_retries=max_retries, **OPTIONS) as plain:
            client = instrument_anthropic(plain, sender=sender)
            answer: Any = await client.messages.create(model=model, max_tokens=600, messages=QUESTION, stream=stream)
            if stream:
                assert [event async for event in answer]

    asyncio.run(ask())


@pytest.fixture(
    params=[
        pytest.param((openai_sync, openai_stand_in.Provider), id="openai"),
        pytest.param((openai_async, openai_stand_in.Provider), id="openai, asynchronous"),
        pytest.param((anthropic_sync, anthropic_stand_in.Provider), id="anthropic"),
        pytest.param((anthropic_async, anthropic_stand_in.Provider), id="anthropic, asynchronous"),
    ]
)
def sdk(request: pytest.FixtureRequest) -> Iterator[tuple[Asks, Provider]]:
    ask, make = request.param
    with serving(make()) as provider:
        yield ask, provider


def tried(usage: Caught) -> list[tuple[Any, ...]]:
    return [tuple(one.values()) for one in events(usage, "outcome", "attempt", "retry_reason")]


@pytest.mark.parametrize(
    ("model", "reason"),
    [
        pytest.param("flaky", "rate_limited", id="429"),
        pytest.param("stumbles", "error", id="500"),
        pytest.param("hangs-up", "connection", id="no answer"),
        pytest.param("dawdles", "timeout", id="no answer in time"),
    ],
)
def test_a_retry_that_helps_says_why_it_was_made(
    sdk: tuple[Asks, Provider], usage: Caught, model: str, reason: str
) -> None:
    ask, provider = sdk

    ask(provider.url, model, usage[0])

    assert provider.asked(model) == 2
    assert tried(usage) == [("ok", 2, reason)]


def test_a_stream_says_it_too(sdk: tuple[Asks, Provider], usage: Caught) -> None:
    ask, provider = sdk

    ask(provider.url, "flaky", usage[0], stream=True)

    assert tried(usage) == [("ok", 2, "rate_limited")]


def test_a_call_that_fails_at_once_was_not_repeated(sdk: tuple[Asks, Provider], usage: Caught) -> None:
    ask, provider = sdk

    with pytest.raises((openai.APIStatusError, anthropic.APIStatusError)):
        ask(provider.url, "stumbles", usage[0], max_retries=0)

    assert tried(usage) == [("error", 1, None)]


def test_retries_in_vain_say_their_last_reason(sdk: tuple[Asks, Provider], usage: Caught) -> None:
    ask, provider = sdk

    with pytest.raises((openai.RateLimitError, anthropic.RateLimitError)):
        ask(provider.url, "limited", usage[0])

    assert provider.asked("limited") == 3
    assert tried(usage) == [("rate_limited", 3, "rate_limited")]


def test_calls_at_once_keep_their_reasons_apart(usage: Caught) -> None:
    async def ask(url: str) -> None:
        async with openai.AsyncOpenAI(base_url=url, **OPTIONS) as plain:
            client = instrument_openai(plain, sender=usage[0])
            models = ("flaky", "stumbles", "gpt-4o-mini")
            await asyncio.gather(
                *(client.chat.completions.create(model=model, messages=QUESTION) for model in models)
            )

    with serving(openai_stand_in.Provider()) as provider:
        asyncio.run(ask(provider.url))

    told = [tuple(one.values()) for one in events(usage, "model", "attempt", "retry_reason")]
    assert sorted(told) == [("flaky", 2, "rate_limited"), ("gpt-4o-mini", 1, None), ("stumbles", 2, "error")]


class Answer:
    retries_taken = 1


class OfAnotherYear:
    """An SDK whose way of trying again has another name."""

    def request(self) -> Answer:
        try:
            raise ConnectionResetError
        except ConnectionResetError:
            return self.once_more()

    def once_more(self) -> Answer:
        return Answer()

    def copy(self) -> "OfAnotherYear":
        return self

    with_options = copy


class Of2024(OfAnotherYear):
    """As both SDKs had it then."""

    def once_more(self) -> Answer:
        return self._retry_request()

    def _retry_request(self) -> Answer:
        return Answer()


class Plain(Call):
    site = "plain"

    def first(self, chunk: Any) -> bool:
        return False

    def learn(self, answer: Any) -> None:
        self._model = type(answer).__name__


@pytest.mark.parametrize(("client", "reason"), [(Of2024(), "connection"), (OfAnotherYear(), None)])
def test_an_sdk_of_another_year_says_it_if_it_can(usage: Caught, client: OfAnotherYear, reason: str | None) -> None:
    def begin(args: tuple[Any, ...], stream: bool) -> tuple[Call, tuple[Any, ...]]:
        return Plain("acme", "big", "chat", stream, False, False, usage[0]), args

    answer = listen(client, begin, "plain", lambda made: made).request()

    assert isinstance(answer, Answer)
    assert tried(usage) == [("ok", 2, reason)]


class Response:
    def __init__(self, status: int) -> None:
        self.status_code = status


class StatusError(Exception):
    """As httpx has it."""

    def __init__(self, status: int) -> None:
        super().__init__()
        self.response = Response(status)


@pytest.mark.parametrize(
    ("error", "response", "reason"),
    [
        pytest.param(None, Response(429), "rate_limited", id="a response"),
        pytest.param(StatusError(429), None, "rate_limited", id="an error with its response"),
        pytest.param(None, Response(408), "timeout", id="the server's timeout"),
        pytest.param(None, Response(504), "timeout", id="a gateway's timeout"),
        pytest.param(None, Response(529), "error", id="overloaded"),
        pytest.param(TimeoutError(), None, "timeout", id="a timeout"),
        pytest.param(ConnectionResetError(), None, "connection", id="a connection"),
        pytest.param(ValueError(), None, "error", id="another error"),
        pytest.param(None, None, "other", id="nobody knows"),
    ],
)
def test_reasons_are_few(error: BaseException | None, response: Any, reason: str) -> None:
    assert retry_reason(error, response) == reason
