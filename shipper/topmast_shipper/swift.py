"""The short road for records that are ECS already: looked at as a whole, not name by name.

It gives the document that `ecs.complete` gives, at a sixth of its time, or nothing (SHIPPING.md, section 7.2).
What decides is the set of top-level names, which an application repeats, so that it is thought about once; and
what is written in the end, where a name that still has a dot, or too many of them, can be seen in the bytes.
"""

import re
from typing import Any, NamedTuple

import orjson

from topmast_shipper import timestamps
from topmast_shipper.ecs import FUTURE_MICROSECONDS, MAX_DEPTH, MAX_FIELDS, OLD_NAMES, VERSION, level_of
from topmast_shipper.event import Event, Origin, Position

# A name with a dot, in JSON as orjson writes it. From dot to dot, so that a long text costs its length only once.
_DOTTED = re.compile(rb'\.[^".]*":')
_DOTTED_ESCAPED = re.compile(rb'\.(?:[^".\\]|\\.)*":')
# `{"a":1` has six bytes: a shorter document cannot have too many fields.
_SURELY_FEW_BYTES = MAX_FIELDS * 5
_MAX_PLANS = 1024
_MAX_TIMES = 4096
_ECS = {"version": VERSION}
# Old names that stand inside an object of ECS.
_OLD_INSIDE = frozenset({"system", "prompt_tokens", "completion_tokens"})


class _Plan(NamedTuple):
    """What is to be done with records of these top-level names."""

    dotted: tuple[tuple[str, tuple[str, ...]], ...]
    objects: tuple[str, ...]
    """Names that stay when they are objects, and are old names of something else when they are not."""
    has_gen_ai: bool


class Swift:
    """Completes the records of one input. Its memory may be shared by threads: the worst is to think twice."""

    def __init__(self) -> None:
        self._plans: dict[tuple[str, ...], _Plan | None] = {}
        self._seconds: dict[str, int] = {}
        self._fractions: dict[str, int] = {}
        self._files: dict[str, dict[str, str]] = {}

    def complete(
        self, line: bytes, end: Position, start: int, origin: Origin, read_at: float, fields: dict[str, Any]
    ) -> Event | None:
        """Return the completed event of a line without flags; None for a record that needs the careful road.

        Changes `fields`.
        """
        shape = tuple(fields)
        try:
            plan = self._plans[shape]
        except KeyError:
            plan = self._think(shape)
        if plan is None or type(fields["message"]) is not str:
            return None
        for name in plan.objects:
            if type(fields[name]) is not dict:
                return None
        for name, path in plan.dotted:
            if not _fold(fields, path, fields.pop(name)):
                return None
        if plan.has_gen_ai and not _current(fields["gen_ai"]):
            return None
        time = self._time(fields["@timestamp"], int(read_at * 1_000_000))
        log = fields.get("log")
        if time is None or log is None or "file" in log:
            return None
        level = level_of(log.get("level"))
        if level is None:
            return None
        log["level"] = level
        log["offset"] = start
        if origin.path:
            log["file"] = self._files.get(origin.path) or self._file(origin.path)
        key = end.key
        event = fields.get("event")
        if event is None:
            fields["event"] = {"id": key}
        elif event.get("id") is None:
            event["id"] = key
        else:
            return None
        version = fields.setdefault("ecs", _ECS)
        if version is not _ECS and (type(version) is not dict or not version.get("version")):
            return None
        service = origin.service
        own = fields.get("service")
        if own is not None:
            service = own.get("name")
            if type(service) is not str or not service:
                return None
        elif service:
            fields["service"] = {"name": service}
        json = orjson.dumps(fields)
        if (_DOTTED_ESCAPED if b"\\" in json else _DOTTED).search(json) is not None or json.count(b"{") > MAX_DEPTH:
            return None
        if len(json) > _SURELY_FEW_BYTES and json.count(b":") > MAX_FIELDS:
            return None
        return Event(line, end, start, origin, read_at, (), json, time, level, service)

    def _think(self, shape: tuple[str, ...]) -> _Plan | None:
        names = set(shape)
        plan = None
        if {"@timestamp", "message"} <= names and not any("." in name and name in OLD_NAMES for name in names):
            dotted = tuple((name, tuple(name.split("."))) for name in shape if "." in name)
            objects = tuple(name for name in shape if name in OLD_NAMES)
            plan = _Plan(dotted, objects, any(name.startswith("gen_ai") for name in names))
        if len(self._plans) >= _MAX_PLANS:
            self._plans.clear()
        self._plans[shape] = plan
        return plan

    def _time(self, said: object, now: int) -> int | None:
        """Return the time of a canonical timestamp that can be; None for any other."""
        if type(said) is not str:
            return None
        # lines of one second share its first part, and there are a thousand milliseconds
        second, fraction = self._seconds.get(said[:20]), self._fractions.get(said[20:])
        if second is None or fraction is None:
            if not timestamps.is_canonical(said):
                return None
            second, fraction = timestamps.parse(said[:19] + "Z"), _microseconds(said[20:-1])
            if second is None or fraction is None:
                return None
            if len(self._seconds) >= _MAX_TIMES or len(self._fractions) >= _MAX_TIMES:
                self._seconds.clear()
                self._fractions.clear()
            self._seconds[said[:20]], self._fractions[said[20:]] = second, fraction
        time = second + fraction
        return time if 0 < time <= now + FUTURE_MICROSECONDS and time != now else None

    def _file(self, path: str) -> dict[str, str]:
        if len(self._files) >= _MAX_PLANS:
            self._files.clear()
        return self._files.setdefault(path, {"path": path})


def _microseconds(digits: str) -> int | None:
    """Return what three or six digits behind the point of a second are; None when they are no digits."""
    return int(digits.ljust(6, "0")) if digits.isdecimal() and digits.isascii() else None


def _fold(fields: dict[str, Any], path: tuple[str, ...], value: object) -> bool:
    """Put the value where its dotted name points; False when it is an object, or something is there."""
    if type(value) is dict:
        return False
    node = fields
    for key in path[:-1]:
        following = node.setdefault(key, {})
        if type(following) is not dict:
            return False
        node = following
    if path[-1] in node:
        return False
    node[path[-1]] = value
    return True


def _current(gen_ai: object) -> bool:
    """Return whether no name of older conventions is in it."""
    if type(gen_ai) is not dict:
        return False
    usage = gen_ai.get("usage")
    return _OLD_INSIDE.isdisjoint(gen_ai) and (type(usage) is not dict or _OLD_INSIDE.isdisjoint(usage))
