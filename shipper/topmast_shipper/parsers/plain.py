"""The line is the message; a level word near its beginning is its level."""

import re
from collections.abc import Mapping
from typing import Any

from topmast_shipper.component import Kind, Parser

# `2026-11-22 21:16:00 ERROR …`, `[warn] …`, `CRITICAL: …`: within what stands before the message as a rule.
_LEVEL = re.compile(
    r"\b(TRACE|DEBUG|INFO|NOTICE|WARN(?:ING)?|ERR(?:OR)?|CRIT(?:ICAL)?|FATAL|PANIC)\b"
    r"|\[(trace|debug|info|notice|warn(?:ing)?|err(?:or)?|crit(?:ical)?|fatal|panic|emerg|alert)\]"
)
_LEVEL_WITHIN = 64
_TIME = re.compile(r"\[?(\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:[.,]\d{1,6})?(?:Z|[+-]\d\d:?\d\d)?)\]?")


def parse(message: str) -> dict[str, Any]:
    """Return the line as the message, with the time that it begins with and its level where it says so."""
    fields: dict[str, Any] = {"message": message}
    if found := _LEVEL.search(message, 0, _LEVEL_WITHIN):
        fields["log.level"] = found[1] or found[2]
    if time := _TIME.match(message):
        fields["@timestamp"] = time[1]
    return fields


def build(options: Mapping[str, Any]) -> Parser:
    del options
    return parse


PARSER = Kind[Parser]("plain", {"type": "object", "additionalProperties": False}, build)
