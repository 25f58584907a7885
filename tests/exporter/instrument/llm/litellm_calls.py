"""Run by LiteLLM's own environment (test_litellm.py): makes each kind of call, prints what was recorded of it."""

import asyncio
import json
import logging
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import litellm
import openai
from langchain_core.language_models import SimpleChatModel
from openai_stand_in import Provider
from topmast_exporter.instrument.llm import feature, labels
from topmast_exporter.instrument.llm.langchain import UsageCallback
from topmast_exporter.instrument.llm.litellm import instrument_litellm
from topmast_exporter.instrument.llm.openai import instrument_openai
from topmast_exporter.registry import Registry
from topmast_exporter.testing import caught_usage

logging.disable(logging.CRITICAL)
# LiteLLM tells in threads and tasks of its own, a moment later.
MOMENT_SECONDS, PATIENCE_SECONDS = 0.5, 20

sender, caught = caught_usage(Registry())
instrument_litellm(sender=sender)
instrument_litellm(sender=sender)  # twice is once
provider = Provider()
threading.Thread(target=provider.serve_forever, daemon=True).start()
MESSAGES = [{"role": "user", "content": "a secret: hunter2"}]
WHERE: dict[str, Any] = {"api_base": provider.url, "api_key": "sk-secret", "max_retries": 0}
GIVEN = {**WHERE, "messages": MESSAGES}
MODEL = "openai/gpt-4o-mini"
sdk = instrument_openai(openai.OpenAI(base_url=provider.url, api_key="x", max_retries=0), sender=sender)
sdk_async = instrument_openai(openai.AsyncOpenAI(base_url=provider.url, api_key="x", max_retries=0), sender=sender)


class Chained(SimpleChatModel):
    """A model of LangChain's that calls LiteLLM."""

    @property
    def _llm_type(self) -> str:
        return "chained"

    def _call(self, *_: Any, **__: Any) -> str:
        return str(litellm.completion(model=MODEL, **GIVEN).choices[0].message.content)


def labelled() -> None:
    with feature("search"), labels(key_alias="prod"):
        litellm.completion(model=MODEL, **GIVEN)


def fails(model: str) -> None:
    try:
        litellm.completion(model=model, **GIVEN)
    except openai.APIError:
        return
    raise AssertionError("it did not fail")


def in_threads() -> None:
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda one: litellm.completion(model=MODEL, **one), [GIVEN, {**GIVEN, "client": sdk}] * 2))


async def in_tasks() -> None:
    await asyncio.gather(
        *(litellm.acompletion(model=MODEL, **one) for one in [GIVEN, {**GIVEN, "client": sdk_async}] * 2)
    )
    await asyncio.sleep(MOMENT_SECONDS)


async def streamed() -> None:
    async for chunk in await litellm.acompletion(model=MODEL, stream=True, **GIVEN):
        assert chunk.choices, "applications read chunk.choices[0]"
    await asyncio.sleep(MOMENT_SECONDS)


async def embedded() -> None:
    await litellm.aembedding(model="openai/text-embedding-3-small", input=["hunter2"], **WHERE)
    await asyncio.sleep(MOMENT_SECONDS)


CALLS = {
    "whole": (1, labelled),
    "stream": (1, lambda: list(litellm.completion(model=MODEL, stream=True, **GIVEN))),
    "async stream": (1, lambda: asyncio.run(streamed())),
    "embedding": (1, lambda: asyncio.run(embedded())),
    "limited": (1, lambda: fails("openai/limited")),
    "broken": (1, lambda: fails("openai/broken")),
    "over an instrumented client": (1, lambda: litellm.completion(model=MODEL, client=sdk, **GIVEN)),
    "under langchain": (1, lambda: Chained(callbacks=[UsageCallback(sender=sender)]).invoke("hello")),
    "in threads": (4, in_threads),
    "in tasks": (4, lambda: asyncio.run(in_tasks())),
}

recorded = {}
for name, (expected, call) in CALLS.items():
    del caught.events[:]
    call()
    deadline = time.monotonic() + PATIENCE_SECONDS
    while len(caught.events) < expected and time.monotonic() < deadline:
        time.sleep(0.02)
        sender.flush(1)
    time.sleep(MOMENT_SECONDS)  # one too many would come now
    sender.flush(5)
    recorded[name] = list(caught.events)
json.dump(recorded, sys.stdout)
