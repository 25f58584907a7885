"""The OpenAI SDK: `instrument_openai(client)` for OpenAI and AsyncOpenAI, and for every provider of the same API.

Listened to is `client.request`, the public method that all resources end in: chat completions, responses and
embeddings, parsed or raw, streamed or not, and clients made by `with_options` as well. Facts this rests on:

- A chat stream says its usage only when asked (`stream_options.include_usage`), in a last chunk without choices. The
  hook asks, and keeps that chunk from an application that did not.
- Usage follows the convention `total`: cached input is part of the input, reasoning part of the output.
- A stream that is dropped half-way never says its usage: its event has none and the outcome `cancelled`.
- The SDK retries on its own; how often stands in the header x-stainless-retry-count of the last request.
"""

import copy
from collections.abc import AsyncIterator, Iterator, Mapping
from inspect import iscoroutinefunction
from time import perf_counter
from typing import Any, TypeVar

from topmast_exporter.admission import UNKNOWN
from topmast_exporter.instrument.llm.record import Outcome, Usage, current_feature, record_llm_call
from topmast_exporter.instrument.request import mark_model_call
from topmast_exporter.registry import default_registry
from topmast_exporter.usage import UsageSender

C = TypeVar("C")

OPERATIONS = {
    "/chat/completions": "chat",
    "/responses": "chat",
    "/embeddings": "embeddings",
    "/completions": "completion",
}

RETRY_HEADER = "x-stainless-retry-count"
RAW_HEADER = "X-Stainless-Raw-Response"

_INSTRUMENTED = "_topmast_instrumented"


def instrument_openai(
    client: C, provider: str = "openai", *, sender: UsageSender | None = None, ask_for_usage: bool = True
) -> C:
    """Return the same client; each model call becomes a usage event.

    `provider` is what the price table calls it. `ask_for_usage=False` leaves chat streams as the application made
    them, for servers that refuse `stream_options`.
    """
    target: Any = client
    if getattr(target, _INSTRUMENTED, False):
        return client
    request = target.request

    def begin(args: tuple[Any, ...], options: dict[str, Any]) -> tuple["Call | None", tuple[Any, ...]]:
        try:
            return _begin(args, bool(options.get("stream")), provider, sender, ask_for_usage)
        except Exception:  # noqa: BLE001 a guard: an instrument never raises into the application
            default_registry().count_internal_error("openai")
            return None, args

    async def request_async(*args: Any, **options: Any) -> Any:
        call, args = begin(args, options)
        if call is None:
            return await request(*args, **options)
        try:
            result = await request(*args, **options)
        except BaseException as error:
            call.failed(error)
            raise
        return call.answered(result)

    def request_sync(*args: Any, **options: Any) -> Any:
        call, args = begin(args, options)
        if call is None:
            return request(*args, **options)
        try:
            result = request(*args, **options)
        except BaseException as error:
            call.failed(error)
            raise
        return call.answered(result)

    target.request = request_async if iscoroutinefunction(request) else request_sync
    setattr(target, _INSTRUMENTED, True)
    for name in ("copy", "with_options"):
        make = getattr(target, name)

        def made(*args: Any, _make: Any = make, **options: Any) -> Any:
            return instrument_openai(_make(*args, **options), provider, sender=sender, ask_for_usage=ask_for_usage)

        setattr(target, name, made)
    return client


def usage_of(answer: Any) -> Usage | None:
    """Return the tokens that an answer (or a chunk, or a response event's response) says, None when it does not."""
    said = getattr(answer, "usage", None)
    if said is None:
        return None
    inputs = count(said, "prompt_tokens") or count(said, "input_tokens")
    outputs = count(said, "completion_tokens") or count(said, "output_tokens")
    of_input = getattr(said, "prompt_tokens_details", None) or getattr(said, "input_tokens_details", None)
    of_output = getattr(said, "completion_tokens_details", None) or getattr(said, "output_tokens_details", None)
    return Usage(
        input=inputs,
        output=outputs,
        cache_read=count(of_input, "cached_tokens"),
        reasoning=count(of_output, "reasoning_tokens"),
        audio_in=count(of_input, "audio_tokens"),
        audio_out=count(of_output, "audio_tokens"),
    )


def outcome_of(error: BaseException) -> Outcome:
    """Return the outcome that an exception of the SDK stands for."""
    if not isinstance(error, Exception):
        return "cancelled"
    if getattr(error, "status_code", None) == 429:
        return "rate_limited"
    names = {kind.__name__ for kind in type(error).__mro__}
    return "timeout" if names & {"APITimeoutError", "TimeoutError", "TimeoutException"} else "error"


class Call:
    """One model call under way."""

    site = "openai"

    def __init__(
        self, provider: str, model: str, operation: str, stream: bool, hide_usage: bool, raw: bool, sender: Any
    ) -> None:
        self._provider = provider
        self._model = model
        self._operation = operation
        self._stream = stream
        self._hide_usage = hide_usage  # the application did not ask for the chunk that says it
        self._raw = raw  # the application wants the raw response
        self._sender = sender
        self._feature = current_feature()
        self._started = perf_counter()
        self._first_token: float | None = None
        self._usage: Usage | None = None
        self._id: str | None = None
        self._tier: str | None = None
        self._attempt = 1
        self._done = False

    def failed(self, error: BaseException) -> None:
        """There is no answer."""
        self._attempt = max(self._attempt, _attempt_of(error))
        self.end(outcome_of(error))

    def answered(self, result: Any) -> Any:
        """Return what the application gets in place of the raw response that we asked for."""
        self._attempt = 1 + int(getattr(result, "retries_taken", 0) or 0)
        if self._raw and (self._stream or not hasattr(type(result), "parse")):
            self.end("ok")  # its body is the application's to read
            return result
        parse = getattr(result, "parse", None)
        try:
            answer = parse() if parse is not None else result
        except Exception as error:
            self.failed(error)  # an answer that is not what the SDK expects: its error is the application's
            raise
        try:
            if self._stream:
                return self._watch(answer)
            self._learn(answer)
            self.end("ok")
        except Exception:  # noqa: BLE001 a guard: an instrument never raises into the application
            default_registry().count_internal_error(self.site)
        return result if self._raw else answer

    def end(self, outcome: Outcome) -> None:
        """Record the call, once."""
        if self._done:
            return
        self._done = True
        record_llm_call(
            self._provider,
            self._model,
            self._usage,
            outcome=outcome,
            operation=self._operation,
            feature=self._feature,
            id=self._id,
            stream=self._stream,
            duration_seconds=perf_counter() - self._started,
            time_to_first_token_seconds=self._first_token,
            attempt=self._attempt,
            service_tier=self._tier,
            sender=self._sender,
        )

    def sees(self, chunk: Any) -> bool:
        """Learn from a chunk of the stream; return whether the application gets it."""
        try:
            choices = getattr(chunk, "choices", None)
            if self._first_token is None and self.first(chunk):
                self._first_token = perf_counter() - self._started
            self._learn(getattr(chunk, "response", None) or chunk)
            return not (self._hide_usage and choices == [] and getattr(chunk, "usage", None) is not None)
        except Exception:  # noqa: BLE001 a guard: an instrument never raises into the application
            default_registry().count_internal_error(self.site)
            return True

    def first(self, chunk: Any) -> bool:
        """Return whether a chunk holds a token."""
        return bool(getattr(chunk, "choices", None)) or (getattr(chunk, "type", "") or "").endswith(".delta")

    def _learn(self, answer: Any) -> None:
        self._usage = usage_of(answer) or self._usage
        self._id = getattr(answer, "id", None) or self._id
        self._model = getattr(answer, "model", None) or self._model
        self._tier = getattr(answer, "service_tier", None) or self._tier

    def _watch(self, stream: Any) -> Any:
        """Return the same stream object, with its chunks seen on their way."""
        inner = stream._iterator  # since 1.0 the one place that chunks come from, however the stream is read
        close = stream.close
        if hasattr(inner, "__anext__"):
            stream._iterator = _AsyncChunks(inner, self)

            async def close_async() -> None:
                self.end("cancelled")
                await close()

            stream.close = close_async
        else:
            stream._iterator = _Chunks(inner, self)

            def close_sync() -> None:
                self.end("cancelled")
                close()

            stream.close = close_sync
        return stream


class _Chunks:
    """The chunks of a stream, seen."""

    def __init__(self, inner: Iterator[Any], call: Call) -> None:
        self._inner = inner
        self._call = call

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        while True:
            try:
                chunk = next(self._inner)
            except StopIteration:
                self._call.end("ok")
                raise
            except BaseException as error:
                self._call.failed(error)
                raise
            if self._call.sees(chunk):
                return chunk

    def __del__(self) -> None:
        self._call.end("cancelled")  # dropped half-way; nothing happens when it came to its end


class _AsyncChunks:
    """The chunks of an asynchronous stream, seen."""

    def __init__(self, inner: AsyncIterator[Any], call: Call) -> None:
        self._inner = inner
        self._call = call

    def __aiter__(self) -> AsyncIterator[Any]:
        return self

    async def __anext__(self) -> Any:
        while True:
            try:
                chunk = await anext(self._inner)
            except StopAsyncIteration:
                self._call.end("ok")
                raise
            except BaseException as error:
                self._call.failed(error)
                raise
            if self._call.sees(chunk):
                return chunk

    async def aclose(self) -> None:
        """Close the inner generator too."""
        self._call.end("cancelled")
        close = getattr(self._inner, "aclose", None)
        if close is not None:
            await close()

    def __del__(self) -> None:
        self._call.end("cancelled")  # dropped half-way; nothing happens when it came to its end


def _begin(
    args: tuple[Any, ...], stream: bool, provider: str, sender: UsageSender | None, ask_for_usage: bool
) -> tuple[Call | None, tuple[Any, ...]]:
    """Return (the call, the arguments to make it with); no call when it is not a model's."""
    cast_to, options, *others = args
    operation = OPERATIONS.get(options.url)
    body = options.json_data
    if operation is None or not isinstance(body, Mapping):
        return None, args
    mark_model_call()
    options = copy.copy(options)
    headers = dict(options.headers) if isinstance(options.headers, Mapping) else {}
    raw = any(name.lower() == RAW_HEADER.lower() for name in headers)
    if not raw:
        # The raw response says how often the SDK tried; it is parsed before the application sees it.
        options.headers = {**headers, RAW_HEADER: "true"}
    asked = body.get("stream_options") or {}
    hide = stream and ask_for_usage and options.url == "/chat/completions" and not asked.get("include_usage")
    if hide:
        options.json_data = {**body, "stream_options": {**asked, "include_usage": True}}
    model = body.get("model")
    call = Call(provider, model if isinstance(model, str) else UNKNOWN, operation, stream, hide, raw, sender)
    return call, (cast_to, options, *others)


def _attempt_of(error: BaseException) -> int:
    """Return which attempt an SDK exception ended."""
    request = getattr(error, "request", None)
    count = str(getattr(request, "headers", {}).get(RETRY_HEADER, ""))
    return 1 + int(count) if count.isdecimal() else 1


def count(counts: Any, name: str) -> int:
    """Return a count that an answer says, 0 when it does not."""
    value = getattr(counts, name, None)
    return value if isinstance(value, int) and value > 0 else 0
