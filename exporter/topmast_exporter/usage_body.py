"""The body of POST /v1/usage: JSON of one event or several, or NDJSON.

Nearly every body is plain: each event of it as METRICS.md has it. Such a body is read at once, checked while it is
decoded (msgspec). As soon as there is something odd in it the whole body is read event by event, which knows the
reason of every refusal and what other languages write; what is plain means the same there
(tests/exporter/test_usage_body.py).
"""

import json
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct

from topmast_exporter.pricing.tokens import MAX_TOKENS, TOTAL, Tokens
from topmast_exporter.usage_event import (
    MAX_ATTEMPTS,
    MAX_COST_USD,
    MAX_ID,
    MAX_NAME,
    MAX_SECONDS,
    UNKNOWN,
    EventError,
    UsageEvent,
    cost_of,
    parse,
    time_of,
)
from topmast_exporter.web import HttpError

MAX_BODY_BYTES = 2**20
MAX_LINE_BYTES = 16_384
MAX_EVENTS = 5_000

_Count = Annotated[int, Meta(ge=0, le=MAX_TOKENS)]
_Name = Annotated[str, Meta(max_length=MAX_NAME)]
_Seconds = Annotated[float, Meta(ge=0, le=MAX_SECONDS)]


class _Usage(Struct, forbid_unknown_fields=True):
    input: _Count = 0
    output: _Count = 0
    cache_read: _Count = 0
    cache_write_5m: _Count = 0
    cache_write_1h: _Count = 0
    reasoning: _Count = 0
    audio_in: _Count = 0
    audio_out: _Count = 0
    image_in: _Count = 0


class _Event(Struct):
    """A plain event. Keys that we do not know are left alone."""

    id: Annotated[str, Meta(min_length=1, max_length=MAX_ID)]
    timestamp: str | float | None = None
    provider: _Name | None = None
    model: _Name | None = None
    feature: _Name | None = None
    operation: _Name | None = None
    outcome: Literal["ok", "error", "timeout", "rate_limited", "cancelled", "cached"] = "ok"
    service_tier: _Name | None = None
    batch: bool | None = None
    stream: bool | None = None
    attempt: Annotated[int, Meta(ge=1, le=MAX_ATTEMPTS)] | None = None
    retry_reason: _Name | None = None
    key_alias: _Name | None = None
    user_group: _Name | None = None
    environment: _Name | None = None
    usage: _Usage | None = None
    convention: Literal["", "total"] | None = None
    duration_seconds: _Seconds | None = None
    time_to_first_token_seconds: _Seconds | None = None
    cost_usd: Annotated[float, Meta(ge=0, le=MAX_COST_USD)] | None = None


_decoder = msgspec.json.Decoder(_Event)
_list_decoder = msgspec.json.Decoder(list[_Event])


@dataclass(frozen=True)
class Batch:
    """A body, parsed."""

    events: tuple[UsageEvent, ...]
    rejected: tuple[tuple[int, str], ...]
    """(index in the body, reason)"""


def parse_body(body: bytes, content_type: str, now: float) -> Batch:
    """Return the events of a JSON object, a JSON array, or NDJSON. Raises HttpError when it is none of these."""
    plain = parse_plain(body, content_type, now)
    if plain is not None:
        return Batch(tuple(plain), ())
    events: list[UsageEvent] = []
    rejected: list[tuple[int, str]] = []
    for index, found in enumerate(_objects(body, _is_lines(content_type))):
        try:
            if isinstance(found, EventError):
                raise found
            events.append(parse(found, now))
        except EventError as error:
            rejected.append((index, error.reason))
    return Batch(tuple(events), tuple(rejected))


def _is_lines(content_type: str) -> bool:
    return "ndjson" in content_type or "jsonl" in content_type


def _objects(body: bytes, lines: bool) -> list[Any]:
    if not lines:
        try:
            whole = _json(body)
        except ValueError as error:
            # curl sends NDJSON under any content type; a single broken object is just that
            if b"\n" not in body.strip():
                raise HttpError(400, "the body is not JSON") from error
        else:
            found = whole if isinstance(whole, list) else [whole]
            return _bounded(found)
    return _bounded([_line(line) for line in body.splitlines() if line.strip()])


def _line(line: bytes) -> Any:
    if len(line) > MAX_LINE_BYTES:
        return EventError("line_too_long")
    try:
        return _json(line)
    except ValueError:
        return EventError("not_json")


def _json(text: bytes) -> Any:
    try:
        return json.loads(text)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error


def _bounded(found: list[Any]) -> list[Any]:
    if len(found) > MAX_EVENTS:
        raise HttpError(413, f"a body has at most {MAX_EVENTS} events")
    return found


class _OddError(Exception):
    """There is something in the body that is not plain."""


def parse_plain(body: bytes, content_type: str, now: float) -> list[UsageEvent] | None:
    """Return the events of a body when all of it is plain, else None: see parse_body."""
    try:
        if _is_lines(content_type):
            decode = _decoder.decode
            split = [line for line in body.splitlines() if line]
            # a line that is too long is refused, and such a body is rare
            if len(body) > MAX_LINE_BYTES and split and max(map(len, split)) > MAX_LINE_BYTES:
                return None
            found = [decode(line) for line in split]
        elif body[:1] == b"[":
            found = _list_decoder.decode(body)
        else:
            found = [_decoder.decode(body)]
        if not found or len(found) > MAX_EVENTS:
            return None
        return [_plain(one, now) for one in found]
    except (msgspec.MsgspecError, _OddError, EventError, RecursionError, UnicodeError):
        return None


def _plain(one: _Event, now: float) -> UsageEvent:
    return UsageEvent(
        one.id,
        now if one.timestamp is None else time_of(one.timestamp, now),
        (one.provider or "").lower().strip() or UNKNOWN,
        (one.model or "").strip() or UNKNOWN,
        one.feature or "",
        one.operation or "",
        one.outcome,
        one.service_tier or "",
        bool(one.batch),
        bool(one.stream),
        one.attempt or 1,
        one.retry_reason or "",
        one.key_alias or "",
        one.user_group or "",
        one.environment or "",
        None if one.usage is None else _tokens(one.usage, one.convention),
        one.duration_seconds,
        one.time_to_first_token_seconds,
        None if one.cost_usd is None else cost_of(one.cost_usd),
    )


def _tokens(usage: _Usage, convention: str | None) -> Tokens:
    """Return the tokens of a usage that needs no word about it. Raises _OddError."""
    whole, out, read, short, long = (
        usage.input, usage.output, usage.cache_read, usage.cache_write_5m, usage.cache_write_1h
    )  # fmt: skip
    cached = read + short + long
    if cached and (convention != TOTAL or cached > whole):
        raise _OddError
    thought, heard, said, seen = usage.reasoning, usage.audio_in, usage.audio_out, usage.image_in
    if thought > out or heard + seen > whole or said > out or not (whole or out):
        raise _OddError  # a usage of nothing may be one that says nothing
    return Tokens(whole, out, read, short, long, thought, heard, said, seen)
