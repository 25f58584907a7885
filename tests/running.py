"""An appliance that a test started: its state folder, its ports, and the launcher to call it with."""

import json
import os
import random
import shutil
import subprocess
import time
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from topmast import ports
from topmast.layout import PORTS

HOME = Path(__file__).resolve().parents[1]


def free_offset() -> int:
    """Return a `--port-offset` at which every port is free: by chance, so that two runs do not meet at the first."""
    offsets = range(2000, 12_000, 50)  # below the ports that `free_port` gives out
    for offset in random.sample(offsets, len(offsets)):
        if all(ports.free(number + offset) for number in PORTS.values()):
            return offset
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
