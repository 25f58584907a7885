"""The Anthropic SDK: `instrument_anthropic(client)` for Anthropic and AsyncAnthropic.

Listened to is `client.request`, in which `messages.create`, `messages.stream` and their beta forms end. Facts:

- Usage is additive: `input_tokens` leaves out what was read from the cache and written to it. An event's input is all
  of it (convention `total`); writes that do not say their lifetime are of five minutes, the API's default.
- A stream says its input at the start and its output, counted up, in each `message_delta`. One that is dropped
  half-way has thus a usage that is less than what is billed, and the outcome `cancelled`.
- The raw response says how often the SDK tried; an asynchronous one is parsed by awaiting it.
"""

import copy
from collections.abc import Mapping
from inspect import isawaitable, iscoroutinefunction
from typing import Any, TypeVar

from topmast_exporter.admission import UNKNOWN
from topmast_exporter.instrument.llm.openai import RAW_HEADER, Call, count
from topmast_exporter.instrument.llm.record import Usage
from topmast_exporter.instrument.request import mark_model_call
from topmast_exporter.registry import default_registry
from topmast_exporter.usage import UsageSender

C = TypeVar("C")

PATH = "/v1/messages"

_INSTRUMENTED = "_topmast_instrumented"


def instrument_anthropic(client: C, provider: str = "anthropic", *, sender: UsageSender | None = None) -> C:
    """Return the same client; each message becomes a usage event. `provider` is what the price table calls it."""
    target: Any = client
    if getattr(target, _INSTRUMENTED, False):
        return client
    request = target.request

    def begin(args: tuple[Any, ...], options: dict[str, Any]) -> tuple["_Message | None", tuple[Any, ...]]:
        try:
            return _begin(args, bool(options.get("stream")), provider, sender)
        except Exception:  # noqa: BLE001 a guard: an instrument never raises into the application
            default_registry().count_internal_error("anthropic")
            return None, args

    async def request_async(*args: Any, **options: Any) -> Any:
        call, args = begin(args, options)
        if call is None:
            return await request(*args, **options)
        try:
            result = await request(*args, **options)
            answer = call.opened(result)
            if isawaitable(answer):
                answer = await answer
        except BaseException as error:
            call.failed(error)
            raise
        return call.given(result, answer)

    def request_sync(*args: Any, **options: Any) -> Any:
        call, args = begin(args, options)
        if call is None:
            return request(*args, **options)
        try:
            result = request(*args, **options)
            answer = call.opened(result)
        except BaseException as error:
            call.failed(error)
            raise
        return call.given(result, answer)

    target.request = request_async if iscoroutinefunction(request) else request_sync
    setattr(target, _INSTRUMENTED, True)
    for name in ("copy", "with_options"):
        make = getattr(target, name)

        def made(*args: Any, _make: Any = make, **options: Any) -> Any:
            return instrument_anthropic(_make(*args, **options), provider, sender=sender)

        setattr(target, name, made)
    return client


def usage_of(said: Any, before: Usage | None = None) -> Usage | None:
    """Return the tokens of a `usage`, in the convention `total`; what it leaves out is as it was `before`."""
    if said is None:
        return before
    past = before or Usage()
    cached, written = past.cache_read, past.cache_write_5m + past.cache_write_1h
    plain = past.input - cached - written
    if getattr(said, "input_tokens", None) is not None:
        plain = count(said, "input_tokens")
    if getattr(said, "cache_read_input_tokens", None) is not None:
        cached = count(said, "cache_read_input_tokens")
    hour = past.cache_write_1h
    lifetimes = getattr(said, "cache_creation", None)
    if lifetimes is not None:
        hour = count(lifetimes, "ephemeral_1h_input_tokens")
    if getattr(said, "cache_creation_input_tokens", None) is not None:
        written = count(said, "cache_creation_input_tokens")
    return Usage(
        input=plain + cached + written,
        output=max(past.output, count(said, "output_tokens")),
        cache_read=cached,
        cache_write_5m=max(0, written - hour),
        cache_write_1h=min(hour, written),
    )


class _Message(Call):
    """One message under way."""

    site = "anthropic"

    def opened(self, result: Any) -> Any:
        """Return the answer in a raw response that we asked for, perhaps one to be awaited; else the result."""
        self._attempt = 1 + int(getattr(result, "retries_taken", 0) or 0)
        parse = None if self._raw else getattr(result, "parse", None)
        return result if parse is None else parse()

    def given(self, result: Any, answer: Any) -> Any:
        """Return what the application gets."""
        try:
            if self._raw:
                self.end("ok")  # its body is the application's to read
                return result
            if self._stream:
                return self._watch(answer)
            self._learn(answer)
            self.end("ok")
        except Exception:  # noqa: BLE001 a guard: an instrument never raises into the application
            default_registry().count_internal_error(self.site)
        return answer

    def first(self, chunk: Any) -> bool:
        return getattr(chunk, "type", "") == "content_block_delta"

    def _learn(self, answer: Any) -> None:
        message = getattr(answer, "message", None) or answer
        said = getattr(message, "usage", None)
        self._usage = usage_of(said, self._usage)
        self._id = getattr(message, "id", None) or self._id
        self._model = getattr(message, "model", None) or self._model
        fast = getattr(said, "speed", None) == "fast"
        self._tier = ("fast" if fast else getattr(said, "service_tier", None)) or self._tier


def _begin(
    args: tuple[Any, ...], stream: bool, provider: str, sender: UsageSender | None
) -> tuple[_Message | None, tuple[Any, ...]]:
    """Return (the call, the arguments to make it with); no call when it is not a model's."""
    cast_to, options, *others = args
    body = options.json_data
    if options.url.partition("?")[0] != PATH or not isinstance(body, Mapping):
        return None, args
    mark_model_call()
    options = copy.copy(options)
    headers = dict(options.headers) if isinstance(options.headers, Mapping) else {}
    raw = any(name.lower() == RAW_HEADER.lower() for name in headers)
    if not raw:
        options.headers = {**headers, RAW_HEADER: "raw"}
    model = body.get("model")
    call = _Message(provider, model if isinstance(model, str) else UNKNOWN, "chat", stream, False, raw, sender)
    return call, (cast_to, options, *others)
