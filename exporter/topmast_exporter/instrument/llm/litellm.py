"""LiteLLM: `instrument_litellm()`, and each of its calls (completion, responses, embedding, image, …) is counted.

Its functions are wrapped: what they return, raise and stream is what is told. So nothing hangs on LiteLLM's
callbacks, which it leaves out for some calls (a retry that helped, a stream that is dropped) and an application may
replace. Call them as `litellm.completion(…)`; a function that was imported by its name before is told by a callback,
without labels.
Facts this rests on:

- A call is a layer (layers.py): a client handed in as `client=` that is instrumented itself counts, and LiteLLM does
  not. Its own retries are one call with its attempts; each try of a Router's is a call.
- Usage is in OpenAI's form and convention (`total`) whatever the provider. When a stream's was not said, LiteLLM puts
  its guess there: the hook asks for it (and keeps that chunk from the application), and takes no guess.
- An answer from LiteLLM's cache cost nothing: its outcome is `cached`.
"""

import functools
import sys
from collections import OrderedDict
from collections.abc import Callable, Mapping
from datetime import datetime
from inspect import iscoroutinefunction
from typing import Any

from topmast_exporter.admission import UNKNOWN
from topmast_exporter.instrument.llm import layers
from topmast_exporter.instrument.llm.call import Call, count, outcome_of, retry_reason
from topmast_exporter.instrument.llm.openai import usage_of as usage_of_openai
from topmast_exporter.instrument.llm.record import Outcome, Usage, new_id, record_llm_call
from topmast_exporter.instrument.request import mark_model_call
from topmast_exporter.providers import table_name
from topmast_exporter.registry import default_registry
from topmast_exporter.usage import UsageSender

SITE = "litellm"
CALL_ID = "litellm_call_id"

# What LiteLLM calls them (`call_type`) -> the operation. The asynchronous ones begin with an a.
OPERATIONS = {
    "completion": "chat",
    "responses": "chat",
    "text_completion": "completion",
    "embedding": "embeddings",
    "image_generation": "image",
    "transcription": "transcription",
    "speech": "speech",
}

# Calls whose callbacks may still come: those of a wrapped function tell nothing more.
MAX_CALLS = 10_000

_INSTRUMENTED = "_topmast_instrumented"

_calls: "OrderedDict[str, _Call]" = OrderedDict()


def instrument_litellm(*, sender: UsageSender | None = None, ask_for_usage: bool = True) -> None:
    """Listen to LiteLLM in this process from now on. A second time changes nothing.

    `ask_for_usage=False` leaves streams as the application made them: many say no usage then.
    """
    import litellm  # type: ignore[import-not-found,unused-ignore]  # an environment of its own has it

    if getattr(litellm, _INSTRUMENTED, False):
        return
    setattr(litellm, _INSTRUMENTED, True)
    litellm.callbacks.append(_callback(sender))
    for name, operation in OPERATIONS.items():
        for each in (name, f"a{name}"):
            function = getattr(litellm, each, None)
            if callable(function):
                asks = ask_for_usage and operation in ("chat", "completion") and name != "responses"
                setattr(litellm, each, _around(function, operation, asks, sender))


class _Call(Call):
    """One call of a wrapped function under way."""

    site = SITE
    _tries = 0

    def __init__(
        self, model: str, operation: str, stream: bool, hide_usage: bool, sender: UsageSender | None
    ) -> None:
        provider, _, rest = model.partition("/")
        super().__init__(
            table_name(provider) if rest else "", rest or model, operation, stream, hide_usage, False, sender
        )
        mark_model_call()
        self.call_id = ""
        self.layer = layers.enter()

    @property
    def done(self) -> bool:
        """Whether it came to its end: a fallback may have its id."""
        return self._done

    def end(self, outcome: Outcome) -> None:
        """Record the call, unless something inside of it did."""
        if self.layer.covered:
            self._done = True
        super().end(outcome)

    def failed(self, error: BaseException) -> None:
        self._provider = table_name(str(getattr(error, "llm_provider", None) or self._provider))
        super().failed(error)

    def tries(self) -> None:
        """LiteLLM asks the provider now; again, while it handles the error of the time before."""
        self._attempt = self._tries = self._tries + 1
        error = sys.exc_info()[1]
        if self._tries > 1 and error is not None:
            self._retry_reason = retry_reason(error)

    def sees(self, chunk: Any) -> bool:
        # LiteLLM leaves the usage to one last chunk
        return super().sees(chunk) and not (self._hide_usage and self.says_usage(chunk))

    def returned(self, answer: Any) -> Any:
        """Return what the application gets."""
        try:
            if self._stream and (hasattr(answer, "__next__") or hasattr(answer, "__anext__")):
                return _watch(answer, self)
            self.learn(answer)
            self.end("cached" if _hidden(answer).get("cache_hit") is True else "ok")
        except Exception:  # noqa: BLE001 a guard: an instrument never raises into the application
            default_registry().count_internal_error(SITE)
            _calls.pop(self.call_id, None)  # so that the callback tells of it
        return answer

    def first(self, chunk: Any) -> bool:
        return bool(getattr(chunk, "choices", None)) or str(getattr(chunk, "type", "")).endswith(".delta")

    def learn(self, answer: Any) -> None:
        # an event of a response's stream holds the response
        answer = getattr(answer, "response", None) or answer
        hidden = _hidden(answer)
        self._usage = usage_of(answer) or self._usage
        provider = str(hidden.get("custom_llm_provider") or "")
        self._model = str(getattr(answer, "model", None) or self._model).removeprefix(f"{provider}/")
        self._provider = table_name(provider or self._provider)
        self._tier = getattr(answer, "service_tier", None) or self._tier
        cost = hidden.get("response_cost")
        self._cost = cost if isinstance(cost, float) and cost > 0 else None

    def ended(self, stream: Any) -> None:
        """A stream came to its end."""
        provider = str(getattr(stream, "custom_llm_provider", None) or self._provider)
        chunks = getattr(stream, "chunks", None)
        if chunks is not None and not any(getattr(chunk, "usage", None) for chunk in chunks):
            self._usage = None  # what LiteLLM says is its guess
        if provider != "cached_response":
            self._provider = table_name(provider)
        self.end("cached" if provider == "cached_response" else "ok")


def _around(
    function: Callable[..., Any], operation: str, ask_for_usage: bool, sender: UsageSender | None
) -> Callable[..., Any]:
    """Return the function with a call's layer around each of its calls."""

    def begin(args: tuple[Any, ...], options: dict[str, Any]) -> _Call | None:
        try:
            around = _calls.get(str(options.get(CALL_ID)))
            if around is not None and not around.done:
                return None  # one of LiteLLM's functions calls another: it is the same call
            stream = options.get("stream") is True
            asked = options.get("stream_options")
            hide = stream and not (isinstance(asked, Mapping) and asked.get("include_usage"))
            model = str(options.get("model") or (args[0] if args else "") or UNKNOWN)
            call = _Call(model, operation, stream, hide, sender)
            call.call_id = options.setdefault(CALL_ID, new_id())
            _calls[call.call_id] = call
            if len(_calls) > MAX_CALLS:
                _calls.popitem(last=False)
            if hide and ask_for_usage:
                options["stream_options"] = {**(asked or {}), "include_usage": True}
        except Exception:  # noqa: BLE001 a guard: an instrument never raises into the application
            default_registry().count_internal_error(SITE)
            return None
        return call

    if iscoroutinefunction(function):

        @functools.wraps(function)
        async def called_async(*args: Any, **options: Any) -> Any:
            call = begin(args, options)
            if call is None:
                return await function(*args, **options)
            try:
                answer = await function(*args, **options)
            except BaseException as error:
                call.failed(error)
                raise
            finally:
                layers.leave(call.layer)
            return call.returned(answer)

        return called_async

    @functools.wraps(function)
    def called(*args: Any, **options: Any) -> Any:
        call = begin(args, options)
        if call is None:
            return function(*args, **options)
        try:
            answer = function(*args, **options)
        except BaseException as error:
            call.failed(error)
            raise
        finally:
            layers.leave(call.layer)
        return call.returned(answer)

    return called


def _watch(stream: Any, call: _Call) -> Any:
    """Return the same stream, of a class that sees its chunks: LiteLLM looks for no other attribute of it."""
    if hasattr(stream, "send_stream_usage"):
        stream.send_stream_usage = True  # the last chunk is for us; `sees` keeps it when nobody asked for it
    stream._topmast_call = call
    kind: Any = type(stream)
    stream.__class__ = _watched(kind)
    return stream


@functools.cache
def _watched(kind: Any) -> Any:
    """Return a class of streams like `kind`, seen by the call of each."""

    class Watched(kind):  # type: ignore[misc]  # a class of LiteLLM's
        def __next__(self) -> Any:
            while True:
                try:
                    chunk = super().__next__()
                except StopIteration:
                    self._topmast_call.ended(self)
                    raise
                except BaseException as error:
                    self._topmast_call.failed(error)
                    raise
                if self._topmast_call.sees(chunk):
                    return chunk

        async def __anext__(self) -> Any:
            while True:
                try:
                    chunk = await super().__anext__()
                except StopAsyncIteration:
                    self._topmast_call.ended(self)
                    raise
                except BaseException as error:
                    self._topmast_call.failed(error)
                    raise
                if self._topmast_call.sees(chunk):
                    return chunk

        def __del__(self) -> None:
            self._topmast_call.end("cancelled")  # dropped half-way; nothing happens when it came to its end
            getattr(super(), "__del__", bool)()

    Watched.__name__, Watched.__qualname__, Watched.__module__ = kind.__name__, kind.__qualname__, kind.__module__
    return Watched


def _callback(sender: UsageSender | None) -> Any:
    """Return the callback. Its class is LiteLLM's, which takes seconds to import: that is left to the application."""
    from litellm.integrations.custom_logger import (  # type: ignore[import-not-found,unused-ignore]  # as above
        CustomLogger as Base,
    )

    class UsageLogger(Base):  # type: ignore[misc,unused-ignore]  # it is typed where LiteLLM is installed
        """Counts the attempts, and tells of calls that no wrapped function made; never raises into LiteLLM."""

        def log_pre_api_call(self, model: Any, messages: Any, kwargs: Any) -> None:  # noqa: ARG002 LiteLLM's names
            """Count an attempt."""
            call = _calls.get(str(kwargs.get(CALL_ID)))
            if call is not None:
                call.tries()

        def log_success_event(self, kwargs: Any, response_obj: Any, start_time: Any, end_time: Any) -> None:
            """Tell of an answer."""
            _tell(kwargs, response_obj, start_time, end_time, sender)

        def log_failure_event(self, kwargs: Any, response_obj: Any, start_time: Any, end_time: Any) -> None:
            """Tell of a failure."""
            _tell(kwargs, response_obj, start_time, end_time, sender, failed=True)

        async def async_log_success_event(
            self, kwargs: Any, response_obj: Any, start_time: Any, end_time: Any
        ) -> None:
            """Tell of an answer."""
            _tell(kwargs, response_obj, start_time, end_time, sender)

        async def async_log_failure_event(
            self, kwargs: Any, response_obj: Any, start_time: Any, end_time: Any
        ) -> None:
            """Tell of a failure."""
            _tell(kwargs, response_obj, start_time, end_time, sender, failed=True)

    return UsageLogger()


def _tell(
    told: Mapping[str, Any], answer: Any, began: Any, ended: Any, sender: UsageSender | None, failed: bool = False
) -> None:
    try:
        if str(told.get(CALL_ID)) in _calls:
            return
        outcome: Outcome = "cached" if told.get("cache_hit") is True else "ok"
        if failed:
            error = told.get("exception")
            outcome = outcome_of(error) if isinstance(error, BaseException) else "error"
        timed = isinstance(began, datetime) and isinstance(ended, datetime)
        first = told.get("completion_start_time")
        stream = told.get("stream") is True
        cost = told.get("response_cost")
        call_type = str(getattr(told.get("call_type"), "value", told.get("call_type") or ""))
        record_llm_call(
            table_name(str(told.get("custom_llm_provider") or "")),
            str(told.get("model") or UNKNOWN),
            None if failed else usage_of(answer),
            outcome=outcome,
            operation=OPERATIONS.get(call_type) or OPERATIONS.get(call_type.removeprefix("a"), "chat"),
            stream=stream,
            duration_seconds=(ended - began).total_seconds() if timed else None,
            time_to_first_token_seconds=(first - began).total_seconds()
            if timed and stream and isinstance(first, datetime)
            else None,
            service_tier=getattr(answer, "service_tier", None),
            cost_usd=cost if isinstance(cost, float) and cost > 0 and outcome == "ok" else None,
            sender=sender,
        )
    except Exception:  # noqa: BLE001 a guard: an instrument never raises into the application
        default_registry().count_internal_error(SITE)


def _hidden(answer: Any) -> Mapping[str, Any]:
    """Return what LiteLLM notes beside an answer: provider, cost, whether it is from its cache."""
    hidden = getattr(answer, "_hidden_params", None)
    return hidden if isinstance(hidden, Mapping) else {}


def usage_of(answer: Any) -> Usage | None:
    """Return the tokens of an answer of LiteLLM's."""
    usage = usage_of_openai(answer)
    if usage is None:
        return None
    said = getattr(answer, "usage", None)
    written = count(said, "cache_creation_input_tokens")
    lifetimes = getattr(getattr(said, "prompt_tokens_details", None), "cache_creation_token_details", None)
    hour = min(written, count(lifetimes, "ephemeral_1h_input_tokens"))
    room = max(0, usage.input - usage.cache_read)
    return Usage(
        input=usage.input,
        output=usage.output,
        cache_read=usage.cache_read,
        cache_write_5m=min(written - hour, room),
        cache_write_1h=min(hour, max(0, room - (written - hour))),
        reasoning=usage.reasoning,
        audio_in=usage.audio_in,
        audio_out=usage.audio_out,
        image_in=usage.image_in,
    )
