"""An appliance that a test started: its state folder, its ports, and the launcher to call it with."""

import contextlib
import json
import os
import random
import shutil
import socket
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from topmast import ports, stage
from topmast.layout import PORTS

HOME = Path(__file__).resolve().parents[1]


def _apart(candidates: Iterable[int], taken: Iterable[int]) -> list[int]:
    """Return the offsets at which no port of an appliance is a port of another one, nor at an offset of `taken`."""
    used = {port + offset for offset in taken for port in PORTS.values()}
    found = []
    for offset in candidates:
        ports_here = {port + offset for port in PORTS.values()}
        if used.isdisjoint(ports_here):
            used |= ports_here
            found.append(offset)
    return found


# Below the ports that `free_port` gives out, and beside those of the stages that `prove` sets up.
OFFSETS = _apart(range(2000, 22_000 - max(PORTS.values())), stage.OFFSETS)
_leases: list[socket.socket] = []


def free_offset() -> int:
    """Return a `--port-offset` at which every port is free, and that is this process's until it ends."""
    for offset in random.sample(OFFSETS, len(OFFSETS)):
        lease = socket.socket(socket.AF_UNIX)
        with contextlib.suppress(OSError):
            # What is free now another worker may be about to take: the name is held, and gone with the process.
            lease.bind(f"\0topmast-tests-offset-{offset}")
            if all(ports.free(number + offset) for number in PORTS.values()):
                _leases.append(lease)
                return offset
        lease.close()
    raise AssertionError("no free ports")


@dataclass(frozen=True)
class Appliance:
    """A running `topmast up`. `run` calls the launcher on its state folder."""

    state: Path
    offset: int

    def run(self, *arguments: str, seconds: float = 120, check: bool = True) -> subprocess.CompletedProcess[str]:
        argv = [str(HOME / "topmast"), "--state", str(self.state), *arguments]
        done = subprocess.run(argv, capture_output=True, text=True, timeout=seconds, cwd=HOME, check=False)
        if check and done.returncode != 0:
            raise AssertionError(f"{arguments}: exit {done.returncode}\n{done.stdout}\n{done.stderr}")
        return done

    def json(self, *arguments: str) -> Any:
        return json.loads(self.run(*arguments).stdout)

    def told(self, alert: str) -> dict[str, str]:
        """Return what each channel of the inbox was told last of an alert: `firing` or `resolved`."""
        notifications = sorted(self.json("inbox", "--json")["notifications"], key=lambda one: one["at"])
        return {one["channel"]: one["status"] for one in notifications if alert in one["alerts"]}

    def port(self, number: int) -> int:
        return number + self.offset

    def get(self, port: int, path: str) -> Any:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port(port)}{path}", timeout=10) as answer:
            return json.load(answer)


def wait_for(what: str, condition: Callable[[], Any], seconds: float = 60) -> Any:
    """Return the first true value of `condition`; fail with `what` after `seconds`."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            pytest.fail(f"{what}: not within {seconds:.0f} s; last: {value!r}")
        time.sleep(0.2)


def with_engines(state: Path) -> Path:
    """Give a fresh state folder the engines that this machine has unpacked already: the tests need no network."""
    unpacked = Path(os.environ.get("TOPMAST_STATE", HOME / ".topmast")) / "engines"
    if unpacked.is_dir():
        shutil.copytree(unpacked, state / "engines", copy_function=os.link, symlinks=True)
    return state
