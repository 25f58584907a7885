"""However it ends, nothing is left: Ctrl-C, a stop signal, a closed terminal, a supervisor killed outright."""

import json
import os
import pty
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from running import HOME, Appliance, free_offset, wait_for, with_engines

pytestmark = pytest.mark.live


def running(pid: int) -> bool:
    """Return whether the process lives; a zombie that init has not reaped yet does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


class Foreground:
    """`topmast up` in a terminal of its own."""

    def __init__(self, state: Path) -> None:
        self.appliance = Appliance(with_engines(state), free_offset())
        self.terminal, inside = pty.openpty()
        self.process = subprocess.Popen(
            [str(HOME / "topmast"), "--state", str(state), "up", "--port-offset", str(self.appliance.offset)],
            stdin=inside,
            stdout=inside,
            stderr=inside,
            start_new_session=True,
        )
        os.close(inside)

    def status(self) -> dict[str, Any]:
        answer = self.appliance.run("status", "--json", check=False)
        told: dict[str, Any] = json.loads(answer.stdout) if answer.stdout else {"ready": False, "components": []}
        return told

    def pids(self) -> list[int]:
        """Return the processes once all of them are ready: the supervisor's, then the components'."""
        told = wait_for("ready", lambda: one if (one := self.status())["ready"] else None, 120)
        return [told["pid"], *(one["pid"] for one in told["components"])]


@pytest.fixture
def foreground(tmp_path: Path) -> Iterator[Foreground]:
    one = Foreground(tmp_path / "state")
    yield one
    one.appliance.run("down", check=False)
    one.process.wait(60)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP], ids=lambda one: one.name)
def test_a_signal_stops_everything_that_was_started(foreground: Foreground, number: signal.Signals) -> None:
    pids = foreground.pids()
    assert foreground.process.pid == pids[0], "the command itself becomes the supervisor"

    foreground.process.send_signal(number)

    assert foreground.process.wait(60) == 0
    assert not [pid for pid in pids if running(pid)]


def test_a_closed_terminal_stops_everything(tmp_path: Path) -> None:
    one = Foreground(tmp_path / "state")
    # A terminal that goes away hangs up on the session's leader; ours was given no controlling terminal.
    pids = one.pids()

    os.close(one.terminal)
    one.process.send_signal(signal.SIGHUP)

    assert one.process.wait(60) == 0
    assert not [pid for pid in pids if running(pid)]


def test_nothing_outlives_a_supervisor_that_is_killed(foreground: Foreground) -> None:
    pids = foreground.pids()

    foreground.process.kill()

    wait_for("all gone", lambda: not [pid for pid in pids[1:] if running(pid)], 60)
    wait_for("the folder is free", lambda: foreground.appliance.run("status", check=False).returncode == 3, 30)
    # What was recorded is still there for the next start.
    foreground.appliance.run("up", "--detach", "--port-offset", str(foreground.appliance.offset), seconds=240)
    assert (foreground.appliance.state / "data" / "prometheus").is_dir()
