"""LiteLLM: `instrument_litellm()`, and each of its calls (completion, responses, embedding, image, …) is counted.

A callback of LiteLLM's, and a layer (layers.py) around its functions, by which a call is known to what runs inside:
a client handed in as `client=` that is instrumented itself counts, and LiteLLM does not. So call them as
`litellm.completion(…)`; a function that was imported by its name before counts as well, but has no labels. Facts:

- LiteLLM tells in threads and tasks of its own: the labels of a call are those of its layer, found by its call id.
- Usage is in OpenAI's form and convention (`total`) whatever the provider; a stream's is put together at its end.
  When nobody asked for it, LiteLLM guesses: the hook asks, and keeps the chunk that says it from the application.
- An answer from LiteLLM's cache cost nothing: its outcome is `cached`.
"""

import functools
from collections import OrderedDict
from collections.abc import Callable, Mapping
from datetime import datetime
from inspect import iscoroutinefunction
from typing import Any

from topmast_exporter.admission import UNKNOWN
from topmast_exporter.instrument.llm import layers
from topmast_exporter.instrument.llm.call import count, outcome_of
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

# Calls whose end LiteLLM did not tell yet; retries of one call have its id.
MAX_CALLS = 10_000

_INSTRUMENTED = "_topmast_instrumented"

_layers: OrderedDict[str, layers.Layer] = OrderedDict()


def instrument_litellm(*, sender: UsageSender | None = None, ask_for_usage: bool = True) -> None:
    """Listen to LiteLLM in this process from now on. A second time changes nothing.

    `ask_for_usage=False` leaves streams as the application made them: their usage is LiteLLM's guess then.
    """
    import litellm  # type: ignore[import-not-found,unused-ignore]  # an environment of its own has it

    if getattr(litellm, _INSTRUMENTED, False):
        return
    setattr(litellm, _INSTRUMENTED, True)
    litellm.callbacks.append(_callback(sender))
    for name in OPERATIONS:
        for each in (name, f"a{name}"):
            function = getattr(litellm, each, None)
            if callable(function):
                setattr(litellm, each, _around(function, ask_for_usage and name == "completion"))


def _around(function: Callable[..., Any], ask_for_usage: bool) -> Callable[..., Any]:
    """Return the function with a layer around each call."""

    def asks(options: dict[str, Any]) -> bool:
        if not ask_for_usage or options.get("stream") is not True or options.get("stream_options") is not None:
            return False
        options["stream_options"] = {"include_usage": True}
        return True

    def given(answer: Any, hide: bool) -> Any:
        # Whether a CustomStreamWrapper hands the last chunk on; an application that did not ask reads choices[0].
        if hide and hasattr(answer, "send_stream_usage"):
            answer.send_stream_usage = False
        return answer

    def begin(options: dict[str, Any]) -> layers.Layer | None:
        try:
            if options.get(CALL_ID) in _layers:
                return None  # one of LiteLLM's functions calls another: it is the same call
            mark_model_call()
            layer = layers.enter()
            _layers[options.setdefault(CALL_ID, new_id())] = layer
            if len(_layers) > MAX_CALLS:
                _layers.popitem(last=False)
        except Exception:  # noqa: BLE001 a guard: an instrument never raises into the application
            default_registry().count_internal_error(SITE)
            return None
        return layer

    if iscoroutinefunction(function):

        @functools.wraps(function)
        async def called_async(*args: Any, **options: Any) -> Any:
            layer = begin(options)
            hide = layer is not None and asks(options)
            try:
                return given(await function(*args, **options), hide)
            finally:
                if layer is not None:
                    layers.leave(layer)

        return called_async

    @functools.wraps(function)
    def called(*args: Any, **options: Any) -> Any:
        layer = begin(options)
        hide = layer is not None and asks(options)
        try:
            return given(function(*args, **options), hide)
        finally:
            if layer is not None:
                layers.leave(layer)

    return called


def _callback(sender: UsageSender | None) -> Any:
    """Return the callback. Its class is LiteLLM's, which takes seconds to import: that is left to the application."""
    from litellm.integrations.custom_logger import (  # type: ignore[import-not-found,unused-ignore]  # as above
        CustomLogger as Base,
    )

    class UsageLogger(Base):  # type: ignore[misc,unused-ignore]  # it is typed where LiteLLM is installed
        """Tells of each call; never raises into LiteLLM."""

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
        layer = _layers.get(str(told.get(CALL_ID)))
        if layer is not None and layer.covered:
            return
        labels = {} if layer is None else layer.labels
        cost = told.get("response_cost")
        outcome: Outcome = "ok"
        if failed:
            error = told.get("exception")
            outcome = outcome_of(error) if isinstance(error, BaseException) else "error"
        elif told.get("cache_hit") is True:
            outcome = "cached"
        took = (
            (ended - began).total_seconds() if isinstance(began, datetime) and isinstance(ended, datetime) else None
        )
        first = told.get("completion_start_time")
        stream = told.get("stream") is True
        call_type = str(getattr(told.get("call_type"), "value", told.get("call_type") or ""))
        record_llm_call(
            table_name(str(told.get("custom_llm_provider") or "")),
            str(told.get("model") or UNKNOWN),
            None if failed else usage_of(answer),
            outcome=outcome,
            operation=OPERATIONS.get(call_type) or OPERATIONS.get(call_type.removeprefix("a"), "chat"),
            stream=stream,
            duration_seconds=took,
            time_to_first_token_seconds=(first - began).total_seconds()
            if stream and isinstance(first, datetime) and isinstance(began, datetime)
            else None,
            service_tier=getattr(answer, "service_tier", None),
            cost_usd=cost if isinstance(cost, float) and cost > 0 and outcome == "ok" else None,
            feature=labels.get("feature", ""),
            key_alias=labels.get("key_alias"),
            user_group=labels.get("user_group"),
            environment=labels.get("environment"),
            sender=sender,
        )
    except Exception:  # noqa: BLE001 a guard: an instrument never raises into the application
        default_registry().count_internal_error(SITE)


def usage_of(answer: Any) -> Usage | None:
    """Return the tokens of an answer of LiteLLM's."""
    usage = usage_of_openai(answer)
    if usage is None:
        return None
    written = count(getattr(answer, "usage", None), "cache_creation_input_tokens")
    return Usage(
        input=usage.input,
        output=usage.output,
        cache_read=usage.cache_read,
        cache_write_5m=min(written, max(0, usage.input - usage.cache_read)),
        reasoning=usage.reasoning,
        audio_in=usage.audio_in,
        audio_out=usage.audio_out,
        image_in=usage.image_in,
    )
