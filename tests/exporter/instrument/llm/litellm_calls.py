"""Run by LiteLLM's own environment (test_litellm.py): makes each kind of call, prints what was recorded of it."""

import asyncio
import contextlib
import gc
import io
import json
import logging
import sys
import threading
import time
import traceback
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import litellm
import openai
from langchain_core.language_models import SimpleChatModel
from litellm import acompletion as early_async
from litellm import completion as early
from litellm.caching.caching import Cache
from litellm.integrations.custom_logger import CustomLogger
from openai_stand_in import Provider
from topmast_exporter.instrument.llm import feature, labels
from topmast_exporter.instrument.llm.langchain import UsageCallback
from topmast_exporter.instrument.llm.litellm import instrument_litellm
from topmast_exporter.instrument.llm.openai import instrument_openai
from topmast_exporter.registry import Registry
from topmast_exporter.testing import caught_usage

logging.disable(logging.CRITICAL)
# LiteLLM tells in threads and tasks of its own, a moment later.
MOMENT_SECONDS, PATIENCE_SECONDS = 0.3, 20

provider = Provider()
threading.Thread(target=provider.serve_forever, daemon=True).start()
MESSAGES = [{"role": "user", "content": "a secret: hunter2"}]
WHERE: dict[str, Any] = {"api_base": provider.url, "api_key": "sk-secret", "max_retries": 0}
GIVEN = {**WHERE, "messages": MESSAGES}
MODEL = "openai/gpt-4o-mini"


class Own(CustomLogger):
    """A callback of the application's: notes what it is told, and fails."""

    def __init__(self) -> None:
        super().__init__()
        self.told: list[str] = []

    def log_success_event(self, *_: Any, **__: Any) -> None:
        self.told.append("success")
        raise RuntimeError("a callback that fails")

    async def async_log_success_event(self, *_: Any, **__: Any) -> None:
        self.log_success_event()


class Later(Own):
    """Another one: LiteLLM takes one of a class."""


before, after = Own(), Later()
# what an application sees without the hook
PLAIN = [len(chunk.choices) for chunk in litellm.completion(model=MODEL, stream=True, **GIVEN)]
ASKED = {"stream_options": {"include_usage": True}}
PLAIN_ASKED = [
    bool(getattr(one, "usage", None)) for one in litellm.completion(model=MODEL, stream=True, **ASKED, **GIVEN)
]
time.sleep(MOMENT_SECONDS)

litellm.callbacks.append(before)
sender, caught = caught_usage(Registry())
instrument_litellm(sender=sender)
instrument_litellm(sender=sender)  # twice is once
litellm.callbacks.append(after)
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


def fails(model: str, **options: Any) -> None:
    try:
        litellm.completion(model=model, **options, **GIVEN)
    except openai.APIError:
        return
    raise AssertionError("it did not fail")


def streamed() -> None:
    seen = list(litellm.completion(model=MODEL, stream=True, **GIVEN))
    assert [len(chunk.choices) for chunk in seen] == PLAIN, "it sees what it saw without the hook"
    assert isinstance(litellm.completion(model=MODEL, stream=True, **GIVEN), litellm.CustomStreamWrapper)


def streamed_as_asked() -> None:
    seen = list(litellm.completion(model=MODEL, stream=True, **ASKED, **GIVEN))
    assert [bool(getattr(chunk, "usage", None)) for chunk in seen] == PLAIN_ASKED


def dropped() -> None:
    next(litellm.completion(model=MODEL, stream=True, **GIVEN))
    gc.collect()


def broken_off() -> None:
    with contextlib.suppress(openai.APIError):
        list(litellm.completion(model="openai/cut", stream=True, **GIVEN))


def in_threads() -> None:
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda one: litellm.completion(model=MODEL, **one), [GIVEN, {**GIVEN, "client": sdk}] * 2))


async def in_tasks() -> None:
    await asyncio.gather(
        *(litellm.acompletion(model=MODEL, **one) for one in [GIVEN, {**GIVEN, "client": sdk_async}] * 2)
    )


async def streamed_async(**options: Any) -> None:
    async for chunk in await litellm.acompletion(model=MODEL, stream=True, **options, **GIVEN):
        assert chunk.choices, "applications read chunk.choices[0]"


async def dropped_async() -> None:
    stream = await litellm.acompletion(model=MODEL, stream=True, **GIVEN)
    await anext(stream)
    await stream.aclose()
    del stream
    gc.collect()


async def given_up() -> None:
    waiting = asyncio.create_task(litellm.acompletion(model="openai/slow", **GIVEN))
    while not provider.asked("slow"):
        await asyncio.sleep(0.01)
    waiting.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await waiting


def router(**options: Any) -> litellm.Router:
    models = {"good": MODEL, "bad": "openai/broken", "flaky": "openai/flaky-router", "gone": "openai/limited"}
    listed = [{"model_name": name, "litellm_params": {"model": model, **WHERE}} for name, model in models.items()]
    given: dict[str, Any] = {"num_retries": 0, "retry_after": 0, "disable_cooldowns": True, **options}
    return litellm.Router(model_list=listed, **given)


async def falls_back() -> None:
    both = router(fallbacks=[{"bad": ["good"]}, {"gone": ["good"]}])
    await both.acompletion(model="bad", messages=MESSAGES)
    async for _ in await both.acompletion(model="gone", messages=MESSAGES, stream=True):
        pass


def cached() -> None:
    litellm.cache = Cache(type="local")
    try:
        for _ in range(2):
            litellm.completion(model="openai/gpt-4.1", caching=True, **GIVEN)
            time.sleep(MOMENT_SECONDS)
    finally:
        litellm.cache = None


async def responses() -> None:
    await litellm.aresponses(model="openai/gpt-5", input="hunter2", **WHERE)
    async for _ in await litellm.aresponses(model="openai/gpt-5", input="hunter2", stream=True, **WHERE):
        pass


def media() -> None:
    sound = io.BytesIO(b"RIFF")
    sound.name = "a.wav"
    litellm.transcription(model="openai/gpt-4o-transcribe", file=sound, **WHERE)
    litellm.image_generation(model="openai/gpt-image-1", prompt="hunter2", **WHERE)
    litellm.speech(model="openai/tts-1", voice="alloy", input="hunter2", **WHERE)


def replaced() -> None:
    """The application sets callbacks of its own, later."""
    kept, litellm.callbacks = litellm.callbacks, [after]
    try:
        litellm.completion(model=MODEL, **GIVEN)
        list(litellm.completion(model=MODEL, stream=True, **GIVEN))
    finally:
        litellm.callbacks = kept


async def early_asynchronous() -> None:
    await early_async(model=MODEL, **GIVEN)


def asynchronous(make: Callable[..., Any], *arguments: Any, **options: Any) -> Callable[[], None]:
    async def run() -> None:
        await make(*arguments, **options)
        await asyncio.sleep(MOMENT_SECONDS)

    return lambda: asyncio.run(run())


CALLS: dict[str, tuple[int, Callable[[], Any]]] = {
    "whole": (1, labelled),
    "stream": (2, streamed),
    "stream as asked": (1, streamed_as_asked),
    "async stream": (1, asynchronous(streamed_async)),
    "silent stream": (1, lambda: list(litellm.completion(model="openai/silent", stream=True, **GIVEN))),
    "dropped": (1, dropped),
    "dropped async": (1, asynchronous(dropped_async)),
    "broken off": (1, broken_off),
    "given up": (1, asynchronous(given_up)),
    "embedding": (
        1,
        asynchronous(litellm.aembedding, model="openai/text-embedding-3-small", input=["hunter2"], **WHERE),
    ),
    "text": (1, lambda: litellm.text_completion(model="openai/gpt-4o-mini", prompt="hunter2", **WHERE)),
    "text stream": (
        1,
        lambda: list(litellm.text_completion(model="openai/gpt-4o-mini", prompt="hunter2", stream=True, **WHERE)),
    ),
    "responses": (2, asynchronous(responses)),
    "media": (3, media),
    "limited": (1, lambda: fails("openai/limited")),
    "broken": (1, lambda: fails("openai/broken")),
    "retried": (1, lambda: litellm.completion(model="openai/shaky-1", num_retries=2, **GIVEN)),
    "retried async": (1, asynchronous(litellm.acompletion, model="openai/shaky-2", num_retries=2, **GIVEN)),
    "retried in vain": (1, lambda: fails("openai/broken", num_retries=2)),
    "router retries": (2, asynchronous(router(num_retries=1).acompletion, model="flaky", messages=MESSAGES)),
    "router falls back": (4, asynchronous(falls_back)),
    "fallbacks": (2, lambda: litellm.completion(model="openai/broken", fallbacks=[MODEL], **GIVEN)),
    "cached": (2, cached),
    "over an instrumented client": (1, lambda: litellm.completion(model=MODEL, client=sdk, **GIVEN)),
    "stream over an instrumented client": (
        2,
        lambda: (
            list(litellm.completion(model=MODEL, client=sdk, stream=True, **GIVEN)),
            asynchronous(streamed_async, client=sdk_async)(),
        ),
    ),
    "retried over an instrumented client": (
        2,
        lambda: litellm.completion(model="openai/shaky-3", client=sdk, num_retries=2, **GIVEN),
    ),
    "under langchain": (1, lambda: Chained(callbacks=[UsageCallback(sender=sender)]).invoke("hello")),
    "callbacks replaced": (2, replaced),
    "imported before": (1, lambda: early(model=MODEL, **GIVEN)),
    "imported before, stream": (1, lambda: list(early(model=MODEL, stream=True, **ASKED, **GIVEN))),
    "imported before, async": (1, asynchronous(early_asynchronous)),
    "in threads": (4, in_threads),
    "in tasks": (4, asynchronous(in_tasks)),
}

recorded: dict[str, Any] = {}
for name, (expected, call) in CALLS.items():
    if sys.argv[1:] and name not in sys.argv[1:]:
        continue
    del caught.events[:]
    try:
        call()
    except Exception:  # noqa: BLE001 the test says which call it was
        recorded[name] = [{"raised": traceback.format_exc()[-2_000:]}]
        continue
    deadline = time.monotonic() + PATIENCE_SECONDS
    while len(caught.events) < expected and time.monotonic() < deadline:
        time.sleep(0.02)
        gc.collect()  # LiteLLM holds a stream for a moment
        sender.flush(1)
    time.sleep(MOMENT_SECONDS)  # one too many would come now
    sender.flush(5)
    recorded[name] = list(caught.events)
recorded["callbacks of the application"] = [len(before.told), len(after.told)]
json.dump(recorded, sys.stdout)
