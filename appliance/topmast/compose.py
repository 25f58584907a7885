"""Compose mode: the same stack in containers. Thin: Docker Compose does the work."""

import contextlib
import ipaddress
import json
import os
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from topmast import composition, config, outside
from topmast.errors import NotRunningError, PrerequisiteError, StateError
from topmast.layout import LOOPBACK, PORTS, Layout
from topmast.setup import given
from topmast.size import size

FILE = "docker-compose.monitoring.yml"
INSIDE = "/var/lib/topmast"
"""The page's state folder in its container: the inbox, and the shipper's store mounted into it."""
LITE_FILE, DEMO_FILE = composition.LITE_FILE, composition.DEMO_FILE
PUBLIC_FILE = "docker-compose.public.yml"
# What the lite file leaves out, and who asks pages from outside; a profile that is off hides its containers.
_ELK = ("elasticsearch", "elasticsearch-setup", "logstash", "kibana", "kibana-setup")
_BLACKBOX = "blackbox-exporter"
_PROFILES = ("--profile", "elk", "--profile", outside.WORD)
# Our images have Python and no shell to rely on.
READ_TOKEN = "print(open('/run/topmast/ingest-token').read())"  # noqa: S105 - a program, not a password
# The ports that the command line asks (docker-compose.monitoring.yml).
PUBLISHED = {**{name: PORTS[name] for name in ("prometheus", "alertmanager", "ingest")}, "page": 3002}
# Run once to their end; whatever else ends was stopped, also when it said 0.
ONE_SHOTS = frozenset({"secrets", "elasticsearch-setup", "kibana-setup", "kibana-set-up", "archive", "cost"})


def mode(layout: Layout, chosen: str | None) -> str:
    """Return the mode: as chosen (and from then on remembered), as remembered, else embedded."""
    remembered = layout.state / "mode"
    if chosen is not None:
        layout.state.mkdir(parents=True, exist_ok=True)
        remembered.write_text(chosen + "\n")
        return chosen
    try:
        return remembered.read_text().strip() if remembered.is_file() else "embedded"
    except PermissionError as error:
        whose = "run this as the user who started topmast, or name a folder of your own (--state)"
        raise StateError(f"{layout.state}: no permission to read it; {whose}") from error


def demo(layout: Layout, chosen: bool | None = None) -> bool:
    """Return whether the demo belongs to it: as chosen (and from then on remembered), else as remembered."""
    remembered = layout.state / "compose-demo"
    if chosen:
        layout.state.mkdir(parents=True, exist_ok=True)
        remembered.touch()
    elif chosen is False:
        remembered.unlink(missing_ok=True)
    return remembered.is_file()


def public(layout: Layout) -> bool:
    """Return whether BIND_ADDR is an address that others reach."""
    try:
        return not ipaddress.ip_address(_bind(layout)).is_loopback
    except ValueError:
        return False  # told by the preflight, as no address


def url(layout: Layout, component: str) -> str:
    """Return where a component is published on this machine; behind the gateway it is still on loopback."""
    at = LOOPBACK if public(layout) else _bind(layout)
    return f"http://{at}:{PUBLISHED[component]}"


def _bind(layout: Layout) -> str:
    """Return BIND_ADDR, of the environment or else of .env."""
    bind = os.environ.get("BIND_ADDR")
    if bind is None:
        with contextlib.suppress(OSError):
            found = re.findall(
                r"^(?:export )?BIND_ADDR\s*[=:]\s*['\"]?([^\s'\"#]*)", (layout.home / ".env").read_text(), re.M
            )
            bind = found[-1] if found else None
    return bind or LOOPBACK


def engine_answers() -> bool:
    """Return whether a Docker engine listens on its socket."""
    named = os.environ.get("DOCKER_HOST", "unix:///var/run/docker.sock")
    if not named.startswith("unix://"):
        return True  # a remote engine that the user pointed to
    with socket.socket(socket.AF_UNIX) as plug:
        plug.settimeout(1)
        try:
            plug.connect(named.removeprefix("unix://"))
        except OSError:
            return False
    return True


def data_root() -> Path:
    """Return the engine's own folder, which holds the volumes. Raises PrerequisiteError."""
    done = subprocess.run(
        ["docker", "info", "--format", "{{.DockerRootDir}}"], capture_output=True, text=True, check=False, timeout=30
    )
    if done.returncode != 0 or not done.stdout.strip():
        raise PrerequisiteError(f"docker info: {done.stderr.strip()[:200]}")
    return Path(done.stdout.strip())


def hint(layout: Layout) -> str:
    """Return one line for who could use compose mode, or nothing."""
    if (layout.home / FILE).is_file() and shutil.which("docker") and engine_answers():
        return (
            "A Docker engine answers here: `topmast up --mode compose` runs the full stack with Grafana and Kibana."
        )
    return ""


def command(layout: Layout) -> list[str]:
    """Return `docker compose -f FILE …`, the files of the size and of the demo.

    Raises PrerequisiteError without Docker, Compose or a running engine.
    """
    file = layout.home / FILE
    if not file.is_file():
        raise PrerequisiteError(f"{file}: not there; compose mode needs a clone of the repository")
    if shutil.which("docker") is None:
        raise PrerequisiteError("docker: not on PATH; install Docker, or `topmast up --mode embedded`")
    found = subprocess.run(["docker", "compose", "version"], capture_output=True, check=False, timeout=30)
    if found.returncode != 0:
        raise PrerequisiteError("docker compose: not installed (version 2.20 or newer is needed)")
    if not engine_answers():
        raise PrerequisiteError("docker: the engine does not answer; start it, or `topmast up --mode embedded`")
    files = [file, *([file.with_name(LITE_FILE)] if size(layout) == "lite" else [])]
    files += [file.with_name(DEMO_FILE)] if demo(layout) else []
    files += [file.with_name(PUBLIC_FILE)] if public(layout) else []
    return ["docker", "compose", "--project-directory", str(file.parent), *(w for f in files for w in ("-f", str(f)))]


def told(layout: Layout) -> dict[str, str]:
    """Return what the files are told through the environment."""
    return {"TOPMAST_SIZE": size(layout)}


def up(layout: Layout, path: Path | None, *, detach: bool) -> None:
    """Start the stack; with a topmast.yml, from configuration rendered for it. Raises PrerequisiteError."""
    argv = command(layout)
    environment = told(layout)
    if path:
        rendered = composition.render(layout, path)
        composition.refuse(rendered, path, size(layout), with_the_demo=demo(layout))
        environment["TOPMAST_RENDERED"] = str(rendered)
    asks = bool(path and config.read(path).get("targets", {}).get(outside.JOB))
    _leave_out(layout, argv, environment, asks=asks)
    if asks:
        argv += ["--profile", outside.WORD]
    # What the last start had and this one has not, the demo for one.
    argv += ["up", "--remove-orphans", *(["--detach", "--wait"] if detach else [])]
    if detach:
        _run(argv, layout.home, environment)
        return
    # In the foreground Compose takes this process's place: Ctrl-C is its to hear, and it stops what it started.
    sys.stdout.flush()
    os.chdir(layout.home)
    os.execvpe(argv[0], argv, {**os.environ, **environment})  # noqa: S606 - no shell wanted


def _leave_out(layout: Layout, argv: Sequence[str], environment: Mapping[str, str], *, asks: bool) -> None:
    """Remove the containers of the last start that this one leaves out by a profile.

    They are no orphans to Compose, which would let them run on: Elasticsearch beside the stack for 4 GB.
    """
    gone = [*(_ELK if size(layout) == "lite" else ()), *(() if asks else (_BLACKBOX,))]
    if gone:
        subprocess.run(
            [*argv, *_PROFILES, "rm", "--stop", "--force", *gone],
            cwd=layout.home, env={**os.environ, **environment}, capture_output=True, check=False, timeout=300,
        )  # fmt: skip


def down(layout: Layout, *, purge: bool) -> None:
    """Stop and remove every container, also those of a profile that is off by now."""
    _run([*command(layout), *_PROFILES, "down", *(["--volumes"] if purge else [])], layout.home, {})


def status(layout: Layout) -> dict[str, Any]:
    """Return the same shape as embedded mode's status. Raises NotRunningError when no container is there."""
    done = subprocess.run(
        [*command(layout), "ps", "--all", "--format", "json"], capture_output=True, text=True, check=False, timeout=60
    )
    if done.returncode != 0:
        raise PrerequisiteError(f"docker compose ps: {done.stderr.strip()[:300]}")
    components = parse_ps(done.stdout)
    if not components:
        raise NotRunningError("compose mode: nothing is running; `topmast up` starts it")
    wanted = subprocess.run(
        [*command(layout), "config", "--services"], capture_output=True, text=True, check=False, timeout=60
    )
    components = with_missing(components, wanted.stdout.split())
    ready = all(one["state"] in ("ready", "done") for one in components)
    return {
        "mode": "compose",
        "demo": demo(layout),
        "port_offset": 0,
        "ready": ready,
        "state": str(layout.state),
        "components": components,
    }


def inside(layout: Layout, service: str, arguments: Sequence[str]) -> int:
    """Run our command line in a container, its output here; return its exit code. Raises PrerequisiteError.

    What it reads lies in a volume that only containers mount.
    """
    terminal = [] if sys.stdout.isatty() else ["-T"]
    argv = [*command(layout), "exec", *terminal, service, "python", "-m", "topmast", "--state", INSIDE, *arguments]
    return subprocess.run(argv, cwd=layout.home, check=False).returncode


def ingest_token(layout: Layout) -> str:
    """Return the token of the ingest, asked of the exporter's container. Raises TopmastError."""
    argv = [*command(layout), "exec", "-T", "exporter", "python", "-c", READ_TOKEN]
    done = subprocess.run(argv, cwd=layout.home, capture_output=True, text=True, check=False, timeout=30)
    if done.returncode != 0:
        raise NotRunningError(f"the ingest's token cannot be read: {done.stderr.strip()[:200]}")
    return done.stdout.strip()


def beside_the_ledger(layout: Layout, arguments: Sequence[str], path: Path | None, files: Sequence[Path]) -> int:
    """Run our command line in a container that mounts the ledger, as the exporter does; return its exit code.

    Of the arguments, those that name one of `files` are read there. Raises PrerequisiteError, ConfigError.
    """
    payload, there = given.pack(files)
    argv = [*command(layout), "--progress", "quiet", "run", "--rm", "-T", "--no-deps"]
    argv += ["-e", f"COLUMNS={shutil.get_terminal_size().columns}", "cost", "python", "-m", "topmast.setup.given"]
    argv += [there.get(Path(word), word) for word in arguments]
    environment = told(layout)
    if path and (rendered := composition.folder(layout)).is_dir():
        environment["TOPMAST_RENDERED"] = str(rendered)
    return subprocess.run(
        argv, cwd=layout.home, check=False, input=payload, env={**os.environ, **environment}
    ).returncode


def parse_ps(text: str) -> list[dict[str, Any]]:
    """Return the components that `docker compose ps --format json` tells: one JSON object a line.

    A one-shot that ended well is `done`; what has a health check is ready when it is healthy.
    """
    components = []
    for line in text.splitlines():
        told = json.loads(line)
        health, running = told.get("Health", ""), told["State"] == "running"
        once = told["Service"] in ONE_SHOTS
        ended_well = once and told["State"] == "exited" and told.get("ExitCode") == 0
        state = "done" if ended_well else told["State"]
        if running:
            state = {"": "ready", "healthy": "ready", "starting": "starting"}.get(health, "failing")
        published = [port for port in told.get("Publishers") or [] if port.get("PublishedPort")]
        components.append(
            {
                "name": told["Service"],
                "state": state,
                "pid": None,
                "address": f"{published[0]['URL']}:{published[0]['PublishedPort']}" if published else "",
                "version": told.get("Image", "").rpartition(":")[2],
                "restarts": 0,
                "exit": "" if running or ended_well else f"exited with {told.get('ExitCode')}",
            }
        )
    return sorted(components, key=lambda one: str(one["name"]))


def with_missing(components: list[dict[str, Any]], services: Sequence[str]) -> list[dict[str, Any]]:
    """Return the components with those of the services that have no container. A one-shot's may be cleaned away."""
    absent = set(services) - {each["name"] for each in components} - ONE_SHOTS
    nothing = {"pid": None, "address": "", "version": "", "restarts": 0, "exit": "it has no container"}
    gone = [{"name": name, "state": "absent", **nothing} for name in absent]
    return sorted([*components, *gone], key=lambda one: str(one["name"]))


def _run(argv: list[str], cwd: Path, environment: Mapping[str, str]) -> None:
    done = subprocess.run(argv, cwd=cwd, env={**os.environ, **environment}, check=False)
    if done.returncode != 0:
        raise PrerequisiteError(f"docker compose {argv[-1]} failed with {done.returncode}; its message is above")
