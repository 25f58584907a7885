"""Can the containers start here? Asked before anything does: Docker, the files and their .env, the address that ports
are published on, memory, disk, ports, and volumes of which a part was deleted.
"""

import json
import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from topmast import compose, machine, ports
from topmast.checkup import Checkup
from topmast.errors import ConfigError, PrerequisiteError, TopmastError
from topmast.layout import LOOPBACK, Layout

# `depends_on: restart` and `!override` of the compose files (APPLIANCE.md 3.1, 6).
COMPOSE_VERSION, ENGINE_VERSION = (2, 20), (20, 10)
DISK_BYTES = 10_000 * machine.MB
ANOTHER_ADDRESS = "stop that, or publish on another loopback address: BIND_ADDR=127.0.0.2 in .env"
# Volumes whose data only the passwords in `secrets` open.
LOCKED = ("elasticsearch", "grafana")
# What .env may set, by the flag that it becomes, and what Prometheus and the set-up take.
_FLAGS = {"METRICS_RETENTION": "--storage.tsdb.retention.time=", "METRICS_SIZE": "--storage.tsdb.retention.size="}
_SHAPES = {
    "METRICS_RETENTION": (r"([0-9]+(y|w|d|h|m|s|ms))+", "a time such as 30d"),
    "METRICS_SIZE": (r"[0-9]+(B|KB|MB|GB|TB|PB|EB)", "a size such as 5GB"),
    "LOGS_DAYS": (r"[1-9][0-9]{0,4}", "a number of days"),
}
_UNITS = {"k": 1024, "m": 1024**2, "g": 1024**3}

Output = Callable[[Sequence[str]], "str | None"]


def refuse(layout: Layout) -> None:
    """Raise PrerequisiteError for the first thing that would keep the containers from starting, with its remedy."""
    for found in examine(layout):
        if not found.ok:
            raise PrerequisiteError(f"{found.name}: {found.message}" + (f"; {found.remedy}" if found.remedy else ""))


def examine(layout: Layout) -> Iterator[Checkup]:
    """Yield what was looked at. Nothing is started and nothing is changed."""
    missing = False
    for found in docker(output):
        missing = missing or not found.ok
        yield found
    if missing:
        return
    stack, found = files(layout)
    yield found
    if not found.ok:
        return
    yield values(stack)
    yield mounted(stack)
    yield address(stack)
    yield machine.memory(machine.meminfo(), limits(stack), "the containers may take")
    yield machine.disk(_engine_folder(layout), DISK_BYTES, "images and a week of data")
    yield listeners(published(stack), _ours(layout))
    yield volumes(str(stack.get("name", "")), _volume_names())


def docker(told_by: Output) -> Iterator[Checkup]:
    """Yield the engine and Compose. `told_by` runs a program and returns what it prints, None when it fails."""
    engine = told_by(["docker", "version", "--format", "{{.Server.Version}}"])
    if shutil.which("docker") is None and engine is None:
        yield Checkup(
            "docker engine",
            ok=False,
            message="no docker on PATH",
            remedy="install Docker, or `topmast up --mode embedded`",
        )
        return
    yield _version("docker engine", engine, ENGINE_VERSION, "start it: systemctl start docker")
    told = told_by(["docker", "compose", "version", "--short"])
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


def files(layout: Layout) -> tuple[dict[str, Any], Checkup]:
    """Return what Compose makes of the chosen files and of .env, and whether it can read them."""
    name = "compose files"
    try:
        argv = compose.command(layout)
        done = subprocess.run(
            [*argv, "config", "--format", "json"],
            capture_output=True, text=True, check=False, timeout=60, cwd=layout.home,
            env={**os.environ, **compose.told(layout)},
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired, TopmastError) as error:
        return {}, Checkup(name, ok=False, message=str(error)[:300])
    if done.returncode != 0:
        said = done.stderr.strip().splitlines() or ["no message"]
        remedy = f"mend {layout.home / '.env'}" if ".env" in said[-1] else "what is set in .env and the environment?"
        return {}, Checkup(name, ok=False, message=said[-1][:300], remedy=remedy)
    stack: dict[str, Any] = json.loads(done.stdout)
    return stack, Checkup(name, ok=True, message=" ".join(Path(word).name for word in argv if word.endswith(".yml")))


def values(stack: Mapping[str, Any]) -> Checkup:
    """Return whether what .env sets is what its readers take: they would end over it, and be started again."""
    services = stack.get("services", {})
    words = services.get("prometheus", {}).get("command") or []
    told = {name: word.partition("=")[2] for name, flag in _FLAGS.items() for word in words if word.startswith(flag)}
    told |= {"LOGS_DAYS": services.get("elasticsearch-setup", {}).get("environment", {}).get("LOGS_DAYS", "")}
    for name, value in told.items():
        if value and not re.fullmatch(_SHAPES[name][0], str(value)):
            message = f"{name}={str(value)[:40]}: not {_SHAPES[name][1]}"
            return Checkup("settings", ok=False, message=message, remedy="mend it in .env, or leave it away")
    return Checkup("settings", ok=True, message=", ".join(f"{name}={value}" for name, value in told.items() if value))


def mounted(stack: Mapping[str, Any]) -> Checkup:
    """Return whether what is mounted from the host is there: Docker would make a folder in its place."""
    for name, service in stack.get("services", {}).items():
        for each in service.get("volumes") or ():
            if each.get("type") == "bind" and not Path(each["source"]).exists():
                return Checkup(
                    "mounts",
                    ok=False,
                    message=f"{each['source']} is not there, and {name} reads it",
                    remedy="name a path that is (TLS_CERTIFICATE, TLS_KEY, TOPMAST_RENDERED), or mend the clone",
                )
    return Checkup("mounts", ok=True, message="all there")


def address(stack: Mapping[str, Any]) -> Checkup:
    """Return whether ports may be published on the address that the set-up service is told, and as it does."""
    from topmast.setup.gateway import alternative_names
    from topmast.setup.secrets import refuse_public

    name = "published on"
    told = stack.get("services", {}).get("secrets", {}).get("environment") or {}
    bind = str(told.get("BIND_ADDR", LOOPBACK))
    try:
        refuse_public(bind, gateway=bool(told.get("BEHIND_GATEWAY")))
        alternative_names(bind, str(told.get("PUBLIC_NAME") or ""))
        if not ports.of_this_machine(bind):
            raise ConfigError(f"BIND_ADDR={bind}: no address of this machine; name one that `ip address` shows")
    except TopmastError as error:
        message, _, remedy = str(error).partition("; ")
        return Checkup(name, ok=False, message=message, remedy=remedy or "BIND_ADDR=127.0.0.1 in .env")
    return Checkup(name, ok=True, message=bind)


def limits(stack: Mapping[str, Any]) -> int:
    """Return the sum in bytes of what the containers that go on running may take."""
    total = 0
    for service in stack.get("services", {}).values():
        if service.get("restart") == "no" or not service.get("mem_limit"):
            continue
        text = str(service["mem_limit"]).lower()
        total += int(text[:-1]) * _UNITS[text[-1]] if text[-1] in _UNITS else int(text)
    return total


def published(stack: Mapping[str, Any]) -> dict[str, tuple[str, int]]:
    """Return the host's addresses that the services want, `service/PORT` by name."""
    found = {}
    for name, service in stack.get("services", {}).items():
        for each in service.get("ports") or ():
            at = str(each.get("host_ip", "0.0.0.0"))  # noqa: S104 - what Docker does, asked about
            found[f"{name}/{each['published']}"] = (at, int(each["published"]))
    return found


def listeners(wanted: Mapping[str, tuple[str, int]], ours: frozenset[int], remedy: str = ANOTHER_ADDRESS) -> Checkup:
    """Return whether each address is free, or held by the appliance that runs already."""
    taken = {name: port for name, (at, port) in wanted.items() if port not in ours and not ports.free(port, at)}
    if taken:
        told = ", ".join(f"{port} ({name}){ports.holder(port)}" for name, port in taken.items())
        return Checkup("ports", ok=False, message=f"in use: {told}", remedy=remedy)
    held = len(ours & {port for _, port in wanted.values()})
    own = [f"{held} are this appliance's own"] if held else []
    free = [f"{len(wanted) - held} are free"] if held < len(wanted) else []
    return Checkup("ports", ok=True, message=", ".join([*own, *free]))


def volumes(project: str, there: frozenset[str]) -> Checkup:
    """Return whether the volumes that are there belong together: data without their secrets cannot be opened."""
    name = "volumes"
    left = [each for each in LOCKED if f"{project}_{each}" in there]
    if left and f"{project}_secrets" not in there:
        kept = " and ".join(f"{project}_{each}" for each in left)
        return Checkup(
            name,
            ok=False,
            message=f"{kept} hold data, but the volume {project}_secrets with their passwords is gone",
            remedy=f"topmast restore FILE, or give the data up: docker volume rm "
            f"{' '.join(f'{project}_{each}' for each in left)}",
        )
    return Checkup(name, ok=True, message="whole" if f"{project}_secrets" in there else "made at the first start")


def output(argv: Sequence[str]) -> str | None:
    """Return what a program prints, None when it fails."""
    try:
        done = subprocess.run(list(argv), capture_output=True, text=True, check=False, timeout=20)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout if done.returncode == 0 else None


def _volume_names() -> frozenset[str]:
    return frozenset((output(["docker", "volume", "ls", "--quiet"]) or "").split())


def _engine_folder(layout: Layout) -> Path:
    """Return where the engine keeps images and volumes; the state folder where that is another machine's."""
    told = (output(["docker", "info", "--format", "{{.DockerRootDir}}"]) or "").strip()
    return Path(told) if told and Path(told).is_dir() else layout.state


def _ours(layout: Layout) -> frozenset[int]:
    """Return the ports that the running stack's containers have published."""
    told = output([*compose.command(layout), "ps", "--format", "json"]) or ""
    lines = (json.loads(line) for line in told.splitlines() if line.startswith("{"))
    return frozenset(int(each["PublishedPort"]) for one in lines for each in one.get("Publishers") or ())
