"""The real Anthropic SDK against a small real HTTP server that answers as the API does."""

import asyncio
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import anthropic
import pytest
from topmast_exporter.instrument.llm import feature
from topmast_exporter.instrument.llm.anthropic import instrument_anthropic
from topmast_exporter.registry import Registry
from topmast_exporter.testing import CaughtUsage, caught_usage
from topmast_exporter.usage import UsageSender

QUESTION: Any = [{"role": "user", "content": "a secret: hunter2"}]
# litellm #9812: 3 in, 12,304 written to the cache, 550 out; here with an hour's share and some read
USAGE = {
    "input_tokens": 3,
    "cache_creation_input_tokens": 12_304,
    "cache_creation": {"ephemeral_5m_input_tokens": 12_000, "ephemeral_1h_input_tokens": 304},
    "cache_read_input_tokens": 1_000,
    "output_tokens": 550,
    "service_tier": "standard",
}
COUNTED = {"input": 13_307, "output": 550, "cache_read": 1_000, "cache_write_5m": 12_000, "cache_write_1h": 304}


class Provider(ThreadingHTTPServer):
    """What a model name makes it do: limited, flaky, broken, cut (a stream that errs half-way)."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.asked: list[str] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    server: Provider
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        model = body["model"]
        self.server.asked.append(model)
        if self.path.startswith("/v1/messages/count_tokens"):
            self.answer({"input_tokens": 3})
        elif model == "limited" or (model == "flaky" and self.server.asked.count("flaky") == 1):
            self.answer({"type": "error", "error": {"type": "rate_limit_error", "message": "slow down"}}, 429)
        elif model == "broken":
            self.answer({"type": "error", "error": {"type": "api_error", "message": "sorry"}}, 400)
        elif body.get("stream"):
            self.stream(model)
        else:
            self.answer({**self.message(model, USAGE), "content": [{"type": "text", "text": "hello"}]})

    def message(self, model: str, usage: Any) -> dict[str, Any]:
        told = {"id": "msg_1", "type": "message", "role": "assistant", "model": model, "content": []}
        return {**told, "stop_reason": None, "stop_sequence": None, "usage": usage}

    def stream(self, model: str) -> None:
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("connection", "close")
        self.end_headers()
        self.event("message_start", {"message": self.message(model, {**USAGE, "output_tokens": 1})})
        self.event("content_block_start", {"index": 0, "content_block": {"type": "text", "text": ""}})
        for piece in ("hel", "lo"):
            self.event("content_block_delta", {"index": 0, "delta": {"type": "text_delta", "text": piece}})
        if model == "cut":
            self.event("error", {"error": {"type": "overloaded_error", "message": "overloaded"}})
            return
        self.event("content_block_stop", {"index": 0})
        ended = {"delta": {"stop_reason": "end_turn", "stop_sequence": None}, "usage": {"output_tokens": 550}}
        self.event("message_delta", ended)
        self.event("message_stop", {})

    def event(self, kind: str, data: dict[str, Any]) -> None:
        self.wfile.write(f"event: {kind}\ndata: {json.dumps({'type': kind, **data})}\n\n".encode())

    def answer(self, data: Any, status: int = 200) -> None:
        body = json.dumps(data).encode()
        self.send_response(status)
        for name, text in (
            ("content-type", "application/json"),
            ("content-length", str(len(body))),
            ("retry-after-ms", "1"),
        ):
            self.send_header(name, text)
        self.end_headers()
        self.wfile.write(body)

    def handle(self) -> None:
        try:
            super().handle()
        except ConnectionError:
            self.close_connection = True  # the client hung up, as some of the tests do

    def log_message(self, *_: Any) -> None: ...


@pytest.fixture
def provider() -> Iterator[Provider]:
    with Provider() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def usage() -> tuple[UsageSender, CaughtUsage]:
    return caught_usage(Registry())


@pytest.fixture
def client(provider: Provider, usage: tuple[UsageSender, CaughtUsage]) -> Iterator[anthropic.Anthropic]:
    with anthropic.Anthropic(base_url=provider.url, api_key="sk-secret", max_retries=1) as client:
        yield instrument_anthropic(client, sender=usage[0])


def events(usage: tuple[UsageSender, CaughtUsage]) -> list[dict[str, Any]]:
    """Return the events so far, without what differs from run to run."""
    assert usage[0].flush(10)
    varies = ("id", "timestamp", "duration_seconds", "time_to_first_token_seconds")
    return [{name: value for name, value in one.items() if name not in varies} for one in usage[1].events]


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
    assert 0 < usage[1].events[0]["time_to_first_token_seconds"] <= usage[1].events[0]["duration_seconds"]


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
    left = event(model=model, outcome=outcome, attempt=attempt, usage=None, service_tier=None)
    assert recorded == left


def test_a_retry_is_one_event_that_says_so(client: anthropic.Anthropic, usage: Any) -> None:
    client.messages.create(model="flaky", max_tokens=600, messages=QUESTION)

    assert events(usage) == [event(model="flaky", attempt=2)]


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
