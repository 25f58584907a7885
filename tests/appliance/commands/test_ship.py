"""`topmast ship`: a thin door to the shipper."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest
from click.testing import CliRunner
from topmast.cli import topmast
from topmast.errors import ConfigError
from topmast_shipper.checkpoint import Checkpoint
from topmast_shipper.sinks.sqlite import Config, SqliteSink
from topmast_shipper.testing_elasticsearch import BulkStandIn
from topmast_shipper.testing_lumberjack import LumberjackServer


@pytest.fixture
def config(tmp_path: Path) -> Path:
    (tmp_path / "app.log").write_text("one\n")
    path = tmp_path / "topmast.yml"
    path.write_text(
        "shipper:\n"
        "  listen: ''\n"
        "  data: data\n"
        "  inputs: [{file: {name: app, paths: [app.log]}}]\n"
        f"  sinks: [{{file: {{path: {tmp_path}/out.ndjson}}}}]\n"
    )
    return path


def test_check(config: Path) -> None:
    result = CliRunner().invoke(topmast, ["ship", "-c", str(config), "--check"])

    assert result.exit_code == 0
    assert result.stdout == f"{config}: ok, 1 inputs, 1 sinks\n"


def test_check_of_a_wrong_file(config: Path) -> None:
    config.write_text("shipper: {data: 7}")

    result = CliRunner().invoke(topmast, ["ship", "-c", str(config), "--check", "--json"])

    assert result.exit_code == 78
    assert json.loads(result.stdout) == {
        "checks": [
            {
                "name": "configuration",
                "ok": False,
                "message": f"{config}: $.shipper.data: 7 is not of type 'string'",
                "remedy": "correct the file",
            }
        ]
    }


def test_explain_of_a_name_that_is_no_utf_8(config: Path) -> None:
    odd = config.with_name(os.fsdecode(b"caf\xe9.log"))
    odd.write_text("one\n")

    explained = CliRunner().invoke(topmast, ["ship", "-c", str(config), "explain", str(odd)])

    assert explained.exit_code == 0
    assert "never read" in explained.stdout


@pytest.mark.parametrize("command", ["--check", "check", ""])
def test_what_a_shipper_would_end_over_is_refused_by_each_with_the_same_words(config: Path, command: str) -> None:
    config.write_text(config.read_text().replace("paths:", "timezone: Europe/Berlinn, paths:"))

    argv = [sys.executable, "-m", "topmast", "ship", "-c", str(config), *filter(None, [command])]
    ended = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)

    assert ended.returncode == 78
    said = f"{config}: $.shipper.inputs[0].file: input app: timezone: no zone 'Europe/Berlinn'"
    assert said in ended.stderr
    assert sorted(each.name for each in config.parent.iterdir()) == ["app.log", "topmast.yml"]


@pytest.mark.parametrize("command", ["--check", "check"])
def test_a_pattern_that_matches_nothing_is_told(config: Path, command: str) -> None:
    (config.parent / "app.log").unlink()

    result = CliRunner().invoke(topmast, ["ship", "-c", str(config), command])
    as_json = CliRunner().invoke(topmast, ["ship", "-c", str(config), command, "--json"])

    assert f"input app: no file matches yet: {config.parent}/app.log" in result.stdout
    hint = {
        "name": "input app",
        "ok": True,
        "message": f"no file matches yet: {config.parent}/app.log",
        "remedy": None,
    }
    assert hint in json.loads(as_json.stdout)["checks"]
    assert (result.exit_code, as_json.exit_code) == (0, 0)


def sinks(config: Path, entry: str) -> None:
    config.write_text(
        "shipper:\n  listen: ''\n  data: data\n  inputs: [{file: {name: app, paths: [app.log]}}]\n"
        f"  sinks:\n    - {entry}\n"
    )


def asked(config: Path) -> tuple[int, dict[str, dict[str, object]]]:
    result = CliRunner().invoke(topmast, ["ship", "-c", str(config), "check", "--json"])
    return result.exit_code, {each["name"]: each for each in json.loads(result.stdout)["checks"]}


def test_every_sink_is_asked_and_nothing_is_made(config: Path) -> None:
    code, found = asked(config)

    assert code == 0
    assert found["file"]["message"] == f"{config.parent}/out.ndjson: will be made"
    assert sorted(each.name for each in config.parent.iterdir()) == ["app.log", "topmast.yml"]


def test_a_store_is_not_made_either(config: Path) -> None:
    sinks(config, "sqlite: {path: logs}")

    code, found = asked(config)

    assert (code, found["sqlite"]["message"]) == (0, f"{config.parent}/logs: will be made")
    assert sorted(each.name for each in config.parent.iterdir()) == ["app.log", "topmast.yml"]


def test_an_address_of_metrics_that_is_taken_is_told_unless_its_own_shipper_has_it(config: Path, port: int) -> None:
    with socket.create_server(("127.0.0.1", port)):
        listen = f"127.0.0.1:{port}"
        config.write_text(config.read_text().replace("listen: ''", f"listen: {listen}"))
        code, found = asked(config)
        assert (code, found["metrics"]["message"]) == (1, f"{listen}: Address already in use")

        with closing(Checkpoint(config.parent / "data")):
            code, found = asked(config)
        assert (code, "metrics" in found) == (0, False)

    code, found = asked(config)
    assert (code, found["metrics"]["message"]) == (0, f"{listen}: is free")


def test_a_logstash_is_connected_to_and_gets_nothing(config: Path) -> None:
    with LumberjackServer("logstash") as server:
        sinks(config, f"logstash: {{hosts: ['{server.address}']}}")
        code, found = asked(config)

        assert (code, found["logstash"]["message"]) == (0, f"{server.address}: answers")
        assert server.events == []


def test_a_sink_that_does_not_answer_is_named_with_a_remedy(config: Path, port: int) -> None:
    sinks(config, f"logstash: {{hosts: ['127.0.0.1:{port}'], timeout_seconds: 2}}")

    code, found = asked(config)

    assert code == 1
    assert "cannot connect" in str(found["logstash"]["message"])
    assert "address" in str(found["logstash"]["remedy"])


def test_a_store_that_its_own_shipper_writes_is_well_and_one_that_another_does_is_not(config: Path) -> None:
    logs = config.parent / "logs"
    sinks(config, f"sqlite: {{path: {logs}}}")
    writer = SqliteSink(Config(logs))
    try:
        code, found = asked(config)
        assert (code, found["sqlite"]["ok"]) == (1, False)
        assert "stop the other shipper" in str(found["sqlite"]["remedy"])

        with closing(Checkpoint(config.parent / "data")):
            code, found = asked(config)
    finally:
        writer.close()

    assert (code, found["sqlite"]["ok"], found["sqlite"]["remedy"]) == (0, True, None)
    assert "at work" in str(found["data"]["message"])


def test_a_server_that_is_no_elasticsearch_is_told(config: Path) -> None:
    with LumberjackServer("logstash") as server:
        sinks(config, f"elasticsearch: {{hosts: ['http://{server.address}'], timeout_seconds: 1}}")
        code, found = asked(config)

    assert code == 1
    assert found["elasticsearch"]["ok"] is False


def test_an_elasticsearch_is_asked_for_its_template_and_keeps_what_it_has(config: Path) -> None:
    with BulkStandIn() as server:
        sinks(config, f"elasticsearch: {{hosts: ['{server.url}']}}")
        code, found = asked(config)

        assert code == 0, found
        assert "logs-app-default" in str(found["elasticsearch"]["message"])
        assert server.documents == {}


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_may_not_be_written_is_named(config: Path) -> None:
    closed = config.parent / "closed"
    closed.mkdir(mode=0o500)
    sinks(config, f"sqlite: {{path: '{closed}/logs'}}")

    code, found = asked(config)

    assert code == 1
    assert str(closed) in str(found["sqlite"]["message"])


def test_it_ships_until_it_is_told_to_stop(config: Path) -> None:
    argv = [sys.executable, "-m", "topmast", "ship", "-c", str(config)]
    out = config.with_name("out.ndjson")
    with config.with_name("log").open("wb") as log, subprocess.Popen(argv, stderr=log) as process:
        deadline = time.monotonic() + 30
        while not (out.exists() and out.read_text()):
            assert process.poll() is None, config.with_name("log").read_text()
            assert time.monotonic() < deadline, "not in time"

        process.send_signal(signal.SIGTERM)
        code = process.wait(20)

    assert code == 0
    assert json.loads(out.read_text())["message"] == "one"


def shipped(config: Path) -> Path:
    """Ship the file until it is there, and stop; return the log."""
    out = config.with_name("out.ndjson")
    with config.with_name("log").open("wb") as log:
        argv = [sys.executable, "-m", "topmast", "ship", "-c", str(config)]
        with subprocess.Popen(argv, stderr=log) as process:
            deadline = time.monotonic() + 30
            while not (out.exists() and out.read_text()):
                assert time.monotonic() < deadline, "not in time"
            process.send_signal(signal.SIGTERM)
            process.wait(20)
    return config.with_name("app.log")


def test_it_says_how_far_it_is_and_why(config: Path) -> None:
    log = shipped(config)
    with log.open("a") as file:
        file.write("two\n")

    lag = CliRunner().invoke(topmast, ["ship", "-c", str(config), "lag", "--json"])
    explained = CliRunner().invoke(topmast, ["ship", "-c", str(config), "explain", str(log)])
    unknown = CliRunner().invoke(topmast, ["ship", "-c", str(config), "explain", str(config)])
    fsck = CliRunner().invoke(topmast, ["ship", "-c", str(config), "fsck"])

    (state,) = json.loads(lag.stdout)["files"]
    assert (state["sink"], state["offset"], state["unread_bytes"], state["verdict"]) == ("file", 4, 4, "read on")
    assert f"{log}  file: 4 bytes unread (read on;" in explained.stdout
    assert "never read" in unknown.stdout
    assert (fsck.exit_code, fsck.stdout) == (0, f"{config.with_name('data')}: 1 files, 0 damaged lines\n")


def test_fsck_finds_a_damaged_line(config: Path) -> None:
    shipped(config)
    with config.with_name("data").joinpath("checkpoint.log").open("a") as file:
        file.write("00000000 [torn\n")

    result = CliRunner().invoke(topmast, ["ship", "-c", str(config), "fsck", "--json"])

    assert result.exit_code == 1
    assert json.loads(result.stdout)["checks"][0]["ok"] is False


def test_without_a_configuration_it_says_what_it_needs(tmp_path: Path) -> None:
    argv = [sys.executable, "-m", "topmast", "--state", str(tmp_path / "state"), "ship"]
    environment = {"TOPMAST_HOME": str(tmp_path), "PATH": "/usr/bin:/bin"}
    done = subprocess.run(
        argv, capture_output=True, text=True, env=environment, cwd=tmp_path, timeout=30, check=False
    )

    assert done.returncode == 78
    assert "no configuration: name one with `topmast ship -c FILE`" in done.stderr


COMMANDS = ["check", "explain", "fsck", "lag", "replay"]


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize(
    "where",
    [
        pytest.param("ship {} --help", id="no configuration"),
        pytest.param("ship -c nowhere.yml {} --help", id="before the command"),
        pytest.param("ship {} -c nowhere.yml --help", id="behind it"),
        pytest.param("ship {} --help -c nowhere.yml", id="at the end"),
    ],
)
def test_the_help_needs_no_configuration(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str, where: str
) -> None:
    monkeypatch.setenv("TOPMAST_HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)

    result = CliRunner().invoke(topmast, ["--state", "state", *where.format(command).split()])

    assert (result.exit_code, result.stdout.split("\n")[0].startswith("Usage: ")) == (0, True)
    assert f" {command} [OPTIONS]" in result.stdout


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_without_a_configuration_says_what_it_needs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    monkeypatch.setenv("TOPMAST_HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "app.log"
    file.touch()

    result = CliRunner().invoke(topmast, ["--state", "state", "ship", command, *[str(file)] * (command == "explain")])

    assert isinstance(result.exception, ConfigError), result.exception
    assert "no configuration: name one with `topmast ship -c FILE`" in str(result.exception)


def test_a_configuration_may_be_named_behind_the_command(config: Path) -> None:
    result = CliRunner().invoke(topmast, ["ship", "fsck", "-c", str(config)])

    assert (result.exit_code, result.stdout) == (0, f"{config.with_name('data')}: 0 files, 0 damaged lines\n")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        pytest.param("--json", "--json goes with --check: `topmast ship --check --json`", id="json alone"),
        pytest.param("--service x", "--service goes with --stdin", id="a service alone"),
        pytest.param("--check --stdin", "--check or --stdin, not both", id="check and stdin"),
        pytest.param("--stdin -c topmast.yml", "--stdin writes into the state folder's spool", id="stdin and a file"),
        pytest.param("--check lag", "do not go with lag: `topmast ship lag --help`", id="check and a command"),
        pytest.param("--json lag", "do not go with lag", id="json before a command"),
    ],
)
def test_what_would_be_ignored_is_refused(config: Path, arguments: str, said: str) -> None:
    named = [] if "--stdin" in arguments else ["-c", str(config)]

    result = CliRunner().invoke(topmast, ["ship", *named, *arguments.split()], input="a line\n")

    assert result.exit_code == 2
    assert said in result.stderr


def test_what_a_program_prints_is_taken_in(tmp_path: Path) -> None:
    argv = [sys.executable, "-m", "topmast", "--state", str(tmp_path), "ship", "--stdin", "--service", "mine"]

    done = subprocess.run(argv, input=b"hello\n", capture_output=True, check=True, timeout=60)

    (segment,) = (tmp_path / "data" / "spool").iterdir()
    assert done.stdout == b"hello\n"
    assert b'"service.name":"mine"' in segment.read_bytes()
