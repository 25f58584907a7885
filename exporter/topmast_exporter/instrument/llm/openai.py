"""The OpenAI SDK: `instrument_openai(client)` for OpenAI and AsyncOpenAI, and for every provider of the same API.

Chat completions, responses, embeddings, images, speech and transcriptions, and clients made by `with_options` too.
Facts this rests on:

- A chat stream says its usage only when asked (`stream_options.include_usage`), in a last chunk without choices. The
  hook asks, and keeps that chunk from an application that did not.
- Usage follows the convention `total`: cached input is part of the input, reasoning part of the output.
- A stream that is dropped half-way never says its usage: its event has none and the outcome `cancelled`.
- The SDK retries on its own; how often stands in the header x-stainless-retry-count of the last request.
"""

from collections.abc import Mapping
from typing import Any, TypeVar

from topmast_exporter.instrument.llm.call import Call, ask_for_raw, count, listen, model_of
from topmast_exporter.instrument.llm.record import Outcome, Usage
from topmast_exporter.usage import UsageSender

C = TypeVar("C")

OPERATIONS = {
    "/chat/completions": "chat",
    "/responses": "chat",
    "/embeddings": "embeddings",
    "/completions": "completion",
    "/audio/transcriptions": "transcription",
    "/audio/translations": "transcription",
    "/audio/speech": "speech",
    "/images/generations": "image",
    "/images/edits": "image",
}


def instrument_openai(
    client: C, provider: str = "openai", *, sender: UsageSender | None = None, ask_for_usage: bool = True
) -> C:
    """Return the same client; each model call becomes a usage event.

    `provider` is what the price table calls it. `ask_for_usage=False` leaves chat streams as the application made
    them, for servers that refuse `stream_options`.
    """

    def begin(args: tuple[Any, ...], stream: bool) -> tuple[Call | None, tuple[Any, ...]]:
        return _begin(args, stream, provider, sender, ask_for_usage)

    def again(made: Any) -> Any:
        return instrument_openai(made, provider, sender=sender, ask_for_usage=ask_for_usage)

    return listen(client, begin, _Request.site, again)


def usage_of(answer: Any) -> Usage | None:
    """Return the tokens that an answer (or a chunk, or a response event's response) says, None when it does not."""
    said = getattr(answer, "usage", None)
    if said is None:
        return None
    if getattr(said, "type", None) == "duration":
        return None  # a transcription that is billed by the second
    inputs = count(said, "prompt_tokens") or count(said, "input_tokens")
    outputs = count(said, "completion_tokens") or count(said, "output_tokens")
    # a transcription calls them input_token_details
    names = ("prompt_tokens_details", "input_tokens_details", "input_token_details")
    of_input = next((one for name in names if (one := getattr(said, name, None)) is not None), None)
    of_output = getattr(said, "completion_tokens_details", None) or getattr(said, "output_tokens_details", None)
    return Usage(
        input=inputs,
        output=outputs,
        cache_read=count(of_input, "cached_tokens"),
        reasoning=count(of_output, "reasoning_tokens"),
        audio_in=count(of_input, "audio_tokens"),
        audio_out=count(of_output, "audio_tokens"),
        image_in=min(inputs, count(of_input, "image_tokens")),
    )


class _Request(Call):
    """One request under way."""

    site = "openai"
    _refused = False

    def end(self, outcome: Outcome) -> None:
        super().end("error" if outcome == "ok" and self._refused else outcome)

    def first(self, chunk: Any) -> bool:
        return bool(getattr(chunk, "choices", None)) or (getattr(chunk, "type", "") or "").endswith(".delta")

    def learn(self, answer: Any) -> None:
        # an event of a response's stream holds the response; one that failed is no exception of the SDK's
        self._refused = self._refused or getattr(answer, "type", "") == "error"
        answer = getattr(answer, "response", None) or answer
        self._refused = self._refused or getattr(answer, "status", "") == "failed"
        self._usage = usage_of(answer) or self._usage
        self._model = getattr(answer, "model", None) or self._model
        self._tier = getattr(answer, "service_tier", None) or self._tier


def _begin(
    args: tuple[Any, ...], stream: bool, provider: str, sender: UsageSender | None, ask_for_usage: bool
) -> tuple[Call | None, tuple[Any, ...]]:
    cast_to, options, *others = args
    operation = OPERATIONS.get(options.url)
    body = options.json_data
    if operation is None or not isinstance(body, Mapping):
        return None, args
    url = options.url
    options, raw = ask_for_raw(options, "true")
    asked = body.get("stream_options") or {}
    hide = stream and ask_for_usage and url == "/chat/completions" and not asked.get("include_usage")
    if hide:
        options.json_data = {**body, "stream_options": {**asked, "include_usage": True}}
    call = _Request(provider, model_of(body), operation, stream, hide, raw, sender)
    return call, (cast_to, options, *others)
