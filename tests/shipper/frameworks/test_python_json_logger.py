"""python-json-logger itself under our promises, through to the document that is stored."""

import json
import logging
from typing import Any

import pytest
from topmast_shipper import ecs
from topmast_shipper.event import Event, Origin, Position
from topmast_shipper.frameworks.python_json_logger import JsonFormatter
from topmast_shipper.parsers import json_lines


def record(message: object = "order %d", *arguments: object, **extra: Any) -> logging.LogRecord:
    told = logging.LogRecord("shop", logging.WARNING, "/app/shop.py", 7, message, arguments or None, None, "place")
    vars(told).update(extra)
    return told


def test_its_options_do_what_they_do_there() -> None:
    formatter = JsonFormatter(
        ["levelname", "message"],
        rename_fields={"levelname": "severity"},
        static_fields={"team": "shop"},
        defaults={"region": "eu"},
        reserved_attrs=["hidden"],
        prefix="> ",
    )

    line = formatter.format(record("order %d", 7, total=59.9, hidden=1))

    assert line.startswith("> ")
    found = json.loads(line[2:])
    assert found.items() >= {"severity": "WARNING", "message": "order 7", "team": "shop", "region": "eu"}.items()
    assert found["total"] == 59.9
    assert "hidden" not in found


def test_what_it_writes_is_ecs_when_it_is_taken_in() -> None:
    formatter = JsonFormatter("{levelname}{name}{lineno}{message}", style="{", timestamp="ts")
    line = formatter.format(record("order %d", 7))

    event = Event(line.encode(), Position("s" * 16, 0, 10), 0, Origin("app", "", "shop"), 1_795_382_160.0, ())
    document = ecs.complete(event, json_lines.parse(line)).document

    assert document["message"] == "order 7"
    assert document["log"]["level"] == "warning"
    assert document["log"]["logger"] == "shop"
    assert document["log"]["origin"]["file"]["line"] == 7


def test_secrets_are_not_told() -> None:
    found = json.loads(JsonFormatter().format(record("password=hunter2secret", api_key="hunter2secret")))

    assert "hunter2secret" not in json.dumps(found)


class Broken:
    def __repr__(self) -> str:
        raise RuntimeError

    __str__ = __repr__


def _cyclic() -> dict[str, Any]:
    value: dict[str, Any] = {}
    value["self"] = value
    return value


@pytest.mark.parametrize(
    "value",
    [
        pytest.param(float("nan"), id="NaN"),
        pytest.param("\ud800", id="a lone surrogate"),
        pytest.param(b"\xff", id="bytes"),
        pytest.param(2**70, id="a number beyond 64 bits"),
        pytest.param(Broken(), id="a broken __repr__"),
        pytest.param(_cyclic(), id="a cycle"),
    ],
)
def test_no_value_costs_the_record_or_makes_it_invalid(value: object) -> None:
    formatter = JsonFormatter()

    as_extra = json.loads(formatter.format(record("kept", value=value)).encode(), parse_constant=pytest.fail)
    as_argument = json.loads(formatter.format(record("kept %s", value)).encode(), parse_constant=pytest.fail)

    assert as_extra["message"] == "kept"
    assert as_argument["message"].startswith("kept")
