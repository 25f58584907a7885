"""The simulated provider is one to the real OpenAI client: answers, usage, streams, errors, limits."""

import itertools
import threading
import time
from collections.abc import Iterator

import openai
import pytest
import uvicorn
from reference_app.faults import Faults
from reference_app.model_provider import MODELS, Provider, count_tokens, create_provider, usage_of

USER = [{"role": "user", "content": "[context: 5000 tokens] where is my order"}]


@pytest.fixture
def base_url() -> Iterator[str]:
    """A provider that answers at once, on a free port."""
    app = create_provider(Provider(Faults(), pace=0))
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="warning", ws="none"))
    thread = threading.Thread(target=server.run)
    thread.start()
    deadline = time.monotonic() + 10
    while not server.started and time.monotonic() < deadline:
        time.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    yield f"http://127.0.0.1:{port}"
    server.should_exit = True
    thread.join()


@pytest.fixture
def client(base_url: str) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{base_url}/v1", api_key="any", max_retries=0) as made:
        yield made


def test_an_answer_tells_its_tokens(client: openai.OpenAI) -> None:
    answer = client.chat.completions.create(model="gpt-4o-mini", messages=USER, max_completion_tokens=40)

    assert answer.choices[0].message.content
    assert answer.usage is not None
    assert answer.usage.completion_tokens == 40
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + 40
    assert answer.usage.prompt_tokens == 3 + 3 + 5000 + 5


def test_a_long_prompt_comes_partly_from_the_prefix_cache(client: openai.OpenAI) -> None:
    answer = client.chat.completions.create(model="gpt-4.1-mini", messages=USER, max_completion_tokens=5)

    assert answer.usage is not None
    assert answer.usage.prompt_tokens_details is not None
    assert answer.usage.prompt_tokens_details.cached_tokens == 1792  # 14 steps of 128: 37 % of 5,011, rounded down


def test_a_stream_ends_with_its_usage_when_asked(client: openai.OpenAI) -> None:
    with client.chat.completions.create(
        model="claude-sonnet-4-5",
        messages=USER,
        max_completion_tokens=30,
        stream=True,
        stream_options={"include_usage": True},
    ) as stream:
        chunks = list(stream)

    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert len(text.split()) == 30
    assert chunks[-1].choices == []
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.completion_tokens == 30


def test_a_stream_keeps_its_usage_to_itself_when_not_asked(client: openai.OpenAI) -> None:
    with client.chat.completions.create(model="gpt-4o-mini", messages=USER, stream=True) as stream:
        chunks = list(stream)

    assert [chunk.usage for chunk in chunks] == [None] * len(chunks)


def test_embeddings_count_their_input(client: openai.OpenAI) -> None:
    answer = client.embeddings.create(model="text-embedding-3-small", input=["kettle", "lamp"])

    assert [each.index for each in answer.data] == [0, 1]
    assert answer.usage.prompt_tokens == answer.usage.total_tokens == 3


def test_a_fault_is_started_and_ended_by_the_control_endpoint(client: openai.OpenAI, base_url: str) -> None:
    control = client.with_options(base_url=base_url)

    control.post("/control", body={"fault": "llm-outage", "seconds": 60}, cast_to=object)

    with pytest.raises(openai.InternalServerError):
        client.chat.completions.create(model="gpt-4.1", messages=USER)
    control.post("/control", body={}, cast_to=object)
    assert client.chat.completions.create(model="gpt-4.1", messages=USER).choices


def test_rate_limits_are_429_with_a_delay(client: openai.OpenAI, base_url: str) -> None:
    client.with_options(base_url=base_url).post(
        "/control", body={"fault": "rate-limit", "seconds": 60}, cast_to=object
    )

    with pytest.raises(openai.RateLimitError) as refused:
        for _ in range(50):  # four in five are refused
            client.chat.completions.create(model="gpt-4.1", messages=USER, max_completion_tokens=1)

    assert refused.value.response.headers["retry-after-ms"] == "200"


@pytest.mark.parametrize(
    ("body", "error"),
    [
        pytest.param({"model": "gpt-4.1", "messages": []}, openai.BadRequestError, id="no messages"),
        pytest.param({"model": "gpt-4.1", "messages": "hello"}, openai.BadRequestError, id="messages is a text"),
        pytest.param({"model": "gpt-9", "messages": USER}, openai.NotFoundError, id="unknown model"),
    ],
)
def test_a_wrong_request_is_refused_as_openai_does(
    client: openai.OpenAI, body: dict[str, object], error: type[openai.APIStatusError]
) -> None:
    with pytest.raises(error):
        client.post("/chat/completions", body=body, cast_to=object)


def test_a_healthy_provider_fails_seldom_and_never_in_a_row() -> None:
    provider = Provider(Faults(), pace=0)

    verdicts = [provider.verdict("gpt-4o-mini") is not None for _ in range(10_000)]

    assert 0 < sum(verdicts) < 100
    assert not any(first and second for first, second in itertools.pairwise(verdicts))


def test_markers_stand_for_their_tokens() -> None:
    assert count_tokens("[context: 11600 tokens]12345678") == 11602


def test_short_prompts_are_not_cached() -> None:
    assert usage_of(1000, 10)["prompt_tokens_details"] == {"cached_tokens": 0, "audio_tokens": 0}


def test_every_model_has_a_price() -> None:
    genai_prices = pytest.importorskip("genai_prices")
    for model in MODELS:
        provider = "anthropic" if model.startswith("claude") else "openai"
        priced = genai_prices.calc_price(genai_prices.Usage(input_tokens=1000), model, provider_id=provider)

        assert priced.total_price > 0
