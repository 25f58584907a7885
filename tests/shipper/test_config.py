"""config.py: what is refused, and where it is wrong."""

from pathlib import Path
from typing import Any

import pytest
from topmast_shipper import config
from topmast_shipper.config import Component, ShipperConfig, load, parse
from topmast_shipper.errors import ConfigError

FILE = {"name": "app", "paths": ["a.log"]}


def section(**changes: Any) -> dict[str, Any]:
    return {"data": "data", "inputs": [{"file": FILE}], "sinks": [{"sqlite": {"path": "logs"}}]} | changes


def test_a_whole_section(tmp_path: Path) -> None:
    assert parse(section(listen="127.0.0.1:0"), base=tmp_path) == ShipperConfig(
        data=tmp_path / "data",
        base=tmp_path,
        listen="127.0.0.1:0",
        inputs=(Component("file", "app", FILE | {"paths": [str(tmp_path / "a.log")]}),),
        sinks=(Component("sqlite", "sqlite", {"path": str(tmp_path / "logs")}),),
    )


def test_the_least_that_works(tmp_path: Path) -> None:
    assert parse({"data": "data"}, base=tmp_path) == ShipperConfig(data=tmp_path / "data", base=tmp_path)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        pytest.param({"data": 7}, "$.shipper.data: 7 is not of type 'string'", id="a type"),
        pytest.param(
            {"extra": 1}, "$.shipper: no key 'extra'; there are data, inputs, listen, sinks", id="a key that is none"
        ),
        pytest.param({"data": "a\0b"}, "$.shipper.data: 'a\\x00b' does not match", id="a path that none can be"),
        pytest.param({"listen": "here"}, "$.shipper.listen: 'here'", id="an address"),
        pytest.param({"inputs": [{"tape": {}}]}, "$.shipper.inputs[0]: ", id="no such input"),
        pytest.param({"inputs": [{"file": {"name": "a"}}]}, "$.shipper.inputs[0].file: 'paths'", id="no paths"),
        pytest.param(
            {"inputs": [{"file": FILE | {"paths": "a"}}]}, "$.shipper.inputs[0].file.paths: 'a'", id="paths as text"
        ),
        pytest.param(
            {"inputs": [{"file": FILE}, {"file": FILE}]}, "$.shipper.inputs[1].file.name: 'app' is taken", id="a name"
        ),
        pytest.param(
            {"inputs": [{"file": FILE | {"parser": "morse"}}]},
            "$.shipper.inputs[0].file.parser: no parser 'morse'; there are auto, grok, json_lines, ",
            id="no such parser",
        ),
        pytest.param(
            {"inputs": [{"file": FILE | {"parser": {"grok": {"pattern": "NOTHING"}}}}]},
            "$.shipper.inputs[0].file.parser.grok: no pattern 'NOTHING'",
            id="no such pattern",
        ),
        pytest.param(
            {"inputs": [{"file": FILE | {"parser": {"grok": {}}}}]},
            "$.shipper.inputs[0].file.parser.grok: 'pattern' is a required property",
            id="a parser's option",
        ),
        pytest.param({"sinks": [{"sqlite": {}}]}, "$.shipper.sinks[0].sqlite: 'path'", id="a sink's option"),
    ],
)
def test_what_is_wrong_says_where(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse(section(**changes))

    assert str(caught.value).startswith(said)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        pytest.param("shipper: [", "while parsing", id="no YAML"),
        pytest.param("shipper: {data: d, data: e}", "the key 'data' stands twice: remove one", id="a key twice"),
        pytest.param("shipper: " + "[" * 3_000 + "]" * 3_000, "more than 100 levels", id="deep"),
        pytest.param("shipper:\n  " + "- " * 100_000 + "a", "more than 100 levels", id="very deep"),
        pytest.param("# " * (3 << 20), "more than 4194304 bytes", id="huge"),
        pytest.param("exporter: {}", "$.shipper: must be an object", id="no section"),
        pytest.param("shipper: {data: d, x: 1}", "$.shipper: no key 'x'; there are data, ", id="a wrong section"),
    ],
)
def test_a_file_that_is_wrong_is_named(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "topmast.yml"
    path.write_text(text)

    with pytest.raises(ConfigError) as caught:
        load(path)

    assert str(caught.value).startswith(f"{path}: {said}")


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"topmast\.yml: No such file"):
        load(tmp_path / "topmast.yml")


def test_relative_paths_begin_at_the_file(tmp_path: Path) -> None:
    path = tmp_path / "topmast.yml"
    path.write_text("shipper: {data: data}")

    assert load(path).data == tmp_path / "data"
    assert load(path, checked=True) == load(path)


TLS = {"ca_file": "ca.pem", "certificate_file": "own.pem", "key_file": "own.key", "key_password_file": "own.secret"}


@pytest.mark.parametrize(
    ("room", "kind", "paths"),
    [
        pytest.param("sinks", "file", {"path": "out.json"}, id="file"),
        pytest.param("sinks", "sqlite", {"path": "logs"}, id="sqlite"),
        pytest.param("sinks", "elasticsearch", {"password_file": "p", "api_key_file": "k", "tls": TLS}, id="elastic"),
        pytest.param("sinks", "logstash", {"tls": TLS}, id="logstash"),
        pytest.param("inputs", "file", {"paths": ["a.log", "*.txt"], "exclude": ["b.log"]}, id="patterns"),
        pytest.param("inputs", "spool", {"path": "spool"}, id="spool"),
        pytest.param("inputs", "http", {"token_file": "t", "tls_certificate": "c", "tls_key": "k"}, id="http"),
        pytest.param("inputs", "file", {"parser": {"grok": {"patterns_dir": "patterns"}}}, id="a parser"),
    ],
)
def test_every_path_begins_at_the_file_whatever_the_working_directory_is(
    tmp_path: Path, room: str, kind: str, paths: dict[str, Any]
) -> None:
    found = config.with_absolute_paths(
        {"data": "/data", room: [{kind: {"name": "a", "service": "b"} | paths}]}, tmp_path
    )

    assert found[room] == [{kind: {"name": "a", "service": "b"} | each_in(paths, tmp_path)}]
    assert config.with_absolute_paths(found, tmp_path / "elsewhere") == found


def each_in(value: Any, folder: Path) -> Any:
    """Return the value with every string in it as a path of the folder."""
    if isinstance(value, dict):
        return {name: each_in(each, folder) for name, each in value.items()}
    return [each_in(each, folder) for each in value] if isinstance(value, list) else str(folder / value)


def test_the_schema_is_closed_and_knows_every_room() -> None:
    assert config.SCHEMA["additionalProperties"] is False
    assert "file" in config.SCHEMA["properties"]["inputs"]["items"]["properties"]
    assert {"file", "sqlite", "stdout"} <= set(config.SCHEMA["properties"]["sinks"]["items"]["properties"])
