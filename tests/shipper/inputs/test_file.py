"""inputs/file.py: from the configuration to parsed events."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from topmast_shipper import rooms
from topmast_shipper.checkpoint import Checkpoint
from topmast_shipper.component import Cursor, Input, Line
from topmast_shipper.errors import ConfigError
from topmast_shipper.event import Event, Origin
from topmast_shipper.inputs.file import INPUT, FileInput
from topmast_shipper.rooms import Left, Setting
from topmast_shipper.tail.descriptors import Descriptors
from topmast_shipper.tail.generation import Generation


@pytest.fixture
def setting(tmp_path: Path) -> Iterator[Setting]:
    checkpoint = Checkpoint(tmp_path / "state")
    lost: list[tuple[str, int]] = []
    left: dict[str, Left] = {}
    yield Setting(
        base=tmp_path,
        data=tmp_path / "state",
        checkpoint=checkpoint,
        sinks=("sqlite",),
        inputs=("app",),
        lost=lambda reason, size: lost.append((reason, size)),
        clock=time.monotonic,
        left=left,
    )
    for each in left.values():
        each.close()
    checkpoint.close()


def build(setting: Setting, **options: Any) -> Input:
    made: Input = INPUT.build({"name": "app", "paths": ["app.log*"]} | options, setting)
    return made


def test_lines_of_a_file_beside_the_configuration(setting: Setting) -> None:
    (setting.base / "app.log").write_text("one\ntwo\n")
    made = build(setting, service="shop")

    assert made.sweep()
    (source,) = made.sources()
    block = source.read(Cursor(), 65536, 10)

    assert block is not None
    assert [line.data for line in block.lines] == [b"one", b"two"]
    assert source.origin == Origin("app", str(setting.base / "app.log"), "shop")
    assert made.open_files == 1
    assert not made.sweep()
    made.close()


def parsed(made: Input, message: str) -> Event:
    source = Generation("app.log", 1, 2, -1, max_line_bytes=1024, descriptors=Descriptors(8))
    source.origin = Origin("app", "", "shop")
    (event,) = made.events(source, [Line(message.encode(), 0, 10)], 1_795_382_160.0)
    return event


def test_the_parser_says_what_a_line_is(setting: Setting) -> None:
    made = build(setting, parser="json_lines")

    event = parsed(made, '{"level": "warn", "msg": "careful"}')

    assert event.document["message"] == "careful"
    assert event.document["log"]["level"] == "warning"
    assert event.document["service"] == {"name": "shop"}
    made.close()


def test_a_fault_of_a_parser_costs_a_field_and_not_the_line(setting: Setting) -> None:
    def broken(message: str) -> dict[str, Any]:
        raise ZeroDivisionError(message)

    built = build(setting)
    assert isinstance(built, FileInput)
    config = built.config
    built.close()
    made = FileInput(config, broken, setting)

    event = parsed(made, "one")

    assert event.document["message"] == "one"
    assert event.document["error"]["type"] == "parser"
    made.close()


def test_it_is_in_the_room() -> None:
    assert rooms.kind("inputs", "file") is INPUT


def test_times_without_a_zone_are_of_the_inputs(setting: Setting) -> None:
    made = build(setting, timezone="Europe/Berlin")

    assert parsed(made, "2026-07-01 12:00:00 hello").document["@timestamp"] == "2026-07-01T10:00:00.000Z"
    with pytest.raises(ConfigError, match="no zone 'Europe/Atlantis'"):
        build(setting, timezone="Europe/Atlantis")
    made.close()


def test_lines_of_a_container_are_of_the_service_it_is(setting: Setting) -> None:
    folder = setting.base / "containers"
    folder.mkdir()
    (folder / "config.v2.json").write_text('{"Name": "/shop-web-1"}')
    line = '{"log":"hello\\n","stream":"stdout","time":"2026-11-22T21:16:00Z"}\n'
    (folder / f"{'0af7651916cd43dd' * 4}-json.log").write_text(line)
    made = build(setting, paths=["containers/*-json.log"], framing="docker")

    made.sweep()
    (source,) = made.sources()

    assert source.origin.service == "shop-web-1"
    made.close()


def test_a_file_s_secrets_are_taken_out_when_asked_for(setting: Setting) -> None:
    (setting.base / "app.log").write_text("login password=hunter2secret\nnothing here\n")
    made = build(setting, redact=True)

    made.sweep()
    (source,) = made.sources()
    block = source.read(Cursor(), 65536, 10)
    assert block is not None
    events = made.events(source, block.lines, 1_795_382_160.0)

    assert [each.document["message"] for each in events] == ["login password=[redacted]", "nothing here"]
    # what the line is called does not depend on what was taken out of it
    plain = build(setting)
    assert [each.id for each in plain.events(source, block.lines, 1_795_382_160.0)] == [each.id for each in events]
    for each in (made, plain):
        each.close()
