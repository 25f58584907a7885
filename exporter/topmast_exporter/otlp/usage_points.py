"""Metrics of model calls as usage events: `gen_ai.client.*` and Claude Code's `claude_code.*`.

A data point is the sum of many requests, and prices depend on each one's length. A histogram says how many there
were: they are taken as equally long. A counter does not: its tokens are taken as requests of CALL_TOKENS at most, so
that no sum is billed as one long context; how many requests there were is then an estimate. Sums are exact.
"""

import hashlib
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from topmast_exporter.otlp import attributes as names
from topmast_exporter.otlp import sessions
from topmast_exporter.otlp.attributes import Attributes
from topmast_exporter.otlp.growth import Grown
from topmast_exporter.otlp.spans import convention_of

TOKENS, DURATION = "gen_ai.client.token.usage", "gen_ai.client.operation.duration"
DURATION_SINCE_2026 = "gen_ai.client.inference.duration"
CLAUDE = "claude_code."
CLAUDE_TOKENS, CLAUDE_COST = "claude_code.token.usage", "claude_code.cost.usage"

# The conventions since 2026: a counter for each kind.
_COUNTERS = {
    "gen_ai.client.inference.usage.input_tokens": "input",
    "gen_ai.client.inference.usage.output_tokens": "output",
    "gen_ai.client.inference.usage.cache_read.input_tokens": "cache_read",
    "gen_ai.client.inference.usage.cache_write.input_tokens": "cache_write_5m",
    "gen_ai.client.inference.usage.reasoning.output_tokens": "reasoning",
}
_TYPES = {
    "input": "input",
    "output": "output",
    "completion": "output",
    "cache_read": "cache_read",
    "input_cached": "cache_read",
    "cache_creation": "cache_write_5m",
    "cache_write": "cache_write_5m",
    "reasoning": "reasoning",
    "cacheRead": "cache_read",
    "cacheCreation": "cache_write_5m",
}
COST, SECONDS = "cost", "seconds"

# The standard window of the models whose price has a step is 128,000 to 200,000 tokens.
CALL_TOKENS = 100_000
MAX_CALLS = 1_000

_TYPE = ("gen_ai.token.type",)
_CLAUDE_TYPE, _CLAUDE_MODEL, _CLAUDE_SPEED = ("type",), ("model",), ("speed",)
_GEN_AI = frozenset(
    (*names.PROVIDER, *names.MODEL, *names.OPERATION, *names.ERROR, *names.TIER, *_TYPE, *names.FEATURE)
)
# A session tells two users of one laptop apart; who they are is not read. The installation's id is only compared.
_CLAUDE = frozenset(
    (
        *_CLAUDE_TYPE,
        *_CLAUDE_MODEL,
        *_CLAUDE_SPEED,
        *sessions.SESSION,
        *sessions.INSTALLATION,
        "query_source",
        "effort",
        "agent.name",
    )
)
WANTED: Mapping[str, frozenset[str]] = {
    **dict.fromkeys((TOKENS, DURATION, DURATION_SINCE_2026, *_COUNTERS), _GEN_AI),
    **dict.fromkeys((CLAUDE_TOKENS, CLAUDE_COST), _CLAUDE),
}

NOT_COUNTED = (
    "gen_ai metrics are not counted, spans are: the resource attribute topmast.usage=metrics counts metrics instead"
)


def is_counted(metric: str, resource: Attributes) -> bool:
    """Return whether this service's metrics are what is counted of it: its spans would be the same calls again."""
    from_ = names.text(resource, names.USAGE_FROM)
    return from_ in ("", "metrics") if metric.startswith(CLAUDE) else from_ == "metrics"


def events_of(grown: Sequence[Grown]) -> list[dict[str, Any]]:
    """Return the usage events (bodies of POST /v1/usage) that follow from what grew."""
    # A library that is being moved to the new names tells everything twice.
    both = {one.point.group for one in grown if one.point.metric in _COUNTERS}
    groups: dict[tuple[str, ...], dict[str, Grown]] = defaultdict(dict)
    for one in grown:
        kind = _kind(one)
        if not kind or not (one.total or one.count) or (one.point.metric == TOKENS and one.point.group in both):
            continue
        # of points of one kind (two exports in one body) each belongs to a call of its own
        key: tuple[str, ...] = (one.point.group,)
        while kind in groups[key]:
            key = (*key, "")
        groups[key][kind] = one
    return [event for parts in groups.values() for event in _calls(parts)]


def _kind(one: Grown) -> str:
    point = one.point
    if point.metric in (DURATION, DURATION_SINCE_2026):
        return SECONDS
    if point.metric == CLAUDE_COST:
        return COST
    types = _CLAUDE_TYPE if point.metric == CLAUDE_TOKENS else _TYPE
    return _COUNTERS.get(point.metric) or _TYPES.get(names.text(point.told, types), "")


def _calls(parts: Mapping[str, Grown]) -> list[dict[str, Any]]:
    sums = {kind: round(one.total) for kind, one in parts.items() if kind not in (COST, SECONDS)}
    any_one = next(iter(parts.values()))
    told, resource = any_one.point.told, any_one.point.resource
    failed = names.first(told, names.ERROR) is not None
    if not sums and not (failed and SECONDS in parts):
        return []
    claude = any_one.point.metric.startswith(CLAUDE)
    plain, cached, written = sums.get("input", 0), sums.get("cache_read", 0), sums.get("cache_write_5m", 0)
    if not claude and convention_of(sums) == "total":
        plain -= cached + written
    reasoning = min(sums.get("reasoning", 0), sums.get("output", 0))
    durations = _durations(parts[SECONDS]) if SECONDS in parts else []
    counts = [one.count for kind, one in parts.items() if kind in ("input", "output", SECONDS)]
    number = max((*counts, len(durations), -(-(plain + cached + written) // CALL_TOKENS), 1))
    number = min(number, MAX_CALLS)
    told_id = "|".join(
        f"{kind}:{one.point.identity}:{one.point.start}:{one.since}:{one.point.at}:{one.total}:{one.count}"
        for kind, one in sorted(parts.items())
    )
    group = hashlib.sha256(told_id.encode()).hexdigest()[:40]
    model = names.text(told, _CLAUDE_MODEL if claude else names.MODEL)
    event: dict[str, Any] = {
        "timestamp": min(one.since for one in parts.values()) / 1e9,
        "provider": "anthropic" if claude else names.provider(told),
        # Claude Code writes the longer window of a model behind its name
        "model": model.partition("[")[0] if claude else model,
        "operation": names.text(told, names.OPERATION) or "chat",
        "outcome": "error" if failed else "ok",
        "convention": "total",
        "service_tier": "fast" if names.text(told, _CLAUDE_SPEED) == "fast" else names.text(told, names.TIER),
        **names.dimensions(told, resource),
    }
    if COST in parts:
        event["cost_usd"] = parts[COST].total / number
    return [
        {
            **event,
            "id": f"otlp:{group}:{place}",
            "duration_seconds": durations[place] if place < len(durations) else None,
            "usage": _usage(
                *(
                    _share(one, number, place)
                    for one in (plain, cached, written, sums.get("output", 0) - reasoning, reasoning)
                )
            )
            if sums
            else None,
        }
        for place in range(number)
    ]


def _usage(plain: int, cached: int, written: int, answer: int, reasoning: int) -> dict[str, int]:
    return {
        "input": plain + cached + written,
        "output": answer + reasoning,
        "cache_read": cached,
        "cache_write_5m": written,
        "reasoning": reasoning,
    }


def _share(total: int, number: int, place: int) -> int:
    """Return what falls to one of `number` equal calls: all of them together are the total."""
    return total // number + (place < total % number)


def _durations(one: Grown) -> list[float]:
    """Return a duration for each call that a histogram counted: the middle of its bucket."""
    bounds = one.point.bounds
    found: list[float] = []
    for place, count in enumerate(one.buckets):
        low = bounds[place - 1] if place else 0.0
        high = bounds[place] if place < len(bounds) else low
        found += [(low + high) / 2] * min(count, MAX_CALLS - len(found))
    return found
