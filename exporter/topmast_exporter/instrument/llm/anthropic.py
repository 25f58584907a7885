"""The Anthropic SDK: `instrument_anthropic(client)` for Anthropic and AsyncAnthropic.

`messages.create`, `messages.stream` and their beta forms. Facts this rests on:

- Usage is additive: `input_tokens` leaves out what was read from the cache and written to it. An event's input is all
  of it (convention `total`); writes that do not say their lifetime are of five minutes, the API's default.
- A stream says its input at the start and its output, counted up, in each `message_delta`. One that is dropped
  half-way has thus a usage that is less than what is billed, and the outcome `cancelled`.
- The raw response says how often the SDK tried; an asynchronous one is parsed by awaiting it.
"""

from collections.abc import Mapping
from typing import Any, TypeVar

from topmast_exporter.instrument.llm.call import Call, ask_for_raw, count, listen, model_of
from topmast_exporter.instrument.llm.record import Usage
from topmast_exporter.usage import UsageSender

C = TypeVar("C")

PATH = "/v1/messages"


def instrument_anthropic(client: C, provider: str = "anthropic", *, sender: UsageSender | None = None) -> C:
    """Return the same client; each message becomes a usage event. `provider` is what the price table calls it."""

    def begin(args: tuple[Any, ...], stream: bool) -> tuple[Call | None, tuple[Any, ...]]:
        return _begin(args, stream, provider, sender)

    def again(made: Any) -> Any:
        return instrument_anthropic(made, provider, sender=sender)

    return listen(client, begin, _Message.site, again)


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

    def first(self, chunk: Any) -> bool:
        return getattr(chunk, "type", "") == "content_block_delta"

    def learn(self, answer: Any) -> None:
        message = getattr(answer, "message", None) or answer
        said = getattr(message, "usage", None)
        self._usage = usage_of(said, self._usage)
        self._model = getattr(message, "model", None) or self._model
        fast = getattr(said, "speed", None) == "fast"
        self._tier = ("fast" if fast else getattr(said, "service_tier", None)) or self._tier


def _begin(
    args: tuple[Any, ...], stream: bool, provider: str, sender: UsageSender | None
) -> tuple[Call | None, tuple[Any, ...]]:
    cast_to, options, *others = args
    body = options.json_data
    if options.url.partition("?")[0] != PATH or not isinstance(body, Mapping):
        return None, args
    options, raw = ask_for_raw(options, "raw")
    return _Message(provider, model_of(body), "chat", stream, False, raw, sender), (cast_to, options, *others)
