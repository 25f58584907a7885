"""Any value as JSON that every reader accepts: no NaN, no lone surrogate, no endless number (SHIPPING.md, 1.8).

What cannot be written as it is becomes text; what does not end is cut. Nothing raises.
"""

import math
from collections import deque
from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from typing import Any

import orjson

_MAX_DEPTH = 64
_MAX_VALUES = 10_000
# So many a list of numbers (an embedding) may have and still be written as it is.
_MAX_NODES = 50_000
_OPTIONS = orjson.OPT_NON_STR_KEYS | orjson.OPT_UTC_Z | orjson.OPT_PASSTHROUGH_DATACLASS
_PLAIN = (list, tuple, set, frozenset, deque)
_SIMPLE = frozenset({str, int, float, bool, type(None)})


def dump(value: object) -> bytes:
    """Return the value as JSON."""
    if type(value) not in _SIMPLE and not is_bounded(value):
        return orjson.dumps(_clean(value, 0, [_MAX_VALUES]))
    try:
        return orjson.dumps(value, default=_default, option=_OPTIONS)
    except (orjson.JSONEncodeError, RecursionError):
        return orjson.dumps(_clean(value, 0, [_MAX_VALUES]))


def is_bounded(value: object) -> bool:
    """Return whether writing the value out ends soon: one that holds itself, or parts of it many times, does not.

    What breaks when it is looked at counts as endless, too.
    """
    try:
        return _is_bounded(value)
    except Exception:  # noqa: BLE001 - a container of somebody's own
        return False


def _is_bounded(value: object) -> bool:
    left = _MAX_NODES
    waiting: list[Iterable[Any]] = [(value,)]
    while waiting:
        for each in waiting.pop():
            if type(each) in _SIMPLE:
                continue
            if isinstance(each, dict):
                left -= dict.__len__(each)
                waiting.append(dict.values(each))
            elif isinstance(each, _PLAIN):
                left -= len(each)
                waiting.append(each)
            elif isinstance(each, BaseException):
                left -= len(each.args) + 1
                waiting += (each.args, (each.__cause__, each.__context__))
            elif _is_dataclass(each):
                left -= len(vars(each))
                waiting.append(vars(each).values())
        if left < 0:
            return False
    return True


def not_finite(fields: Mapping[str, Any]) -> list[str]:
    """Return the names of the fields that hold NaN or an infinity, at any depth: JSON has null for them.

    The fields must be bounded (`is_bounded`).
    """
    return [name for name, value in fields.items() if _has_not_finite(value)]


def _has_not_finite(value: object) -> bool:
    waiting: list[Iterable[Any]] = [(value,)]
    while waiting:
        for each in waiting.pop():
            if isinstance(each, float):
                if not math.isfinite(each):
                    return True
            elif isinstance(each, dict):
                waiting.append(dict.values(each))
            elif isinstance(each, _PLAIN):
                waiting.append(each)
            elif _is_dataclass(each):
                waiting.append(vars(each).values())
    return False


def text(value: object) -> str:
    """Return `str(value)` without lone surrogates; for a value that cannot be text, its type's name."""
    if type(value) not in _SIMPLE and not is_bounded(value):
        return f"<{type(value).__name__} without end>"
    try:
        return str(value).encode("utf-8", "replace").decode()
    except Exception:  # noqa: BLE001 - a broken __str__ may raise anything, and must cost its own value only
        return f"<{type(value).__name__}>"


def _default(value: object) -> object:
    if isinstance(value, (bytes, bytearray)):
        return bytes(value).decode("utf-8", "backslashreplace")
    if isinstance(value, AbstractSet):
        return [text(each) for each in value]
    if _is_dataclass(value):
        return vars(value)
    return text(value)


def _clean(value: object, depth: int, left: list[int]) -> Any:
    """Return the value as what orjson takes for sure. `left` is how many values may still come."""
    left[0] -= 1
    if value is None or value is True or value is False or type(value) is float:
        return value
    if type(value) is int:
        return value if -(2**63) <= value < 2**64 else _digits(value)
    if type(value) is str:
        return text(value)
    try:
        return _cleaned(value, depth, left)
    except Exception as error:  # noqa: BLE001 - a value of somebody's own that breaks when it is looked at
        return f"<{type(value).__name__}: {type(error).__name__}>"


def _cleaned(value: Any, depth: int, left: list[int]) -> Any:
    if isinstance(value, (str, int, float)):
        return text(value)
    if depth >= _MAX_DEPTH or left[0] <= 0:
        return "…"
    if isinstance(value, Mapping):
        return {text(key): _clean(each, depth + 1, left) for key, each in value.items() if left[0] > 0}
    if isinstance(value, (list, tuple, AbstractSet)):
        return [_clean(each, depth + 1, left) for each in value if left[0] > 0]
    if _is_dataclass(value):
        return {name: _clean(each, depth + 1, left) for name, each in vars(value).items()}
    return text(_default(value)) if isinstance(value, (bytes, bytearray)) else text(value)


def _is_dataclass(value: object) -> bool:
    """Return whether the value is a dataclass's whose fields are its attributes."""
    return hasattr(type(value), "__dataclass_fields__") and hasattr(value, "__dict__")


def _digits(value: int) -> str:
    # Python refuses to write more than 4,300 digits
    return str(value) if value.bit_length() < 14_000 else hex(value)[:_MAX_VALUES]
