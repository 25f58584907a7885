"""LangChain: `instrument_langchain()`, and every chat model and LLM of the process is listened to.

Or one of them, with `callbacks=[UsageCallback()]`. Facts this rests on:

- Usage is LangChain's `usage_metadata`, convention `total`; a model without it leaves `llm_output["token_usage"]`.
- Callbacks run inline (`run_inline`): only so is the layer (layers.py) found by what the model calls, in asyncio too.
- A model whose SDK client is instrumented as well is counted there, with the attempts that LangChain does not see.
"""

from collections import OrderedDict
from collections.abc import Mapping
from contextvars import ContextVar
from time import perf_counter
from typing import Any
from uuid import UUID

from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.tracers.context import register_configure_hook

from topmast_exporter.admission import UNKNOWN
from topmast_exporter.instrument.llm import layers
from topmast_exporter.instrument.llm.call import outcome_of
from topmast_exporter.instrument.llm.record import Outcome, Usage, record_llm_call
from topmast_exporter.instrument.request import mark_model_call
from topmast_exporter.providers import table_name
from topmast_exporter.registry import default_registry
from topmast_exporter.usage import UsageSender

SITE = "langchain"

# langchain-openai writes the tier before the names of an answer's details.
_TIERS = ("", "flex_", "priority_")

# Runs that never end (a process that drops its streams) are forgotten, the oldest first.
MAX_RUNS = 10_000

_handler: ContextVar[BaseCallbackHandler | None] = ContextVar("topmast_langchain", default=None)
_installed = False


class _Run:
    """One run of a model under way."""

    __slots__ = ("first_token", "layer", "model", "owner", "provider", "started", "stream")

    def __init__(self, owner: object, provider: str, model: str, stream: bool) -> None:
        self.owner = owner
        self.provider = provider
        self.model = model
        self.stream = stream
        self.layer = layers.enter()
        self.started = perf_counter()
        self.first_token: float | None = None


# Of all handlers together: a run that two of them see is one.
_runs: OrderedDict[UUID, _Run] = OrderedDict()


def instrument_langchain(*, sender: UsageSender | None = None) -> None:
    """Listen to all models of this process from now on. A second time changes nothing."""
    global _handler, _installed
    if _installed:
        return
    _installed = True
    # the default holds in every thread and task, what is set only in this one
    _handler = ContextVar("topmast_langchain", default=UsageCallback(sender=sender))  # noqa: B039 never changed
    register_configure_hook(_handler, inheritable=True)


class UsageCallback(BaseCallbackHandler):
    """Tells of each model call; never raises into the chain."""

    run_inline = True
    raise_error = False

    def __init__(self, *, sender: UsageSender | None = None) -> None:
        self._sender = sender

    def on_chat_model_start(self, *_: Any, run_id: UUID, **told: Any) -> None:
        """A chat model is asked."""
        self._begin(run_id, told)

    def on_llm_start(self, *_: Any, run_id: UUID, **told: Any) -> None:
        """A model of texts is asked."""
        self._begin(run_id, told)

    def on_llm_new_token(self, *_: Any, run_id: UUID, **__: Any) -> None:
        """A stream goes on."""
        run = _runs.get(run_id)
        if run is not None and run.first_token is None:
            run.stream = True
            run.first_token = perf_counter() - run.started

    def on_llm_end(self, response: Any, *, run_id: UUID, **_: Any) -> None:
        """The answer is there."""
        self._end(run_id, "ok", response)

    def on_llm_error(self, error: BaseException, *, run_id: UUID, **told: Any) -> None:
        """There is none, or half of it."""
        self._end(run_id, outcome_of(error), told.get("response"))

    def _begin(self, run_id: UUID, told: Mapping[str, Any]) -> None:
        try:
            if run_id in _runs:
                return
            mark_model_call()
            asked = told.get("invocation_params") or {}
            metadata = told.get("metadata") or {}
            model = asked.get("model") or asked.get("model_name") or metadata.get("ls_model_name") or UNKNOWN
            provider = table_name(str(metadata.get("ls_provider") or ""))
            _runs[run_id] = _Run(self, provider, str(model), asked.get("stream") is True)
            if len(_runs) > MAX_RUNS:
                _runs.popitem(last=False)
        except Exception:  # noqa: BLE001 a guard: an instrument never raises into the application
            default_registry().count_internal_error(SITE)

    def _end(self, run_id: UUID, outcome: Outcome, response: Any) -> None:
        try:
            run = _runs.get(run_id)
            if run is None or run.owner is not self:
                return
            del _runs[run_id]
            layers.leave(run.layer)
            if run.layer.covered:
                return
            usage, model, tier = _learn(response)
            record_llm_call(
                run.provider,
                model or run.model,
                usage,
                outcome=outcome,
                stream=run.stream,
                duration_seconds=perf_counter() - run.started,
                time_to_first_token_seconds=run.first_token,
                service_tier=tier,
                feature=run.layer.labels.get("feature", ""),
                key_alias=run.layer.labels.get("key_alias"),
                user_group=run.layer.labels.get("user_group"),
                environment=run.layer.labels.get("environment"),
                sender=self._sender,
            )
        except Exception:  # noqa: BLE001 a guard: an instrument never raises into the application
            default_registry().count_internal_error(SITE)


def _learn(response: Any) -> tuple[Usage | None, str, str | None]:
    """Return (usage, model, service tier) of an LLMResult."""
    usage: Usage | None = None
    model, tier = "", None
    for several in getattr(response, "generations", None) or ():
        for one in several:
            message = getattr(one, "message", None)
            said = getattr(message, "usage_metadata", None)
            # several answers to one question have one usage
            usage = usage or (usage_of(said) if said else None)
            about = getattr(message, "response_metadata", None) or {}
            model = str(about.get("model_name") or about.get("model") or model)
            tier = about.get("service_tier") or tier
    output = getattr(response, "llm_output", None) or {}
    said = output.get("token_usage") or {}
    if usage is None and said.get("prompt_tokens") is not None:
        usage = Usage(_number(said, "prompt_tokens"), _number(said, "completion_tokens"))
    return usage, model or str(output.get("model_name") or ""), tier if isinstance(tier, str) else None


def usage_of(said: Mapping[str, Any]) -> Usage:
    """Return the tokens of a `usage_metadata`."""
    of_input, of_output = said.get("input_token_details") or {}, said.get("output_token_details") or {}
    hour = _number(of_input, "ephemeral_1h_input_tokens")
    # a provider that tells the lifetimes apart leaves them out of the sum
    written = _number(of_input, "cache_creation") or hour + _number(of_input, "ephemeral_5m_input_tokens")
    return Usage(
        input=_number(said, "input_tokens"),
        output=_number(said, "output_tokens"),
        cache_read=sum(_number(of_input, f"{tier}cache_read") for tier in _TIERS),
        cache_write_5m=max(0, written - hour),
        cache_write_1h=min(hour, written),
        reasoning=sum(_number(of_output, f"{tier}reasoning") for tier in _TIERS),
        audio_in=_number(of_input, "audio"),
        audio_out=_number(of_output, "audio"),
    )


def _number(counts: Mapping[str, Any], name: str) -> int:
    value = counts.get(name)
    return value if isinstance(value, int) and value > 0 else 0
