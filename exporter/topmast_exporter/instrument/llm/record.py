"""A model call, told to the exporter: what every SDK hook ends in, and what an application without a hook calls.

    with feature("search"):
        record_llm_call("openai", "gpt-4o-mini", Usage(input=812, output=96), duration_seconds=1.4)

The event's shape is METRICS.md's "LLM usage from elsewhere". It holds numbers and names only: no prompt, no answer.
"""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from operator import attrgetter
from types import MappingProxyType
from typing import Any, Literal

from topmast_exporter.instrument.request import mark_model_call
from topmast_exporter.registry import default_registry
from topmast_exporter.usage import UsageSender, default_sender

Outcome = Literal["ok", "error", "timeout", "rate_limited", "cancelled", "cached"]
Convention = Literal["total", "additive"]

_labels: ContextVar[Mapping[str, str]] = ContextVar("topmast_llm_labels", default=MappingProxyType({}))


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of one call. With the convention `total`, cached input is part of `input` and reasoning of `output`."""

    input: int = 0
    output: int = 0
    cache_read: int = 0
    cache_write_5m: int = 0
    cache_write_1h: int = 0
    reasoning: int = 0
    audio_in: int = 0
    audio_out: int = 0
    image_in: int = 0


_KINDS = tuple(field.name for field in fields(Usage))
_tokens = attrgetter(*_KINDS)  # asdict() takes a third of what a call pays


@contextmanager
def feature(name: str) -> Iterator[None]:
    """Model calls inside of the block belong to this feature of the product; the innermost name counts."""
    with labels(feature=name):
        yield


@contextmanager
def labels(
    *,
    feature: str | None = None,
    key_alias: str | None = None,
    user_group: str | None = None,
    environment: str | None = None,
) -> Iterator[None]:
    """Model calls inside of the block are booked under these; the innermost block counts, for each name by itself.

    `key_alias` is the name of an API key, never the key.
    """
    told = {"feature": feature, "key_alias": key_alias, "user_group": user_group, "environment": environment}
    before = _labels.get()
    _labels.set({**before, **{name: value for name, value in told.items() if value is not None}})
    try:
        yield
    finally:
        # Not reset(token): an asynchronous generator may be closed in another context than it was started in.
        _labels.set(before)


def current_feature() -> str:
    """Return the feature that model calls belong to here, "" when nobody said."""
    return _labels.get().get("feature", "")


def current_labels() -> Mapping[str, str]:
    """Return what model calls are booked under here: feature, key_alias, user_group, environment, as far as said."""
    return _labels.get()


def new_id() -> str:
    """Return an id that no other event has: as random as a UUID, in a fifth of its time."""
    return os.urandom(16).hex()


def record_llm_call(
    provider: str,
    model: str,
    usage: Usage | None = None,
    *,
    outcome: Outcome = "ok",
    convention: Convention = "total",
    operation: str = "chat",
    feature: str | None = None,
    id: str | None = None,
    stream: bool = False,
    duration_seconds: float | None = None,
    time_to_first_token_seconds: float | None = None,
    attempt: int = 1,
    retry_reason: str | None = None,
    service_tier: str | None = None,
    batch: bool = False,
    cost_usd: float | None = None,
    key_alias: str | None = None,
    user_group: str | None = None,
    environment: str | None = None,
    timestamp: datetime | None = None,
    sender: UsageSender | None = None,
) -> None:
    """Tell the exporter of one model call, and mark the request it ran in as one that calls models. Never raises.

    `usage` None means that the provider did not say; it is counted as missing, never as 0. `id` is yours of the call:
    an event is counted once for each. (A provider's id of the answer is none: caches repeat it.) What is not said of
    feature, key_alias, user_group and environment is as `labels` has it. `retry_reason` says of a second `attempt`
    why there was one: error, timeout, rate_limited or connection. `cost_usd` is the caller's own reckoning, kept
    beside ours.
    """
    try:
        mark_model_call()
        around = current_labels()
        event: dict[str, Any] = {
            "id": id or new_id(),
            "timestamp": (timestamp or datetime.now(UTC)).isoformat(),
            "provider": provider,
            "model": model,
            "feature": around.get("feature", "") if feature is None else feature,
            "operation": operation,
            "convention": convention,
            "stream": stream,
            "batch": batch,
            "outcome": outcome,
            "attempt": attempt,
        }
        if usage is not None:
            # Both totals always: an empty usage would read as one that nobody said.
            event["usage"] = {
                kind: tokens
                for kind, tokens in zip(_KINDS, _tokens(usage), strict=True)
                if tokens or kind in ("input", "output")
            }
        optional = {
            "retry_reason": retry_reason,
            "service_tier": service_tier,
            "duration_seconds": duration_seconds,
            "time_to_first_token_seconds": time_to_first_token_seconds,
            "cost_usd": cost_usd,
            "key_alias": around.get("key_alias") if key_alias is None else key_alias,
            "user_group": around.get("user_group") if user_group is None else user_group,
            "environment": around.get("environment") if environment is None else environment,
        }
        event.update({name: value for name, value in optional.items() if value is not None})
        (sender or default_sender()).send(event)
    except Exception:  # noqa: BLE001 a guard: an instrument never raises into the application
        default_registry().count_internal_error("llm")
