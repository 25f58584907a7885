"""An appliance that a proof starts for itself: its own state folder, its own ports, gone afterwards."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests

from topmast import ports
from topmast.errors import PrerequisiteError, TopmastError
from topmast.layout import PORTS, Layout
from topmast.processes import family_cpu_seconds

QUERY_SECONDS = 30.0
_UP_SECONDS = 400.0
_DOWN_SECONDS = 120.0
# Where it looks for ports.
OFFSETS = range(5000, 9000, 250)


@dataclass(frozen=True)
class Stage:
    """A running appliance."""

    layout: Layout
    pid: int
    """The supervisor's."""

    def query(self, expression: str) -> list[dict[str, Any]]:
        """Return what its Prometheus answers now: `[{metric: {…}, value: [time, text]}]`. Raises TopmastError."""
        return query(self.layout.url("prometheus"), expression)

    def cpu_seconds(self) -> float:
        """Return what its processes have used of the CPUs so far, those that ended included."""
        return family_cpu_seconds(self.pid)


@contextmanager
def started(
    layout: Layout, *arguments: str, beside: Sequence[Stage] = (), environment: Mapping[str, str] | None = None
) -> Iterator[Stage]:
    """Yield a fresh appliance, with the engines that `layout` has unpacked already; stop it in the end.

    It has no topmast.yml: what is proved is what everybody gets. `environment` is added to this process's. Raises
    TopmastError when it does not start.
    """
    with tempfile.TemporaryDirectory(prefix="topmast-stage-") as name:
        folder = Path(name)
        (folder / "topmast.yml").write_text("{}\n", encoding="utf-8")
        state = folder / "state"
        if layout.engines.is_dir():
            shutil.copytree(layout.engines, state / "engines", symlinks=True)
        own = Layout(layout.home, state, free_offset({each.layout.port_offset for each in beside}))
        argv = [sys.executable, "-m", "topmast", "--state", str(state), "-c", str(folder / "topmast.yml")]
        around = {**os.environ, **(environment or {}), "TOPMAST_HOME": str(layout.home)}
        up = [*argv, "up", "--detach", "--json", "--port-offset", str(own.port_offset), *arguments]
        try:
            done = subprocess.run(up, capture_output=True, text=True, check=False, timeout=_UP_SECONDS, env=around)
            if done.returncode != 0:
                raise TopmastError(f"up {' '.join(arguments)}: {done.stderr.strip()[-300:]}")
            yield Stage(own, json.loads(done.stdout)["pid"])
        finally:
            # With --purge: the demo's database lies outside the state folder when root starts it.
            subprocess.run(
                [*argv, "down", "--purge"], capture_output=True, check=False, timeout=_DOWN_SECONDS, env=around
            )


def free_offset(taken: set[int]) -> int:
    """Return a port offset at which every port is free. Raises PrerequisiteError when there is none."""
    for offset in OFFSETS:
        if offset not in taken and all(ports.free(port + offset) for port in PORTS.values()):
            return offset
    raise PrerequisiteError(f"no free range of ports between {OFFSETS.start} and {OFFSETS.stop}")


def query(url: str, expression: str) -> list[dict[str, Any]]:
    """Return Prometheus' answer to an instant query. Raises TopmastError with what it said."""
    try:
        answer = requests.post(f"{url}/api/v1/query", data={"query": expression}, timeout=QUERY_SECONDS)
        found: list[dict[str, Any]] = answer.json()["data"]["result"]
    except (requests.RequestException, ValueError, KeyError) as error:
        raise TopmastError(f"{url}: {expression[:80]!r}: {error}") from error
    return found
