"""One JSON object a line: structured logs of any library.

Source: RFC 8259. NaN and Infinity, which RFC 8259 has not but Python's json writes, become null
(SHIPPING.md section 1.8); a line that is no object stays text, with the reason in `error.type`.
"""

import json
from collections.abc import Mapping
from typing import Any

import orjson

from topmast_shipper.component import Kind, Parser


def parse(message: str) -> dict[str, Any]:
    """Return the object's members; for another line its text and why it is none."""
    try:
        value = orjson.loads(message)
    except orjson.JSONDecodeError as error:
        value = _lenient(message)
        if value is None:
            return {"message": message, "error.type": "json_decode", "error.message": str(error)}
    if not isinstance(value, dict):
        reason = f"not an object: {type(value).__name__}"
        return {"message": message, "error.type": "json_decode", "error.message": reason}
    return value


def _lenient(message: str) -> Any:
    """Return what Python's own json reads, NaN as null; None when that fails too."""
    try:
        return json.loads(message, parse_constant=lambda _: None)
    except (ValueError, RecursionError):
        return None


def build(options: Mapping[str, Any]) -> Parser:
    del options
    return parse


PARSER = Kind[Parser]("json_lines", {"type": "object", "additionalProperties": False}, build)
