"""Attributes of OpenTelemetry: those with a known name are read, all others are left where they are.

That is also why no prompt or answer gets any further: gen_ai.prompt, gen_ai.input.messages, events and bodies are on
no list. Names come and go (semantic-conventions up to 1.41, semantic-conventions-genai since, and what OpenLLMetry
and the AI SDK write): each table has the newest first.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from topmast_exporter.providers import table_name

Attributes = Mapping[str, str | int | float | bool]

PROVIDER = ("gen_ai.provider.name", "gen_ai.system")
MODEL = ("gen_ai.response.model", "gen_ai.request.model")
OPERATION = ("gen_ai.operation.name",)
INPUT = ("gen_ai.usage.input_tokens", "gen_ai.usage.prompt_tokens")
OUTPUT = ("gen_ai.usage.output_tokens", "gen_ai.usage.completion_tokens")
CACHE_READ = (
    "gen_ai.usage.cache_read.input_tokens",
    "gen_ai.usage.cache_read_input_tokens",
    "gen_ai.usage.input_tokens.cached",
    "ai.usage.cachedInputTokens",
)
CACHE_WRITE = (
    "gen_ai.usage.cache_write.input_tokens",
    "gen_ai.usage.cache_creation.input_tokens",
    "gen_ai.usage.cache_creation_input_tokens",
)
REASONING = (
    "gen_ai.usage.reasoning.output_tokens",
    "gen_ai.usage.reasoning_tokens",
    "gen_ai.usage.output_tokens.reasoning",
    "ai.usage.reasoningTokens",
)
COST = ("gen_ai.usage.cost", "operation.cost")
TIER = ("openai.response.service_tier", "gen_ai.openai.response.service_tier")
STREAM = ("gen_ai.request.stream", "gen_ai.is_streaming", "llm.is_streaming")
FIRST_CHUNK_SECONDS = ("gen_ai.response.time_to_first_chunk",)
FIRST_CHUNK_MS = ("ai.response.msToFirstChunk",)
ERROR = ("error.type",)

# What says whose call it was: of the span, else of its resource.
FEATURE = ("topmast.feature",)
KEY_ALIAS = ("topmast.key_alias",)
USER_GROUP = ("topmast.user_group",)
USAGE_FROM = ("topmast.usage",)
REQUESTS = ("topmast.requests",)
ROUTE_CLASS = ("topmast.route_class",)
SERVICE = ("service.name",)
ENVIRONMENT = ("deployment.environment.name", "deployment.environment")

# A span has dozens of attributes; one with more than this is read as far as that.
MAX_ATTRIBUTES = 1_000


def read(listed: object, wanted: frozenset[str]) -> dict[str, str | int | float | bool]:
    """Return the attributes of a `[{key, value}]` whose name is wanted and whose value is plain."""
    found: dict[str, str | int | float | bool] = {}
    for one in each(listed)[:MAX_ATTRIBUTES]:
        key = one.get("key")
        if isinstance(key, str) and key in wanted:
            value = plain(one.get("value"))
            if value is not None:
                found[key] = value
    return found


def plain(value: object) -> str | int | float | bool | None:
    """Return an AnyValue that is text, a number or a truth value; None for all others."""
    if not isinstance(value, Mapping):
        return None
    for kind, one in value.items():
        if kind == "intValue":
            return integer(one)
        if (kind == "stringValue" and isinstance(one, str)) or (kind == "boolValue" and isinstance(one, bool)):
            return one
        if kind == "doubleValue" and isinstance(one, int | float) and not isinstance(one, bool):
            return float(one)
    return None


def integer(value: object) -> int | None:
    """Return a 64-bit integer, which JSON may have as text; None when it is none."""
    if isinstance(value, str) and len(value) <= 20 and value.removeprefix("-").isascii() and value[-1:].isdigit():
        value = int(value) if value.removeprefix("-").isdigit() else None
    if isinstance(value, bool) or not isinstance(value, int) or not -(2**63) <= value < 2**64:
        return None
    return value


def seconds(nanoseconds: object) -> float | None:
    """Return a `…TimeUnixNano` in seconds, None when it is not set."""
    value = integer(nanoseconds)
    return value / 1e9 if value else None


def first(attributes: Attributes, names: Sequence[str]) -> str | int | float | bool | None:
    """Return the first of these attributes that is there."""
    return next((attributes[name] for name in names if name in attributes), None)


def text(attributes: Attributes, names: Sequence[str]) -> str:
    """Return the first of these attributes as text, "" when there is none."""
    value = first(attributes, names)
    return value if isinstance(value, str) else ""


def count(attributes: Attributes, names: Sequence[str]) -> int | float | None:
    """Return the first of these attributes that is a number: what it may be, the event's checks say."""
    value = first(attributes, names)
    return None if isinstance(value, str | bool) else value


def provider(attributes: Attributes) -> str:
    """Return the provider as the price table names it, "" when nobody says."""
    return table_name(text(attributes, PROVIDER))


def dimensions(span: Attributes, resource: Attributes) -> dict[str, str]:
    """Return feature, key_alias, user_group and environment, as far as they are told. A feature nobody names is the
    service's."""
    service = text(resource, SERVICE)
    found = {
        "feature": text(span, FEATURE)
        or text(resource, FEATURE)
        or ("" if service.startswith("unknown_service") else service),
        "key_alias": text(span, KEY_ALIAS) or text(resource, KEY_ALIAS),
        "user_group": text(span, USER_GROUP) or text(resource, USER_GROUP),
        "environment": text(resource, ENVIRONMENT),
    }
    return {name: value for name, value in found.items() if value}


def each(listed: object) -> list[Mapping[str, Any]]:
    """Return the objects of a JSON list; what is none is left out."""
    return [one for one in listed if isinstance(one, Mapping)] if isinstance(listed, list) else []


def walk(
    request: Mapping[str, Any], resources: str, scopes: str, items: str
) -> Iterator[tuple[Attributes, list[Mapping[str, Any]]]]:
    """Yield (attributes of the resource, its spans, metrics or log records)."""
    for resource in each(request.get(resources)):
        told = resource.get("resource")
        attributes = read(told.get("attributes"), RESOURCE) if isinstance(told, Mapping) else {}
        yield attributes, [one for scope in each(resource.get(scopes)) for one in each(scope.get(items))]


def number(value: object) -> float | None:
    """Return a finite number, a 64-bit integer perhaps as text; None when it is none."""
    known = value if isinstance(value, float) else integer(value)
    return float(known) if known is not None and math.isfinite(known) else None


RESOURCE = frozenset(
    (
        *FEATURE,
        *KEY_ALIAS,
        *USER_GROUP,
        *USAGE_FROM,
        *REQUESTS,
        *ROUTE_CLASS,
        *SERVICE,
        *ENVIRONMENT,
        "service.namespace",
        "service.instance.id",
    )
)
