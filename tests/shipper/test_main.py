"""__main__.py: a shipper as a process of its own: how it starts, how it stops, and what keeps it from starting."""

import os
import select
import signal
import sqlite3
import subprocess
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
import yaml
from topmast_shipper import store
from topmast_shipper.testing import running


def stored(logs: Path) -> int:
    """Return how many events there are; 0 while a file is being made."""
    total = 0
    for part in store.parts(logs):
        try:
            with closing(sqlite3.connect(part.path, timeout=10)) as connection:
                total += connection.execute("SELECT count(*) FROM events").fetchone()[0]
        except sqlite3.OperationalError:
            continue
    return total


def until(condition: Callable[[], bool], process: subprocess.Popen[bytes], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert process.poll() is None, "the shipper ended by itself"
        assert time.monotonic() < deadline, "not in time"
        select.select([], [], [], 0.01)


def test_a_stop_is_clean(tmp_path: Path) -> None:
    (tmp_path / "app.log").write_text('{"message": "one", "n": 1}\n')
    config = tmp_path / "topmast.yml"
    section = {
        "listen": "127.0.0.1:0",
        "data": "data",
        "inputs": [{"file": {"name": "app", "paths": ["app.log"], "parser": "json_lines"}}],
        "sinks": [{"sqlite": {"path": str(tmp_path / "logs")}}],
    }
    config.write_text(yaml.safe_dump({"shipper": section}))
    with running(config, tmp_path / "shipper.log") as process:
        until(lambda: stored(tmp_path / "logs") == 1, process)

        process.terminate()

        assert process.wait(20) == 0


FROM_TO = "inputs: [{file: {name: a, paths: [a.log]}}], sinks: [{stdout: {}}]"


@pytest.mark.parametrize(
    ("text", "code", "said"),
    [
        pytest.param("shipper: {data: d, inputs: [{file: {name: a}}]}", 78, "$.shipper.inputs[0].file", id="schema"),
        pytest.param("shipper: [", 78, "topmast.yml: ", id="not YAML"),
        pytest.param(
            "shipper: {data: d, sinks: [{stdout: {}}]}", 78, "$.shipper.inputs: there is none", id="no input"
        ),
        pytest.param("shipper: {data: /proc/nowhere/d, " + FROM_TO + "}", 75, "/proc/nowhere/d", id="no data folder"),
    ],
)
def test_what_cannot_start_says_why(tmp_path: Path, text: str, code: int, said: str) -> None:
    config = tmp_path / "topmast.yml"
    config.write_text(text)

    with running(config, tmp_path / "shipper.log") as process:
        left = process.wait(20)

    assert left == code
    assert said in (tmp_path / "shipper.log").read_text()


def test_a_second_shipper_on_the_same_data_leaves_with_75(tmp_path: Path) -> None:
    config = tmp_path / "topmast.yml"
    section = {
        "listen": "",
        "data": "data",
        "inputs": [{"file": {"name": "app", "paths": ["app.log"]}}],
        "sinks": [{"file": {"path": "out"}}],
    }
    config.write_text(yaml.safe_dump({"shipper": section}))
    with running(config, tmp_path / "first.log") as first:
        until(lambda: (tmp_path / "data" / "checkpoint.log").exists(), first)

        with running(config, tmp_path / "second.log") as second:
            assert second.wait(20) == 75

    assert "another shipper is at work here" in (tmp_path / "second.log").read_text()


def test_a_reload_that_is_asked_for_too_early_is_done_when_it_can_be(tmp_path: Path) -> None:
    section = {
        "listen": "",
        "data": "data",
        "inputs": [{"file": {"name": "app", "paths": ["app.log"]}}],
        "sinks": [{"sqlite": {"path": "logs"}}],
    }
    config = tmp_path / "topmast.yml"
    os.mkfifo(config)  # the check waits for what is written below
    with running(config, tmp_path / "shipper.log") as process:
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
        until(lambda: bool(children.read_text()), process)
        process.send_signal(signal.SIGHUP)
        fifo = os.open(config, os.O_WRONLY)
        (tmp_path / "regular.yml").write_text(yaml.safe_dump({"shipper": section}))
        (tmp_path / "regular.yml").rename(config)
        os.write(fifo, config.read_bytes())
        os.close(fifo)

        until(lambda: "the configuration was read again" in (tmp_path / "shipper.log").read_text(), process)


def test_a_kill_while_the_configuration_is_checked_leaves_nobody_behind(tmp_path: Path) -> None:
    config = tmp_path / "topmast.yml"
    os.mkfifo(config)  # the check waits for what nobody writes
    with running(config, tmp_path / "shipper.log") as process:
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
        until(lambda: bool(children.read_text()), process)
        child = int(children.read_text())
        process.kill()
        process.wait()

    deadline = time.monotonic() + 30
    while lives(child):
        assert time.monotonic() < deadline, "the child goes on"
        select.select([], [], [], 0.01)


def lives(pid: int) -> bool:
    """Return whether a process is there and not merely unread by its new parent."""
    try:
        return ") Z " not in Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
