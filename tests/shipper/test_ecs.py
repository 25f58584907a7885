"""ecs.py: one name for everything, and nothing dropped."""

import json
from typing import Any

import pytest
from topmast_shipper.ecs import MAX_DEPTH, MAX_FIELDS, complete, dump, get, level_of
from topmast_shipper.event import Event, Origin, Position

READ_AT = 1_795_382_160.0  # 2026-11-22T21:16:00Z
LINE = Event(b"the line", Position("0123456789abcdef", 0, 20), 10, Origin("app", "/var/log/app.log", "shop"), READ_AT)


def document(**fields: Any) -> dict[str, Any]:
    return dict(complete(LINE, fields).document)


def test_a_document_as_a_whole() -> None:
    fields = {"asctime": "2026-11-22 21:15:00,5", "levelname": "ERROR", "name": "app.db", "message": "no", "n": 1}

    event = complete(LINE, fields)

    assert event.document == {
        "@timestamp": "2026-11-22T21:15:00.500Z",
        "log": {
            "level": "error",
            "logger": "app.db",
            "offset": 10,
            "file": {"path": "/var/log/app.log"},
        },
        "message": "no",
        "n": 1,
        "ecs": {"version": "8.11.0"},
        "event": {"id": "0123456789abcdef0000000000000014"},
        "service": {"name": "shop"},
    }
    assert event.time == 1_795_382_100_500_000


@pytest.mark.parametrize(
    ("fields", "name", "value"),
    [
        pytest.param({"log.level": "WARN"}, "log.level", "warning", id="dotted"),
        pytest.param({"log": {"level": "fatal"}}, "log.level", "critical", id="nested"),
        pytest.param({"level": 40}, "log.level", "error", id="a level as a number"),
        pytest.param({"level": "loud"}, "labels.level", "loud", id="a level that nobody knows"),
        pytest.param({"status": 503}, "log.level", "error", id="a level from the status"),
        pytest.param({"status": 404}, "log.level", "warning", id="a client's fault"),
        pytest.param({"exc_info": "Traceback"}, "log.level", "error", id="a level from the stack"),
        pytest.param({}, "log.level", "info", id="no level at all"),
        pytest.param({"lineno": 7}, "log.origin.file.line", 7, id="lineno"),
        pytest.param({"trace_id": "ab"}, "trace.id", "ab", id="trace_id"),
        pytest.param({"service": "cart"}, "service.name", "cart", id="a service of its own"),
        pytest.param({"gen_ai.system": "openai"}, "gen_ai.provider.name", "openai", id="gen_ai.system"),
        pytest.param({"gen_ai": {"usage": {"prompt_tokens": 3}}}, "gen_ai.usage.input_tokens", 3, id="old tokens"),
        pytest.param({"event": "hello"}, "message", "hello", id="structlog"),
        pytest.param({"event": {"dataset": "x"}, "msg": "m"}, "event.dataset", "x", id="an object is no message"),
        pytest.param({"error": "boom"}, "message", "boom", id="an error without a message"),
        pytest.param({"method": "GET", "path": "/", "status": 200}, "message", "GET / 200", id="a request"),
        pytest.param({"n": 1}, "message", "the line", id="neither"),
        pytest.param({"message": {"a": 1}}, "message.a", 1, id="a message that is an object"),
        pytest.param({"log": "text", "log.level": "info"}, "message", "text", id="a text where an object is"),
        pytest.param({"url": "x", "url.path": "/"}, "labels.url_path", "/", id="an object where a text is"),
        pytest.param({"event": {"id": "mine"}}, "labels.event_id", "mine", id="an id of its own"),
        pytest.param({"ecs.version": "1.6.0"}, "ecs.version", "1.6.0", id="an older ECS"),
        pytest.param({"time": "soon"}, "labels.timestamp", "soon", id="no time"),
        pytest.param({"time": "soon"}, "@timestamp", "2026-11-22T21:16:00.000Z", id="the time it was read"),
        pytest.param({"time": "2099-01-01T00:00:00Z"}, "@timestamp", "2026-11-22T21:16:00.000Z", id="the future"),
        pytest.param({"a": None}, "a", None, id="nothing"),
        pytest.param({"tags": ["a", "b"]}, "tags", ["a", "b"], id="a list"),
    ],
)
def test_fields(fields: dict[str, Any], name: str, value: Any) -> None:
    found = document(**fields)

    assert get(found, name) == value or json.loads(str(found["message"])) == {"a": 1}


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param({f"f{number}": number for number in range(MAX_FIELDS + 1)}, id="too many fields"),
        pytest.param(json.loads('{"a":' * (MAX_DEPTH + 2) + "1" + "}" * (MAX_DEPTH + 2)), id="too deep"),
    ],
)
def test_a_document_that_explodes_stays_a_line(fields: dict[str, Any]) -> None:
    found = document(**fields)

    assert found["message"] == "the line"
    assert found["error"]["type"] == "too_large"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        pytest.param({"a": float("nan")}, '{"a":null}', id="NaN"),
        pytest.param({"a": 2**80}, '{"a":"1208925819614629174706176"}', id="a number beyond 64 bits"),
        pytest.param({"a": "\ud800"}, '{"a":"?"}', id="a lone surrogate"),
        pytest.param({"a": {1: 2}}, '{"a":{"1":2}}', id="a key that is no text"),
        pytest.param({"a": object}, '{"a":"<class \'object\'>"}', id="an object"),
    ],
)
def test_dump_is_always_json(value: dict[str, Any], text: str) -> None:
    assert dump(value).decode() == text


def test_dump_ends() -> None:
    value: dict[str, Any] = {}
    value["a"] = value

    json.loads(dump(value))


@pytest.mark.parametrize(
    ("value", "level"),
    [("Warning", "warning"), ("E", "error"), (10, "debug"), (60, "critical"), (0, "debug"), ("", None), (None, None)],
)
def test_level_of(value: object, level: str | None) -> None:
    assert level_of(value) == level
