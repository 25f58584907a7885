"""startable.py: what a shipper would end over is refused before anything is made, listened on or sent."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from topmast_shipper import startable
from topmast_shipper.errors import ConfigError

FILE = {"file": {"name": "a", "paths": ["a.log"]}}
SINK = {"file": {"path": "out.json"}}


def written(folder: Path, **changes: Any) -> Path:
    path = folder / "topmast.yml"
    section = {"data": "data", "listen": "", "inputs": [FILE], "sinks": [SINK]} | changes
    path.write_text(yaml.safe_dump({"shipper": section}))
    return path


def of_file(**options: Any) -> dict[str, Any]:
    return {"inputs": [{"file": FILE["file"] | options}]}


def elasticsearch(**options: Any) -> dict[str, Any]:
    return {"sinks": [{"elasticsearch": {"hosts": ["http://127.0.0.1:9200"]} | options}]}


IN, OUT = "$.shipper.inputs[0]", "$.shipper.sinks[0]"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        pytest.param(of_file(multiline={"start": "("}), f"{IN}.file: input a: multiline.start: ", id="multiline"),
        pytest.param(of_file(redact=["("]), f"{IN}.file: input a: redact: ", id="redact"),
        pytest.param(of_file(timezone="Europe/Berlinn"), f"{IN}.file: input a: timezone: no zone", id="time zone"),
        pytest.param(of_file(timezone="Europe"), f"{IN}.file: input a: timezone: no zone", id="a folder of zones"),
        pytest.param(
            {"inputs": [{"http": {"listen": "0.0.0.0:0"}}]}, f"{IN}.http: 0.0.0.0:0: beyond", id="open http"
        ),
        pytest.param({"inputs": [{"http": {"listen": "a:70000"}}]}, f"{IN}.http: a:70000: a port is", id="http port"),
        pytest.param({"inputs": [{"http": {"token_file": "nope"}}]}, f"{IN}.http: FOLDER/nope: No such", id="token"),
        pytest.param({"inputs": [{"http": {"tls_certificate": "no"}}]}, f"{IN}.http: FOLDER/no: ", id="certificate"),
        pytest.param({"inputs": [{"http": {"redact": ["("]}}]}, f"{IN}.http: input http: redact: ", id="http redact"),
        pytest.param(
            {"inputs": [{"syslog": {"listen": "0.0.0.0:0"}}]}, f"{IN}.syslog: 0.0.0.0:0: s", id="open syslog"
        ),
        pytest.param({"inputs": [{"syslog": {"listen": "a:70000"}}]}, f"{IN}.syslog: a:70000: a port", id="its port"),
        pytest.param({"inputs": [{"spool": {"name": "s", "path": "a.log"}}]}, f"{IN}.spool: FOLDER/a.l", id="spool"),
        pytest.param({"listen": "127.0.0.1:70000"}, "$.shipper.listen: 127.0.0.1:70000: a port", id="metrics port"),
        pytest.param({"data": "a.log"}, "$.shipper.data: FOLDER/a.log: is no folder", id="data"),
        pytest.param({"data": "a.log/b"}, "$.shipper.data: FOLDER/a.log: is no folder", id="data below a file"),
        pytest.param({"sinks": [{"file": {"path": "."}}]}, f"{OUT}.file: FOLDER: is a folder", id="file"),
        pytest.param({"sinks": [{"file": {"path": "a.log/b"}}]}, f"{OUT}.file: FOLDER/a.log: is", id="below a file"),
        pytest.param({"sinks": [{"sqlite": {"path": "a.log"}}]}, f"{OUT}.sqlite: FOLDER/a.log: is no", id="sqlite"),
        pytest.param({"sinks": [{"logstash": {"hosts": ["a:b"]}}]}, f"{OUT}.logstash: must be host:port", id="host"),
        pytest.param(elasticsearch(hosts=["http://a:99999"]), f"{OUT}.elasticsearch: hosts: http://a:99", id="port"),
        pytest.param(
            elasticsearch(username="u", password_file="no"),
            f"{OUT}.elasticsearch: FOLDER/no: No such file",
            id="password",
        ),
        pytest.param(
            elasticsearch(username="u", password_file="."), f"{OUT}.elasticsearch: FOLDER: Is a dir", id="a folder"
        ),
        pytest.param(elasticsearch(tls={"ca_file": "no"}), f"{OUT}.elasticsearch: tls.ca_file: FOLDER/no", id="tls"),
        pytest.param({"inputs": []}, "$.shipper.inputs: there is none", id="no input"),
        pytest.param({"sinks": []}, "$.shipper.sinks: there is none", id="no sink"),
    ],
)
def test_what_is_refused(tmp_path: Path, changes: dict[str, Any], said: str) -> None:
    path = written(tmp_path, **changes)
    (tmp_path / "a.log").touch()

    with pytest.raises(ConfigError) as caught:
        startable.load(path)

    assert str(caught.value).startswith(f"{path}: {said.replace('FOLDER', str(tmp_path))}")
    assert sorted(each.name for each in tmp_path.iterdir()) == ["a.log", "topmast.yml"]


@pytest.mark.parametrize(
    ("changes", "hints"),
    [
        pytest.param({}, [], id="all is there"),
        pytest.param(of_file(paths=["b.log", "*.txt"]), ["input a: no file matches yet: {0}/b.log, {0}/*.txt"]),
        pytest.param(of_file(exclude=["a.*"]), ["input a: no file matches yet: {0}/a.log"], id="excluded"),
        pytest.param(
            {"inputs": [{"spool": {"name": "s", "path": "spol"}}]},
            ["input s: its folder is not there yet: {0}/spol"],
            id="a spool",
        ),
        pytest.param({"inputs": [{"http": {}}, {"syslog": {}}], "sinks": [{"stdout": {}}]}, [], id="listeners"),
        pytest.param({"sinks": [{"sqlite": {"path": "logs"}}, {"logstash": {"hosts": ["nowhere"]}}]}, [], id="sinks"),
    ],
)
def test_what_is_told(tmp_path: Path, changes: dict[str, Any], hints: list[str]) -> None:
    path = written(tmp_path, **changes)
    (tmp_path / "a.log").touch()

    _, found = startable.load(path)

    assert found == [each.format(tmp_path) for each in hints]
    assert sorted(each.name for each in tmp_path.iterdir()) == ["a.log", "topmast.yml"]
