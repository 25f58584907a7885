"""Has this machine what Topmast needs? Memory, disk, ports, clock, engines; Docker and the kernel for compose mode.

What is missing fails; what could be better is told with its remedy and does not. Nothing is started or changed.
"""

import contextlib
import ctypes
import shutil
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import yaml

from topmast import compose, config, debian, forecast, lock, machine, preflight, running, stage
from topmast.checkup import Checkup
from topmast.errors import ConfigError, NotRunningError, PrerequisiteError, TopmastError
from topmast.layout import LOOPBACK, PORTS, Layout
from topmast.start import FREE_BYTES

# What everything but the demo takes at most (APPLIANCE.md 8.2.5), and as much again for queries.
EMBEDDED_BYTES = 560 * machine.MB
DEMO_PORTS = frozenset(name for name in PORTS if name.startswith("demo-"))
# Elastic's bootstrap check; a single node only warns (APPLIANCE.md 3.2), and Elastic now recommends the second.
MAX_MAP_COUNT, RECOMMENDED_MAP_COUNT = 262_144, 1_048_576
# adjtimex(2): the clock is not synchronised.
_TIME_ERROR = 5


def examine(layout: Layout, path: Path | None, mode: str) -> Iterator[Checkup]:
    """Yield what was looked at, for `embedded` or `compose`."""
    yield configuration(layout, path)
    if mode == "compose":
        yield from preflight.examine(layout)
        yield map_count(_read_int(Path("/proc/sys/vm/max_map_count")))
    else:
        yield engines(layout)
        yield machine.memory(machine.meminfo(), EMBEDDED_BYTES, "everything but the demo takes, queries included")
        yield machine.disk(layout.state, FREE_BYTES, "the engines and a day of data")
        wanted = {name: layout.port(name) for name in PORTS if name not in DEMO_PORTS}
        yield listeners(wanted, _running_ports(layout))
    yield from _forecast(layout, mode)
    yield clock(layout, time.time(), _synchronised())


def configuration(layout: Layout, path: Path | None) -> Checkup:
    """Return whether the configuration is one."""
    try:
        config.load(path, layout)
    except ConfigError as error:
        return Checkup("configuration", ok=False, message=str(error), remedy="topmast config schema")
    return Checkup("configuration", ok=True, message=str(path) if path else "no topmast.yml: the defaults")


def engines(layout: Layout) -> Checkup:
    """Return whether the engines are here, or can be had."""
    names = ("prometheus", "alertmanager", "node_exporter")
    if all(shutil.which(name) for name in names):
        return Checkup("engines", ok=True, message="on PATH")
    if (layout.engines / "debian").is_dir():
        return Checkup("engines", ok=True, message="unpacked in the state folder")
    if debian.available():
        return Checkup("engines", ok=True, message="not here yet; the first start unpacks them with apt-get")
    lacking = ", ".join(name for name in names if not shutil.which(name))
    remedy = "install them, or name them under `engines:` in topmast.yml"
    return Checkup("engines", ok=False, message=f"not on PATH, and no apt-get to get them: {lacking}", remedy=remedy)


def listeners(wanted: Mapping[str, int], ours: frozenset[int]) -> Checkup:
    """Return whether each port is free, or held by the appliance that runs already."""
    at_loopback = {name: (LOOPBACK, port) for name, port in wanted.items()}
    return preflight.listeners(at_loopback, ours, "stop that, or move all ports with --port-offset N")


def clock(layout: Layout, now: float, synchronised: bool | None) -> Checkup:
    """Return whether the clock can be trusted: samples from the future are refused, certificates not valid yet."""
    newest = 0.0
    with contextlib.suppress(OSError):
        newest = (layout.run / "status.json").stat().st_mtime
    if newest > now + 60:
        message = f"it is {newest - now:,.0f} s behind what was recorded here"
        return Checkup("clock", ok=False, message=message, remedy="set the clock: timedatectl set-ntp true")
    if synchronised is False:
        message = "it is not synchronised (the kernel says so)"
        return Checkup("clock", ok=True, message=message, remedy="timedatectl set-ntp true, on the host")
    return Checkup("clock", ok=True, message="synchronised" if synchronised else "cannot be asked here")


def map_count(found: int | None) -> Checkup:
    """Return whether the kernel lets Elasticsearch map as much as it wants. A single node only warns."""
    name, remedy = "vm.max_map_count", f"sysctl -w vm.max_map_count={RECOMMENDED_MAP_COUNT}"
    if found is None:
        return Checkup(name, ok=True, message="cannot be read here")
    return Checkup(name, ok=True, message=str(found), remedy=remedy if found < MAX_MAP_COUNT else None)


def _running_ports(layout: Layout) -> frozenset[int]:
    try:
        offset = int(lock.status(layout)["port_offset"])
    except NotRunningError:
        return frozenset()
    return frozenset(port + offset for port in PORTS.values())


def _forecast(layout: Layout, mode: str) -> Iterator[Checkup]:
    """Yield the disk's forecast while Prometheus runs and answers; nothing else."""
    try:
        if mode == "compose":
            # The volumes' disk, and what Prometheus itself says that it may take; logs are Elasticsearch's to delete.
            ask = _asking(running.composed(layout)[1].prometheus)
            retention = {"metrics_bytes": ask("max(prometheus_tsdb_retention_limit_bytes)") or 0, "logs_bytes": 0}
            yield forecast.checkup(forecast.forecast(layout, retention, ask, stored=compose.data_root()))
            return
        offset = int(lock.status(layout)["port_offset"])
        retention = yaml.safe_load((layout.rendered / "topmast.yml").read_text(encoding="utf-8"))["retention"]
        there = Layout(layout.home, layout.state, offset)
        yield forecast.checkup(forecast.forecast(there, retention, _asking(there.url("prometheus"))))
    except (NotRunningError, PrerequisiteError, OSError):
        return
    except TopmastError as error:
        yield Checkup("disk forecast", ok=True, message=f"cannot be told: {error}")


def _asking(url: str) -> forecast.Ask:
    def ask(expression: str) -> float | None:
        found = stage.query(url, expression)
        return float(found[0]["value"][1]) if found else None

    return ask


def _read_int(path: Path) -> int | None:
    try:
        return int(path.read_text())
    except (OSError, ValueError):
        return None


def _synchronised() -> bool | None:
    """Return what the kernel says of its clock; None where it cannot be asked."""
    try:
        # struct timex is smaller than this on every architecture; `modes` 0 only reads.
        answer: int = ctypes.CDLL(None).adjtimex(ctypes.create_string_buffer(512))
    except (OSError, AttributeError):
        return None
    return None if answer < 0 else answer != _TIME_ERROR
