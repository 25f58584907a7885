"""A simulated model provider that speaks OpenAI's HTTP API: chat completions (streamed or not) and embeddings.

What it answers is nonsense; what it counts, how long it takes and how it fails is modelled. Fields follow
https://platform.openai.com/docs/api-reference/chat: `usage` with `prompt_tokens_details.cached_tokens`, server-sent
events ending in `[DONE]`, a last usage chunk with `stream_options.include_usage`, errors as `{"error": {…}}`.

A prompt need not carry its tokens: `[context: 11600 tokens]` in a message counts as that many.
Run: `python -m reference_app.model_provider`; `POST /control {"fault": "llm-outage", "seconds": 60}` breaks it.
"""

import asyncio
import json
import math
import os
import random
import re
import time
import uuid
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from reference_app.faults import Faults
from reference_app.shapes import PREFIX_CACHED, Seldom

FAULTS = ("llm-outage", "rate-limit")

# English text has some four characters a token (OpenAI's own rule of thumb).
CHARACTERS_PER_TOKEN = 4
# OpenAI caches prefixes of 1,024 tokens and more, in steps of 128; here the long, shared prompts profit.
CACHEABLE_TOKENS = 4096
CACHE_STEP = 128
DEFAULT_OUTPUT_TOKENS = 200
MAX_OUTPUT_TOKENS = 8192
MAX_CHUNKS = 12
# While the fault `rate-limit` is on, this share of the calls is refused.
RATE_LIMITED_SHARE = 0.8

_CONTEXT = re.compile(r"\[context: ([0-9]{1,7}) tokens\]")
_WORDS = ("the", "order", "ships", "today", "and", "your", "parcel", "arrives", "on", "Thursday", "or", "Friday")


@dataclass(frozen=True)
class Model:
    """How one model behaves."""

    first_token_seconds: float
    tokens_per_second: float
    errors: float = 0.0
    """Share of calls that fail with 500 on a good day."""
    refusals: float = 0.0
    """Share of calls that are refused with 429 on a good day."""


MODELS: Mapping[str, Model] = {
    "gpt-4o-mini": Model(0.25, 160, errors=1 / 400, refusals=1 / 600),
    "gpt-4.1-mini": Model(0.35, 140),
    "gpt-4.1": Model(0.5, 100),
    "claude-sonnet-4-5": Model(0.6, 90),
    "claude-opus-4-1": Model(0.9, 60),
    "text-embedding-3-small": Model(0.04, 1e9),
}


class Provider:
    """The provider's state: faults, random numbers, who fails next."""

    def __init__(self, faults: Faults, seed: int = 7, pace: float = 1.0) -> None:
        self.faults = faults
        self.rng = random.Random(seed)
        self.pace = pace
        """Multiplies every delay; 0 answers at once."""
        self._fails = {name: Seldom(model.errors, self.rng) for name, model in MODELS.items() if model.errors}
        self._refuses = {name: Seldom(model.refusals, self.rng) for name, model in MODELS.items() if model.refusals}

    def verdict(self, model: str) -> Response | None:
        """Return the error that this call gets, or None when it is served."""
        if self.faults.active("llm-outage"):
            return _error(503, "server_error", "the engine is currently overloaded, please try again later")
        refused = self.faults.active("rate-limit") and self.rng.random() < RATE_LIMITED_SHARE
        if refused or (model in self._refuses and self._refuses[model].now()):
            return _error(429, "rate_limit_exceeded", f"rate limit reached for {model}", {"retry-after-ms": "200"})
        if model in self._fails and self._fails[model].now():
            return _error(500, "server_error", "the server had an error while processing your request")
        return None

    async def wait(self, seconds: float) -> None:
        # ± 40 %, with a tail: one call in fifty takes three times as long.
        factor = self.rng.uniform(0.6, 1.4) * (3 if self.rng.random() < 0.02 else 1)
        await asyncio.sleep(seconds * factor * self.pace)


def count_tokens(text: str) -> int:
    """Return the tokens of a text: a quarter of its characters, plus what its context markers stand for."""
    marked = sum(int(found) for found in _CONTEXT.findall(text))
    return marked + math.ceil(len(_CONTEXT.sub("", text)) / CHARACTERS_PER_TOKEN)


def prompt_tokens(messages: object) -> int:
    """Return the input tokens of a list of chat messages. Raises ValueError when it is not one."""
    if not isinstance(messages, list) or not messages:
        raise ValueError("'messages' must be a list with at least one message")
    total = 3  # every reply is primed with three tokens (OpenAI's cookbook on counting tokens)
    for message in messages:
        content = message.get("content") if isinstance(message, dict) else None
        if not isinstance(content, str):
            raise ValueError("every message needs a text 'content'")
        total += 3 + count_tokens(content)
    return total


def usage_of(tokens_in: int, tokens_out: int) -> dict[str, Any]:
    """Return OpenAI's usage object; `cached_tokens` is part of `prompt_tokens`."""
    cached = math.floor(tokens_in * PREFIX_CACHED / CACHE_STEP) * CACHE_STEP if tokens_in >= CACHEABLE_TOKENS else 0
    return {
        "prompt_tokens": tokens_in,
        "completion_tokens": tokens_out,
        "total_tokens": tokens_in + tokens_out,
        "prompt_tokens_details": {"cached_tokens": cached, "audio_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": 0, "audio_tokens": 0},
    }


def text_of(tokens: int) -> str:
    return " ".join(_WORDS[index % len(_WORDS)] for index in range(tokens))


def _error(status: int, kind: str, message: str, headers: Mapping[str, str] | None = None) -> JSONResponse:
    body = {"error": {"message": message, "type": kind, "param": None, "code": kind}}
    return JSONResponse(body, status, dict(headers or {}))


async def _body(request: Request) -> dict[str, Any]:
    try:
        body = await request.json()
    except ValueError as error:
        raise ValueError("the body is not JSON") from error
    if not isinstance(body, dict):
        raise ValueError("the body is not an object")
    return body


async def chat_completions(request: Request) -> Response:
    provider: Provider = request.app.state.provider
    try:
        body = await _body(request)
        tokens_in = prompt_tokens(body.get("messages"))
        wanted = body.get("max_completion_tokens") or body.get("max_tokens") or DEFAULT_OUTPUT_TOKENS
        tokens_out = max(1, min(int(wanted), MAX_OUTPUT_TOKENS))
    except (ValueError, TypeError) as error:
        return _error(400, "invalid_request_error", str(error))
    name = str(body.get("model"))
    model = MODELS.get(name)
    if model is None:
        return _error(404, "model_not_found", f"the model {name[:80]!r} does not exist")
    refused = provider.verdict(name)
    if refused is not None:
        return refused
    # Unique for ever, as a real one is: whoever counts the same id once must not lose a call.
    head = {"id": f"chatcmpl-{uuid.uuid4().hex}", "created": int(time.time()), "model": name}
    if body.get("stream"):
        options = body.get("stream_options") or {}
        events = _stream(provider, model, head, tokens_in, tokens_out, bool(options.get("include_usage")))
        return StreamingResponse(events, media_type="text/event-stream")
    await provider.wait(model.first_token_seconds + tokens_out / model.tokens_per_second)
    message = {"role": "assistant", "content": text_of(tokens_out), "refusal": None}
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}
    answer = {"object": "chat.completion", "choices": [choice], "usage": usage_of(tokens_in, tokens_out)}
    return JSONResponse(head | answer)


async def _stream(
    provider: Provider, model: Model, head: Mapping[str, Any], tokens_in: int, tokens_out: int, with_usage: bool
) -> AsyncIterator[str]:
    def event(choices: list[dict[str, Any]], usage: dict[str, Any] | None = None) -> str:
        body = {**head, "object": "chat.completion.chunk", "choices": choices}
        if with_usage:
            body["usage"] = usage
        return f"data: {json.dumps(body)}\n\n"

    def choice(delta: dict[str, Any], finish: str | None = None) -> dict[str, Any]:
        return {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}

    await provider.wait(model.first_token_seconds)
    yield event([choice({"role": "assistant", "content": ""})])
    size = math.ceil(tokens_out / MAX_CHUNKS)
    for start in range(0, tokens_out, size):
        step = min(size, tokens_out - start)
        yield event([choice({"content": text_of(step) + " "})])
        await provider.wait(step / model.tokens_per_second)
    yield event([choice({}, "stop")])
    if with_usage:
        yield event([], usage_of(tokens_in, tokens_out))
    yield "data: [DONE]\n\n"


async def embeddings(request: Request) -> Response:
    provider: Provider = request.app.state.provider
    try:
        body = await _body(request)
    except ValueError as error:
        return _error(400, "invalid_request_error", str(error))
    name = str(body.get("model"))
    model = MODELS.get(name)
    if model is None:
        return _error(404, "model_not_found", f"the model {name[:80]!r} does not exist")
    given = body.get("input")
    texts = [given] if isinstance(given, str) else given
    if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts) or not texts:
        return _error(400, "invalid_request_error", "'input' must be a text or a list of texts")
    refused = provider.verdict(name)
    if refused is not None:
        return refused
    await provider.wait(model.first_token_seconds)
    tokens = sum(count_tokens(text) for text in texts)
    data = [{"object": "embedding", "index": index, "embedding": _vector(text)} for index, text in enumerate(texts)]
    usage = {"prompt_tokens": tokens, "total_tokens": tokens}
    return JSONResponse({"object": "list", "data": data, "model": name, "usage": usage})


def _vector(text: str, size: int = 8) -> list[float]:
    # Short on purpose: a real one has 1,536 numbers, and nobody here compares them.
    rng = random.Random(text)
    return [round(rng.uniform(-1, 1), 6) for _ in range(size)]


async def models(request: Request) -> Response:  # noqa: ARG001 - starlette's signature
    listed = [{"id": name, "object": "model", "created": 0, "owned_by": "simulated"} for name in MODELS]
    return JSONResponse({"object": "list", "data": listed})


async def control(request: Request) -> Response:
    """Start a fault (`{"fault": NAME, "seconds": N}`), end all of them (`{}`), or tell which are on (GET)."""
    faults: Faults = request.app.state.provider.faults
    if request.method == "POST":
        try:
            body = await _body(request)
            if not body:
                faults.clear()
            elif body.get("fault") in FAULTS:
                faults.start(body["fault"], float(body.get("seconds", 60)))
            else:
                raise ValueError(f"no fault {body.get('fault')!r}; there is {', '.join(FAULTS)}")
        except (ValueError, TypeError) as error:
            return _error(400, "invalid_request_error", str(error))
    return JSONResponse({"active": faults.all_active()})


async def health(request: Request) -> Response:  # noqa: ARG001 - starlette's signature
    return JSONResponse({"status": "ok"})


def create_provider(provider: Provider) -> Starlette:
    app = Starlette(
        routes=[
            Route("/v1/chat/completions", chat_completions, methods=["POST"]),
            Route("/v1/embeddings", embeddings, methods=["POST"]),
            Route("/v1/models", models),
            Route("/control", control, methods=["GET", "POST"]),
            Route("/health", health),
        ]
    )
    app.state.provider = provider
    return app


def main() -> None:
    named = os.environ.get("DEMO_FAULTS")
    provider = Provider(Faults(Path(named) if named else None), seed=int(os.environ.get("DEMO_SEED", "7")))
    uvicorn.run(
        create_provider(provider),
        host=os.environ.get("HOST", "127.0.0.1"),
        port=int(os.environ.get("PORT", "18010")),
        access_log=False,
        log_level="warning",
        timeout_graceful_shutdown=2,
    )


if __name__ == "__main__":
    main()
