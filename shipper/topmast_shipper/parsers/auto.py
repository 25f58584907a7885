"""A line by what it looks like: a JSON object, key=value pairs, or text. For sources that many write to."""

import re
from collections.abc import Mapping
from typing import Any

from topmast_shipper.component import Kind, Parser
from topmast_shipper.parsers import json_lines, logfmt, plain

# logfmt is taken only for what begins with a pair and has a second; text may hold an = too
_PAIRS = re.compile(r'[a-zA-Z_@][\w.@-]{0,63}=(?:"(?:[^"\\]|\\.)*"|[^\s"=]+)\s+[a-zA-Z_@][\w.@-]{0,63}=')
_LOOK_CHARACTERS = 1024


def parse(message: str) -> dict[str, Any]:
    """Return what the parser for such a line returns; text where that does not fit after all."""
    start = message[:1]
    if start == "{":
        return json_lines.parse(message)
    if _PAIRS.match(message[:_LOOK_CHARACTERS]):
        fields = logfmt.parse(message)
        if fields.get("error.type") != "logfmt":
            return fields
    return plain.parse(message)


def build(options: Mapping[str, Any]) -> Parser:
    del options
    return parse


PARSER = Kind[Parser]("auto", {"type": "object", "additionalProperties": False}, build)
