"""The shop's assistant: questions answered by a model, behind four caches.

An exact repeat comes from `llm_response`; a question that means the same from `semantic`; its embedding and the
product texts that go with it from `embedding` and `rag`. Only what is left is paid for.
"""

import hashlib
import logging
from collections.abc import AsyncIterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from openai import APIConnectionError, APIStatusError, AsyncOpenAI, RateLimitError
from topmast_exporter.instrument.llm.record import feature

from reference_app.cache import Cache
from reference_app.store import Store

log = logging.getLogger("shop.assistant")

SYSTEM = "You are the assistant of a small shop. Answer shortly and say which product you mean."
EMBEDDING_MODEL = "text-embedding-3-small"
ASK_MODEL = "gpt-4o-mini"
ADVICE_MODEL = "gpt-4.1-mini"
# ASK_MODEL's list price, in USD for a million tokens.
ASK_INPUT_USD = 0.15
ASK_OUTPUT_USD = 0.60


class ModelUnavailableError(Exception):
    """The provider did not answer, also not the second time."""


@dataclass(frozen=True)
class Answer:
    text: str
    source: str
    """`llm_response`, `semantic` or `model`."""


@dataclass(frozen=True)
class Completion:
    """What a model wrote, and the tokens it was paid for."""

    text: str
    tokens_in: int
    tokens_out: int


class Assistant:
    """Answers questions. `clients` holds one OpenAI client for each provider."""

    def __init__(self, clients: Mapping[str, AsyncOpenAI], cache: Cache, store: Store) -> None:
        self._clients = clients
        # Somebody watches a stream: a call that fails is told at once, not repeated.
        self._streaming = clients["openai"].with_options(max_retries=0)
        self._cache = cache
        self._store = store

    async def ask(self, topic: str, question: str, context_tokens: int, max_tokens: int) -> Answer:
        """Return the answer; `topic` is what the question is about in one word or two.

        Raises ModelUnavailableError.
        """
        key = _digest(question)
        known = await self._cache.get("llm_response", key)
        if known is not None:
            self._saved("llm_response", known)
            return Answer(known["text"], "llm_response")
        await self.embedding(question)
        similar = await self._cache.get("semantic", topic)
        if similar is not None:
            self._saved("semantic", similar)
            await self._cache.set("llm_response", key, similar)
            return Answer(similar["text"], "semantic")
        facts = await self.facts(topic)
        prompt = f"{question}\n{facts}\n[context: {context_tokens} tokens]"
        made = asdict(await self.complete("assistant", ASK_MODEL, prompt, max_tokens))
        await self._cache.set("llm_response", key, made)
        await self._cache.set("semantic", topic, made)
        return Answer(made["text"], "model")

    def _saved(self, namespace: str, answer: Mapping[str, Any]) -> None:
        """Say what this hit did not cost: its answer was paid for once."""
        tokens_in, tokens_out = answer["tokens_in"], answer["tokens_out"]
        usd = (tokens_in * ASK_INPUT_USD + tokens_out * ASK_OUTPUT_USD) / 1e6
        self._cache.metrics.saved(namespace, "openai", ASK_MODEL, usd=usd, tokens=tokens_in + tokens_out)

    async def embedding(self, text: str) -> list[float]:
        """Return the text's embedding, from the cache or the provider."""

        async def make() -> list[float]:
            with feature("search"):
                try:
                    answer = await self._clients["openai"].embeddings.create(
                        model=EMBEDDING_MODEL, input=text, encoding_format="float"
                    )
                except (APIConnectionError, APIStatusError) as error:
                    raise _unavailable(EMBEDDING_MODEL, error) from error
            return answer.data[0].embedding

        found: list[float] = await self._cache.remember("embedding", _digest(text), make)
        return found

    async def facts(self, topic: str) -> str:
        """Return what the shop's products say about a topic."""

        async def make() -> str:
            return "\n".join(f"{row['sku']} {row['name']}" for row in await self._store.search(topic))

        found: str = await self._cache.remember("rag", _digest(topic), make)
        return found

    async def complete(
        self, used_for: str, model: str, prompt: str, max_tokens: int, provider: str = "openai"
    ) -> Completion:
        """Return one whole answer of a model. Raises ModelUnavailableError."""
        with feature(used_for):
            try:
                answer = await self._clients[provider].chat.completions.create(
                    model=model, messages=_messages(prompt), max_completion_tokens=max_tokens
                )
            except (APIConnectionError, APIStatusError) as error:
                raise _unavailable(model, error) from error
        used = answer.usage
        return Completion(
            answer.choices[0].message.content or "",
            used.prompt_tokens if used else 0,
            used.completion_tokens if used else 0,
        )

    async def stream(self, used_for: str, model: str, prompt: str, max_tokens: int) -> AsyncIterator[str]:
        """Yield the pieces of an answer as they come. Raises ModelUnavailableError, also half-way."""
        with feature(used_for):
            try:
                answer = await self._streaming.chat.completions.create(
                    model=model,
                    messages=_messages(prompt),
                    max_completion_tokens=max_tokens,
                    stream=True,
                    stream_options={"include_usage": True},
                )
                async for chunk in answer:
                    if chunk.choices and chunk.choices[0].delta.content:
                        yield chunk.choices[0].delta.content
            except (APIConnectionError, APIStatusError) as error:
                raise _unavailable(model, error) from error


def _messages(prompt: str) -> Any:
    return [{"role": "system", "content": SYSTEM}, {"role": "user", "content": prompt}]


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:24]


def _unavailable(model: str, error: Exception) -> ModelUnavailableError:
    if isinstance(error, RateLimitError):
        log.warning("the model provider limits our rate", extra={"ecs": {"gen_ai": {"request": {"model": model}}}})
    else:
        log.error(
            "the model provider failed",
            extra={
                "ecs": {
                    "gen_ai": {"request": {"model": model}},
                    "error": {"type": type(error).__name__, "message": str(error)[:200]},
                }
            },
        )
    return ModelUnavailableError(f"{model}: {type(error).__name__}")
