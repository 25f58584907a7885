"""Containers of this machine by their cgroups (v1 and v2), under cAdvisor's names: for hosts where none runs.

Names and meanings: https://github.com/google/cadvisor/blob/master/docs/storage/prometheus.md. Files:
https://docs.kernel.org/admin-guide/cgroup-v2.html and cgroup-v1/. No daemon is asked: the names come from Docker's
own files where they may be read, else a container is called by the first 12 digits of its id.
"""

import json
import os
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from topmast_exporter.collector import Collector, Reading
from topmast_exporter.errors import CollectError

# docker/<id>, docker-<id>.scope, libpod-<id>.scope, cri-containerd-<id>.scope, crio-<id>.scope
_CONTAINER = re.compile(r"(?:[a-z-]+-)?([0-9a-f]{64})(?:\.scope)?")

MAX_CONTAINERS = 500
MAX_FOLDERS = 20_000
MAX_FILE_BYTES = 2**20

# cgroup v1 writes what is no limit as the largest whole page below 2**63.
UNLIMITED = 2**62


@dataclass(frozen=True)
class Config:
    """The containers of this machine."""

    target: str
    cgroup: str = "/sys/fs/cgroup"
    docker: str = "/var/lib/docker"
    interval_seconds: float = 15.0
    timeout_seconds: float = 5.0


PROPERTIES: Mapping[str, Any] = {
    "cgroup": {"type": "string", "minLength": 1},
    "docker": {"type": "string", "minLength": 1},
}

# Returns the text of a file of the cgroup (controller of v1, name), None when it is not there.
Read = Callable[[str, str], str | None]


def parse(reading: Reading, read: Read, v2: bool, **labels: str) -> None:
    """Add one container. Unknown is absent; a limit that is none is 0 for memory and absent for the processor."""
    stat = fields(read("cpu,cpuacct", "cpu.stat") or "")
    if v2:
        used = _scaled(stat.get("usage_usec"), 1e-6)
        quota, period = _pair(read("", "cpu.max"))
        memory, limit = _number(read("", "memory.current")), _number(read("", "memory.max"), 0.0)
        inactive = fields(read("", "memory.stat") or "").get("inactive_file")
    else:
        used = _scaled(_number(read("cpu,cpuacct", "cpuacct.usage")), 1e-9)
        quota = _number(read("cpu,cpuacct", "cpu.cfs_quota_us"))
        period = _number(read("cpu,cpuacct", "cpu.cfs_period_us"))
        quota = None if quota is None or quota < 0 else quota
        memory, limit = (_number(read("memory", f"memory.{name}_in_bytes"), None) for name in ("usage", "limit"))
        limit = 0.0 if limit is not None and limit >= UNLIMITED else limit
        inactive = fields(read("memory", "memory.stat") or "").get("total_inactive_file")
    reading.counter("container_cpu_usage_seconds_total", "Processor time.", used, cpu="total", **labels)
    periods, throttled = stat.get("nr_periods"), stat.get("nr_throttled")
    reading.counter("container_cpu_cfs_periods_total", "Periods in which it could run.", periods, **labels)
    reading.counter("container_cpu_cfs_throttled_periods_total", "Periods it was held back.", throttled, **labels)
    reading.gauge("container_spec_cpu_quota", "Processor time of a period, in microseconds.", quota, **labels)
    reading.gauge("container_spec_cpu_period", "Length of a period, in microseconds.", period, **labels)
    working_set = None if memory is None else max(0.0, memory - (inactive or 0.0))
    reading.gauge("container_memory_usage_bytes", "Memory, file cache included.", memory, **labels)
    reading.gauge("container_memory_working_set_bytes", "Memory that cannot be freed.", working_set, **labels)
    reading.gauge("container_spec_memory_limit_bytes", "Limit of the memory; 0 is none.", limit, **labels)


def fields(text: str) -> dict[str, float]:
    """Return lines of `name number`."""
    pairs = (line.split() for line in text.splitlines())
    return {pair[0]: float(pair[1]) for pair in pairs if len(pair) == 2 and pair[1].isdecimal()}


def _number(text: str | None, unlimited: float | None = None) -> float | None:
    if text is None:
        return None
    if text.strip() == "max":
        return unlimited
    try:
        return float(text)
    except ValueError:
        return None


def _pair(text: str | None) -> tuple[float | None, float | None]:
    parts = (text or "").split()
    return (_number(parts[0]), _number(parts[1])) if len(parts) == 2 else (None, None)


def _scaled(value: float | None, unit: float) -> float | None:
    return None if value is None else value * unit


class ContainersSource:
    """The files of one machine."""

    def __init__(self, config: Config) -> None:
        self._root = Path(config.cgroup)
        self._docker = Path(config.docker)
        self._named: dict[str, tuple[str, str]] = {}

    def collect(self) -> Reading:
        v2 = (self._root / "cgroup.controllers").is_file()
        top = self._root if v2 else self._root / "memory"
        if not top.is_dir():
            raise CollectError(f"{top}: no cgroups are mounted here", "other")
        reading = Reading()
        seen: dict[str, tuple[str, str]] = {}
        for identity, path in self._containers(top):
            name, image = seen[identity] = self._named.get(identity) or self._name_of(identity)
            labels = {"id": f"/{path}", "name": name, "image": image}
            parse(reading, partial(self._read, v2, path), v2, **labels)
        self._named = seen
        return reading

    def close(self) -> None:
        """Nothing is kept open."""

    def _containers(self, top: Path) -> Iterator[tuple[str, str]]:
        found = 0
        for walked, (folder, below, _) in enumerate(os.walk(top), 1):
            matched = _CONTAINER.fullmatch(os.path.basename(folder))  # noqa: PTH119 os.walk gives texts
            if matched is not None:
                below.clear()  # what a container makes inside is its own
                found += 1
                yield matched[1], os.path.relpath(folder, top)
            if walked >= MAX_FOLDERS or found >= MAX_CONTAINERS:
                return

    def _read(self, v2: bool, path: str, controller: str, name: str) -> str | None:
        try:
            with (self._root / ("" if v2 else controller) / path / name).open(encoding="utf-8") as file:
                return file.read(MAX_FILE_BYTES)
        except (OSError, UnicodeDecodeError):
            return None  # it ended meanwhile, or the controller is off

    def _name_of(self, identity: str) -> tuple[str, str]:
        """Return (name, image) as Docker has them."""
        try:
            with (self._docker / "containers" / identity / "config.v2.json").open(encoding="utf-8") as file:
                about = json.loads(file.read(MAX_FILE_BYTES))
            return str(about["Name"]).lstrip("/"), str(about["Config"]["Image"])
        except (OSError, ValueError, KeyError, TypeError):
            return identity[:12], ""


COLLECTOR = Collector(
    name="containers",
    summary="Containers of this machine by their cgroups, under cAdvisor's names: where no cAdvisor runs.",
    config=Config,
    properties=PROPERTIES,
    required=(),
    build=ContainersSource,
    up="topmast_containers_up",
    up_documentation="Whether this machine's cgroups could be read.",
)
