"""A model call, told to the exporter: what every SDK hook ends in, and what an application without a hook calls.

    with feature("search"):
        record_llm_call("openai", "gpt-4o-mini", Usage(input=812, output=96), duration_seconds=1.4)

The event's shape is METRICS.md's "LLM usage from elsewhere". It holds numbers and names only: no prompt, no answer.
"""

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any, Literal

from topmast_exporter.instrument.request import mark_model_call
from topmast_exporter.registry import default_registry
from topmast_exporter.usage import UsageSender, default_sender

Outcome = Literal["ok", "error", "timeout", "rate_limited", "cancelled", "cached"]
Convention = Literal["total", "additive"]

_feature: ContextVar[str] = ContextVar("topmast_feature", default="")


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


@contextmanager
def feature(name: str) -> Iterator[None]:
    """Model calls inside of the block belong to this feature of the product; the innermost name counts."""
    before = _feature.get()
    _feature.set(name)
    try:
        yield
    finally:
        # Not reset(token): an asynchronous generator may be closed in another context than it was started in.
        _feature.set(before)


def current_feature() -> str:
    """Return the feature that model calls belong to here, "" when nobody said."""
    return _feature.get()


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

    `usage` None means that the provider did not say; it is counted as missing, never as 0. `id` is the provider's
    id of the answer: an event is counted once for each. `cost_usd` is the caller's own reckoning, kept beside ours.
    """
    try:
        mark_model_call()
        event: dict[str, Any] = {
            "id": id or uuid.uuid4().hex,
            "timestamp": (timestamp or datetime.now(UTC)).isoformat(),
            "provider": provider,
            "model": model,
            "feature": current_feature() if feature is None else feature,
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
                kind: tokens for kind, tokens in asdict(usage).items() if tokens or kind in ("input", "output")
            }
        optional = {
            "service_tier": service_tier,
            "duration_seconds": duration_seconds,
            "time_to_first_token_seconds": time_to_first_token_seconds,
            "cost_usd": cost_usd,
            "key_alias": key_alias,
            "user_group": user_group,
            "environment": environment,
        }
        event.update({name: value for name, value in optional.items() if value is not None})
        (sender or default_sender()).send(event)
    except Exception:  # noqa: BLE001 a guard: an instrument never raises into the application
        default_registry().count_internal_error("llm")
