"""One LLM request as a usage event: the body of POST /v1/usage (METRICS.md, last section), checked and bounded."""

import math
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import NamedTuple

from topmast_exporter.pricing.price import PICO
from topmast_exporter.pricing.tokens import Tokens, UsageError, normalise

OUTCOMES = ("ok", "error", "timeout", "rate_limited", "cancelled", "cached")
UNKNOWN = "_unknown"

MAX_ID = 200
MAX_NAME = 256
MAX_SECONDS = 86_400.0
MAX_COST_USD = 10_000.0
MAX_ATTEMPTS = 1000

# Ids are kept this long for de-duplication; an older event could be a copy that nobody remembers.
KEEP_ID_SECONDS = 45 * 86_400


class EventError(ValueError):
    """The event is refused. `reason` is one of a fixed list: it is in the answer and a label value."""

    REASONS = (
        *UsageError.REASONS,
        "not_an_object",
        "id_missing",
        "name_too_long",
        "not_text",
        "bad_timestamp",
        "too_old",
        "unknown_outcome",
        "bad_duration",
        "bad_attempt",
        "bad_cost",
        "bad_flag",
    )

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class UsageEvent(NamedTuple):
    """One request to a model."""

    id: str
    at: float
    """Unix time of the request."""
    provider: str
    model: str
    feature: str = ""
    operation: str = ""
    outcome: str = "ok"
    tier: str = ""
    batch: bool = False
    stream: bool = False
    attempt: int = 1
    retry_reason: str = ""
    key_alias: str = ""
    """The name of the API key, never the key."""
    user_group: str = ""
    environment: str = ""
    tokens: Tokens | None = None
    """None: the provider did not say."""
    duration_seconds: float | None = None
    time_to_first_token_seconds: float | None = None
    caller_cost: int | None = None
    """What the caller believes it cost, in pico-USD."""


WORDS = slice(UsageEvent._fields.index("provider"), UsageEvent._fields.index("environment") + 1)
"""The part of an event that many others share; what is not in it is each one's own."""


def parse(body: object, now: float) -> UsageEvent:
    """Return the event of a JSON object. Raises EventError. Keys that we do not know are left alone."""
    if not isinstance(body, Mapping):
        raise EventError("not_an_object")
    outcome = body.get("outcome", "ok") or "ok"
    if outcome not in OUTCOMES:
        raise EventError("unknown_outcome")
    event_id = _text(body, "id", MAX_ID)
    if not event_id:
        raise EventError("id_missing")
    if event_id != body["id"]:
        raise EventError("not_text")  # mended, two ids might be one
    return UsageEvent(
        id=event_id,
        at=time_of(body.get("timestamp"), now),
        provider=_text(body, "provider").lower().strip() or UNKNOWN,
        model=_text(body, "model").strip() or UNKNOWN,
        feature=_text(body, "feature"),
        operation=_text(body, "operation"),
        outcome=str(outcome),
        tokens=_tokens(body),
        tier=_text(body, "service_tier"),
        batch=_flag(body, "batch"),
        stream=_flag(body, "stream"),
        attempt=_attempt(body.get("attempt")),
        retry_reason=_text(body, "retry_reason"),
        duration_seconds=_seconds(body.get("duration_seconds")),
        time_to_first_token_seconds=_seconds(body.get("time_to_first_token_seconds")),
        caller_cost=cost_of(body.get("cost_usd")),
        key_alias=_text(body, "key_alias"),
        user_group=_text(body, "user_group"),
        environment=_text(body, "environment"),
    )


def _text(body: Mapping[str, object], key: str, limit: int = MAX_NAME) -> str:
    value = body.get(key)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise EventError("not_text")
    if len(value) > limit:
        raise EventError("name_too_long")
    # half a character: JSON has it as \ud800, the ledger has no place for it
    return value if value.isascii() else value.encode("utf-8", "replace").decode()


def _flag(body: Mapping[str, object], key: str) -> bool:
    value = body.get(key)
    if value is None or isinstance(value, bool):
        return bool(value)
    raise EventError("bad_flag")


def _tokens(body: Mapping[str, object]) -> Tokens | None:
    usage = body.get("usage")
    if usage is None or usage == {}:
        return None
    if not isinstance(usage, Mapping):
        raise EventError("not_an_object")
    try:
        return normalise(usage, _text(body, "convention"))
    except UsageError as error:
        raise EventError(error.reason) from error


def time_of(value: object, now: float) -> float:
    """Return the unix time of a `timestamp`. Raises EventError."""
    if value is None:
        return now
    try:
        if isinstance(value, str):
            moment = datetime.fromisoformat(value)
            at = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
        elif isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value):
            at = float(value)
        else:
            raise EventError("bad_timestamp")
    except (ValueError, OverflowError) as error:
        raise EventError("bad_timestamp") from error
    if at < now - KEEP_ID_SECONDS:
        raise EventError("too_old")
    return min(at, now)  # a clock ahead of ours: the money is spent all the same


def _seconds(value: object) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= MAX_SECONDS:
        raise EventError("bad_duration")
    return float(value)


def _attempt(value: object) -> int:
    if value is None:
        return 1
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= MAX_ATTEMPTS:
        raise EventError("bad_attempt")
    return value


def cost_of(value: object) -> int | None:
    """Return a `cost_usd` in pico-USD. Raises EventError."""
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= MAX_COST_USD:
        raise EventError("bad_cost")
    return round(Decimal(str(value)) * PICO)
