"""swift.py: the short road gives what the careful one gives, or nothing; and it is taken by what is usual."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from topmast_shipper import ecs
from topmast_shipper.event import Event, Origin, Position
from topmast_shipper.parsers.json_lines import parse
from topmast_shipper.swift import Swift

READ_AT = 1_795_382_160.0  # 2026-11-22T21:16:00Z
PLACE = Position("0123456789abcdef", 0, 20)
USUAL = {"@timestamp": "2026-11-22T21:15:00.500Z", "log.level": "info", "message": "done"}


def read(line: str, origin: Origin) -> Event:
    return Event(line.encode("utf-8", "replace"), PLACE, 10, origin, READ_AT)


def short(line: str, origin: Origin) -> Event | None:
    return Swift().complete(line.encode("utf-8", "replace"), PLACE, 10, origin, READ_AT, parse(line))


def careful(line: str, origin: Origin) -> Event:
    return ecs.complete(read(line, origin), parse(line))


def same(one: Event, other: Event) -> bool:
    return one._replace(json=b"") == other._replace(json=b"") and one.document == other.document


ORIGIN = Origin("app", "/var/log/app.log", "shop")
NAMES = st.sampled_from(
    ["log", "event", "service", "ecs", "error", "http", "url", "labels", "gen_ai", "message", "name", "level", "id",
     "version", "usage", "system", "prompt_tokens", "time", "a", "b", "a.b", ".", "a.", 'a."b', "log.level", "file",
     "log.logger", "event.id", "service.name", "ecs.version", "gen_ai.system", "gen_ai.usage", "offset", "@timestamp"]
)  # fmt: skip
TIMES = st.sampled_from(
    ["2026-11-22T21:15:00.500Z", "2026-11-22T21:15:00.123456Z", "2026-11-22T21:16:00.000Z",
     "2026-13-22T21:15:00.500Z",
     "2026-11-22T21:15:00.500+01:00",
     "2099-11-22T21:15:00.500Z", "2026-11-22T21:15:00.5x0Z", "yesterday"]
)  # fmt: skip
TEXTS = st.text(max_size=6) | TIMES | st.sampled_from(["info", "WARN"])
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXTS,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=6,
)
MORE = st.lists(st.tuples(NAMES, VALUES), max_size=6)


@given(time=TIMES, level=st.sampled_from(["info", "Error", "warn ", "loud"]), dotted=st.booleans(), more=MORE)
def test_both_roads_give_the_same_document(time: str, level: str, dotted: bool, more: list[tuple[str, Any]]) -> None:
    record = {"@timestamp": time} | ({"log.level": level} if dotted else {"log": {"level": level}}) | {"message": "m"}
    line = json.dumps(record | dict(more))

    for origin in (ORIGIN, Origin("app")):
        ready = short(line, origin)
        assert ready is None or same(ready, careful(line, origin))


@pytest.mark.parametrize(
    "more",
    [
        pytest.param({}, id="nothing more"),
        pytest.param({"log": {"logger": "app.db", "origin": {"file": {"line": 7}}}}, id="a logger"),
        pytest.param({"ecs.version": "1.6.0", "trace.id": "ab", "process.pid": 7}, id="dotted names"),
        pytest.param({"service": {"name": "cart"}, "event": {"dataset": "a.b"}}, id="its own service"),
        pytest.param({"gen_ai": {"provider": {"name": "x"}, "usage": {"input_tokens": 3}}}, id="a model call"),
        pytest.param({"user": None, "labels": {}, "tags": ["a", None]}, id="nothing said"),
        pytest.param({"error": {"type": "KeyError", "stack_trace": "x"}}, id="an error"),
    ],
)
def test_usual_records_take_the_short_road(more: dict[str, Any]) -> None:
    line = json.dumps(USUAL | more)

    ready = short(line, ORIGIN)

    assert ready is not None
    assert same(ready, careful(line, ORIGIN))


@pytest.mark.parametrize(
    "more",
    [
        pytest.param({"levelname": "INFO"}, id="an old name"),
        pytest.param({"error": "boom"}, id="an old name of ECS's object"),
        pytest.param({"http": {"a.b": 1}}, id="a dotted name inside"),
        pytest.param({"log": {"level": "info"}}, id="the level twice"),
        pytest.param({"gen_ai": {"usage": {"prompt_tokens": 3}}}, id="older tokens"),
        pytest.param({"event": {"id": "mine"}}, id="an id of its own"),
        pytest.param({f"f{number}": number for number in range(300)}, id="too many names"),
    ],
)
def test_unusual_records_do_not(more: dict[str, Any]) -> None:
    assert short(json.dumps(USUAL | more), ORIGIN) is None
