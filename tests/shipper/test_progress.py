"""progress.py: what is drawn, where, and when nothing is."""

import os
import pty
import select
import subprocess
import sys
import time
from io import StringIO
from pathlib import Path

import pytest
import yaml
from topmast_shipper.progress import Progress
from topmast_shipper.testing import running


def test_a_backlog_shrinks() -> None:
    now, backlog = [100.0], [100_000_000]
    progress = Progress(StringIO(), lambda: backlog[0], lambda: now[0])
    assert "0%" in (progress.line() or "")

    now[0], backlog[0] = 102.0, 50_000_000

    assert progress.line() == "backlog ████████████░░░░░░░░░░░░  50%  50 of 100 MB  25 MB/s  2 s left"


def test_a_slow_backlog_has_a_rate_all_the_same() -> None:
    now, backlog = [100.0], [50_000_000]
    progress = Progress(StringIO(), lambda: backlog[0], lambda: now[0])
    progress.line()

    now[0], backlog[0] = 102.0, 49_400_000

    assert "0.3 MB/s" in (progress.line() or "")


def test_a_sink_that_takes_nothing_is_waited_for() -> None:
    progress = Progress(StringIO(), lambda: 100_000_000, lambda: 100.0)

    assert (progress.line() or "").endswith("waiting for the sink")


def test_it_is_over_when_nothing_is_left() -> None:
    backlog = [100_000_000]
    progress = Progress(StringIO(), lambda: backlog[0], lambda: 100.0)
    progress.line()

    backlog[0] = 0

    assert progress.line() is None


@pytest.mark.parametrize("backlog", [0, 1_000_000])
def test_a_small_one_is_not_worth_a_line(backlog: int) -> None:
    assert Progress(StringIO(), lambda: backlog, lambda: 100.0).line() == ""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    with (tmp_path / "app.log").open("wb") as file:
        file.write(b"x" * 499 + b"\n")
        file.writelines([b"y" * 499 + b"\n"] * 40_000)
    path = tmp_path / "topmast.yml"
    section = {
        "listen": "",
        "data": "data",
        "inputs": [{"file": {"name": "app", "paths": ["app.log"]}}],
        "sinks": [{"file": {"path": str(tmp_path / "out.ndjson")}}],
    }
    path.write_text(yaml.safe_dump({"shipper": section}))
    return path


def test_on_a_terminal_it_is_drawn(config: Path) -> None:
    master, slave = pty.openpty()
    argv = [sys.executable, "-m", "topmast_shipper", "-c", str(config)]
    said, deadline = b"", time.monotonic() + 60
    with subprocess.Popen(argv, stdout=slave, stderr=slave) as process:
        os.close(slave)
        while b"backlog shipped: " not in said and time.monotonic() < deadline:
            if select.select([master], [], [], 1)[0]:
                said += os.read(master, 65536)
        process.terminate()
    os.close(master)

    assert b"backlog shipped: " in said
    assert "░".encode() in said


def test_into_a_file_it_is_not(config: Path) -> None:
    out, log = config.with_name("out.ndjson"), config.with_name("shipper.log")
    deadline = time.monotonic() + 60
    with running(config, log):
        while not out.exists() or out.stat().st_size < 20_000_000:
            assert time.monotonic() < deadline, "not in time"
            select.select([], [], [], 0.05)

    assert "backlog" not in log.read_text()
    assert "\x1b" not in log.read_text()
