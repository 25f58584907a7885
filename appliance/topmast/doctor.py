"""Has this machine what Topmast needs? Memory, disk, ports, clock, engines; Docker and the kernel for compose mode.

What is missing fails; what could be better is told with its remedy and does not. Nothing is started or changed.
"""

import contextlib
import ctypes
import os
import re
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from topmast import compose, config, debian, forecast, lock, ports, stage
from topmast.checkup import Checkup
from topmast.errors import ConfigError, NotRunningError, TopmastError
from topmast.layout import PORTS, Layout
from topmast.start import FREE_BYTES

MB = 1_000_000
# What everything but the demo takes at most (APPLIANCE.md 8.2.5), and as much again for queries.
EMBEDDED_BYTES = 560 * MB
DEMO_PORTS = frozenset(name for name in PORTS if name.startswith("demo-"))
# Elastic's bootstrap check; a single node only warns (APPLIANCE.md 3.2), and Elastic now recommends the second.
MAX_MAP_COUNT, RECOMMENDED_MAP_COUNT = 262_144, 1_048_576
# `depends_on: restart` and `!override` of the compose files (APPLIANCE.md 3.1, 6).
COMPOSE_VERSION, ENGINE_VERSION = (2, 20), (20, 10)
# adjtimex(2): the clock is not synchronised.
_TIME_ERROR = 5
_PUBLISHED = re.compile(r"^(?:\$\{BIND_ADDR:-127\.0\.0\.1\}:)?(\d+):\d+")
_UNITS = {"k": 1024, "m": 1024**2, "g": 1024**3}


def examine(layout: Layout, path: Path | None, mode: str) -> Iterator[Checkup]:
    """Yield what was looked at, for `embedded` or `compose`."""
    yield configuration(layout, path)
    if mode == "compose":
        stack = _stack(layout)
        yield from docker(_output)
        yield memory(_meminfo(), limits(stack), "the containers may take")
        yield disk(layout.state, 10_000 * MB, "images and a week of data")
        yield listeners(published(stack), _ours_in_compose(layout))
        yield map_count(_read_int(Path("/proc/sys/vm/max_map_count")))
    else:
        yield engines(layout)
        yield memory(_meminfo(), EMBEDDED_BYTES, "everything but the demo takes, queries included")
        yield disk(layout.state, FREE_BYTES, "the engines and a day of data")
        wanted = {name: layout.port(name) for name in PORTS if name not in DEMO_PORTS}
        yield listeners(wanted, _running_ports(layout))
        yield from _forecast(layout)
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


def docker(output: Callable[[Sequence[str]], str | None]) -> Iterator[Checkup]:
    """Yield the engine and Compose. `output` runs a program and returns what it prints, None when it fails."""
    engine = output(["docker", "version", "--format", "{{.Server.Version}}"])
    if shutil.which("docker") is None and engine is None:
        yield Checkup(
            "docker engine", ok=False, message="no docker on PATH", remedy="install Docker, or leave it away"
        )
        return
    yield _version("docker engine", engine, ENGINE_VERSION, "start it: systemctl start docker")
    told = output(["docker", "compose", "version", "--short"])
    yield _version("docker compose", told, COMPOSE_VERSION, "install the Compose plugin")


def _version(name: str, told: str | None, least: tuple[int, int], absent: str) -> Checkup:
    found = re.match(r"v?(\d+)\.(\d+)", (told or "").strip())
    if found is None:
        return Checkup(name, ok=False, message="does not answer", remedy=absent)
    wanted = ".".join(str(each) for each in least)
    if (int(found[1]), int(found[2])) < least:
        message = f"{(told or '').strip()} is too old"
        return Checkup(name, ok=False, message=message, remedy=f"{wanted} or newer is needed")
    return Checkup(name, ok=True, message=(told or "").strip())


def memory(known: Mapping[str, int], needed: int, what: str) -> Checkup:
    """Return whether so many bytes can be had: too little available is told, too little altogether fails."""
    total, available = known.get("MemTotal"), known.get("MemAvailable")
    if total is None or available is None:
        return Checkup("memory", ok=True, message="cannot be read here")
    told = f"{available // MB:,} MB of {total // MB:,} MB are available; {needed // MB:,} MB is what {what}"
    if total < needed:
        return Checkup("memory", ok=False, message=told, remedy="a larger machine, or --size lite")
    remedy = None if available >= needed else "end something else, or take --size lite"
    return Checkup("memory", ok=True, message=told, remedy=remedy)


def disk(folder: Path, needed: int, what: str) -> Checkup:
    """Return whether the folder's disk has so many bytes free."""
    there = next(each for each in (folder, *folder.parents) if each.is_dir())
    if not os.access(there, os.W_OK):
        return Checkup("disk", ok=False, message=f"{there}: cannot be written", remedy="--state DIR, elsewhere")
    free = shutil.disk_usage(there).free
    told = f"{free // MB:,} MB free at {there}; {needed // MB:,} MB is for {what}"
    if free >= needed:
        return Checkup("disk", ok=True, message=told)
    return Checkup("disk", ok=False, message=told, remedy="free some disk, or choose another place with --state DIR")


def listeners(wanted: Mapping[str, int], ours: frozenset[int]) -> Checkup:
    """Return whether each port is free, or held by the appliance that runs already."""
    taken = {name: port for name, port in wanted.items() if port not in ours and not ports.free(port)}
    if not taken:
        held = len(ours & set(wanted.values()))
        free = f"{len(wanted) - held} are free" if held < len(wanted) else ""
        own = f"{held} are this appliance's own" if held else ""
        return Checkup("ports", ok=True, message=", ".join(each for each in (own, free) if each))
    told = ", ".join(f"{port} ({name}){ports.holder(port)}" for name, port in taken.items())
    remedy = "stop that, or move all ports with --port-offset N"
    return Checkup("ports", ok=False, message=f"in use: {told}", remedy=remedy)


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


def limits(stack: Mapping[str, Any]) -> int:
    """Return the sum in bytes of what the containers that go on running may take."""
    total = 0
    for service in stack.get("services", {}).values():
        if service.get("restart") == "no" or not isinstance(service.get("mem_limit"), str):
            continue
        text = service["mem_limit"].lower()
        total += int(text[:-1]) * _UNITS[text[-1]] if text[-1] in _UNITS else int(text)
    return total


def published(stack: Mapping[str, Any]) -> dict[str, int]:
    """Return the host's ports that the services want, `service/PORT` by name."""
    found = {}
    for name, service in stack.get("services", {}).items():
        for each in service.get("ports") or ():
            if matched := _PUBLISHED.match(str(each)):
                found[f"{name}/{matched[1]}"] = int(matched[1])
    return found


def _stack(layout: Layout) -> dict[str, Any]:
    try:
        text = (layout.home / compose.FILE).read_text(encoding="utf-8")
    except OSError:
        return {}
    stack: dict[str, Any] = yaml.safe_load(text)
    return stack


def _ours_in_compose(layout: Layout) -> frozenset[int]:
    try:
        told = compose.status(layout)
    except Exception:  # noqa: BLE001 - no engine, no stack, or one that does not answer: it holds no port of ours
        return frozenset()
    addresses = (str(each["address"]).rpartition(":")[2] for each in told["components"])
    return frozenset(published(_stack(layout)).values()) if any(addresses) else frozenset()


def _running_ports(layout: Layout) -> frozenset[int]:
    try:
        offset = int(lock.status(layout)["port_offset"])
    except NotRunningError:
        return frozenset()
    return frozenset(port + offset for port in PORTS.values())


def _forecast(layout: Layout) -> Iterator[Checkup]:
    """Yield the disk's forecast while Prometheus runs and answers; nothing else."""
    try:
        offset = int(lock.status(layout)["port_offset"])
        retention = yaml.safe_load((layout.rendered / "topmast.yml").read_text(encoding="utf-8"))["retention"]
        there = Layout(layout.home, layout.state, offset)
        url = there.url("prometheus")

        def ask(expression: str) -> float | None:
            found = stage.query(url, expression)
            return float(found[0]["value"][1]) if found else None

        yield forecast.checkup(forecast.forecast(there, retention, ask))
    except (NotRunningError, OSError):
        return
    except TopmastError as error:
        yield Checkup("disk forecast", ok=True, message=f"cannot be told: {error}")


def _output(argv: Sequence[str]) -> str | None:
    try:
        done = subprocess.run(list(argv), capture_output=True, text=True, check=False, timeout=20)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout if done.returncode == 0 else None


def _meminfo() -> dict[str, int]:
    """Return /proc/meminfo in bytes; empty where there is none."""
    found = {}
    with contextlib.suppress(OSError):
        for line in Path("/proc/meminfo").read_text().splitlines():
            name, _, rest = line.partition(":")
            if rest.split()[1:] == ["kB"]:
                found[name] = int(rest.split()[0]) * 1024
    return found


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
