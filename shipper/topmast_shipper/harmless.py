"""Any value as JSON that every reader accepts: no NaN, no lone surrogate, no endless number (SHIPPING.md, 1.8).

What cannot be written as it is becomes text; what does not end is cut. Nothing raises.
"""

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from typing import Any

import orjson

_MAX_DEPTH = 64
_MAX_VALUES = 10_000
_OPTIONS = orjson.OPT_NON_STR_KEYS | orjson.OPT_UTC_Z


def dump(value: object) -> bytes:
    """Return the value as JSON."""
    try:
        return orjson.dumps(value, default=_default, option=_OPTIONS)
    except (orjson.JSONEncodeError, RecursionError):
        return orjson.dumps(_clean(value, 0, [_MAX_VALUES]))


def text(value: object) -> str:
    """Return `str(value)` without lone surrogates; for a value that cannot be text, its type's name."""
    try:
        return str(value).encode("utf-8", "replace").decode()
    except Exception:  # noqa: BLE001 - a broken __str__ may raise anything, and must cost its own value only
        return f"<{type(value).__name__}>"


def _default(value: object) -> object:
    if isinstance(value, (bytes, bytearray)):
        return bytes(value).decode("utf-8", "backslashreplace")
    if isinstance(value, AbstractSet):
        return list(value)
    return text(value)


def _clean(value: object, depth: int, left: list[int]) -> Any:
    """Return the value as what orjson takes for sure. `left` is how many values may still come."""
    left[0] -= 1
    if value is None or value is True or value is False or type(value) is float:
        return value
    if type(value) is int:
        return value if -(2**63) <= value < 2**64 else _digits(value)
    if isinstance(value, (str, int, float)):
        return text(value)
    if depth >= _MAX_DEPTH or left[0] <= 0:
        return "…"
    try:
        if isinstance(value, Mapping):
            return {text(key): _clean(each, depth + 1, left) for key, each in value.items()}
        if isinstance(value, (list, tuple, AbstractSet)):
            return [_clean(each, depth + 1, left) for each in value]
    except Exception as error:  # noqa: BLE001 - a mapping of somebody's own that breaks when it is walked through
        return f"<{type(value).__name__}: {type(error).__name__}>"
    return text(_default(value)) if isinstance(value, (bytes, bytearray)) else text(value)


def _digits(value: int) -> str:
    # Python refuses to write more than 4,300 digits
    return str(value) if value.bit_length() < 14_000 else hex(value)[:_MAX_VALUES]
