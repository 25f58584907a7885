"""Whether a condition holds of an event, as Logstash sees it."""

from importlib import import_module
from typing import Any

from topmast.logstash.event import Event
from topmast.logstash.lscl import Combination, Comparison, Condition, Negation, Regexp, Selector, Value


class DroppedError(Exception):
    """The event is lost: a comparison with a field that is not there (seen on the engines of 8.19 and 9.5)."""


def holds(condition: Condition, event: Event) -> bool:
    """Return whether it holds. Raises DroppedError where Logstash would lose the event."""
    if isinstance(condition, Selector):
        return _truth(event.get(condition.path))
    if isinstance(condition, Negation):
        return not holds(condition.of, event)
    if isinstance(condition, Combination):
        left = holds(condition.left, event)
        if condition.operator == "and":
            return left and holds(condition.right, event)
        if condition.operator == "or":
            return left or holds(condition.right, event)
        right = holds(condition.right, event)
        return left != right if condition.operator == "xor" else not (left and right)
    return _compare(condition, event)


def _truth(value: Any) -> bool:
    return value is not None and value is not False


def _compare(condition: Comparison, event: Event) -> bool:
    left, right = _value(condition.left, event), _value(condition.right, event)
    match condition.operator:
        case "==":
            return bool(left == right)
        case "!=":
            return bool(left != right)
        case "in":
            return _within(left, right)
        case "not in":
            return not _within(left, right)
        case "=~" | "!~":
            source = right.source if isinstance(right, Regexp) else str(right)
            found = left is not None and import_module("onigurumacffi").compile(source).search(str(left)) is not None
            return found == (condition.operator == "=~")
    if left is None or right is None or isinstance(left, str) != isinstance(right, str):
        raise DroppedError(f"line {condition.line}: {condition.operator} between {left!r:.40} and {right!r:.40}")
    if condition.operator in ("<", "<="):
        return bool(left < right if condition.operator == "<" else left <= right)
    return bool(left > right if condition.operator == ">" else left >= right)


def _within(left: Any, right: Any) -> bool:
    if isinstance(right, list):
        return left in right
    return isinstance(right, str) and isinstance(left, str) and left in right


def _value(value: Value, event: Event) -> Any:
    if isinstance(value, Selector):
        return event.get(value.path)
    if isinstance(value, list):
        return [_value(each, event) for each in value]
    return value
