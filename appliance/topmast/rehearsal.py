"""The compose files on an engine without a registry: images made here, the stack in a project of its own.

What the distribution has is the real software (Prometheus, Alertmanager, node_exporter), ours is built from its
Dockerfiles, and the rest are the labelled stand-ins of tests/docker/stand_ins/ (its README says which and what that
proves). Needs a clone.
"""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from topmast import compose, debian, dockerengine, running, verification
from topmast.checkup import Checkup
from topmast.dockerengine import DockerEngine
from topmast.errors import PrerequisiteError, TopmastError

FULL = ("docker-compose.monitoring.yml",)
LITE = (*FULL, "docker-compose.lite.yml")
DEMO, PUBLIC = "docker-compose.demo.yml", "docker-compose.public.yml"
# Every stack that a user can have of the files: each size, with and without the demo and the gateway.
STACKS = tuple(
    (*size, *demo, *public) for size in (FULL, LITE) for demo in ((), (DEMO,)) for public in ((), (PUBLIC,))
)
STAND_INS = Path("tests/docker/stand_ins")
PROJECT = "topmast-test"
BASE = f"{PROJECT}/base"
# An address that only this machine has, and that no appliance listens on: the ports stay those of the files.
BIND_ADDR = "127.0.0.77"
OURS = {name: f"{name}/Dockerfile" for name in ("appliance", "exporter", "shipper")}
# What is laid over an override, beside compose.yml.
IMAGES = {DEMO: "demo.yml", PUBLIC: "public.yml"}
STOOD_IN = frozenset({"grafana", "elasticsearch", "logstash", "kibana", "cadvisor"})

# PostgreSQL's compiler of queries, which the demo switches off, and what only its package's own scripts ask for.
_NOT_UNPACKED = ("libllvm", "libz3", "locales", "perl-modules")
# What nobody reads in a container.
_NOT_NEEDED = ("usr/share/doc", "usr/share/locale", "usr/share/man")
# One image's wait for the network is another's time on the processor.
_BUILDERS = 3

# What `python:3.11-slim` is to a user's build.
_BASE_PACKAGES = (
    *("base-files", "base-passwd", "bash", "coreutils", "curl", "dash", "grep", "openssl", "python3-venv"),
    *("sed", "tzdata", "wget"),
)


@dataclass(frozen=True)
class Project:
    """One `docker compose` project of the files of a clone, with the images made here."""

    engine: DockerEngine
    home: Path
    files: tuple[str, ...] = FULL
    rendered: Path | None = None
    """What the containers read instead of monitoring/."""
    address: str = BIND_ADDR

    def compose(self, *arguments: str, seconds: float = 300, check: bool = True) -> str:
        """Run Docker Compose; return what it printed, its messages at the end. Raises TopmastError."""
        done = self.run(arguments, seconds=seconds, check=check)
        return done.stdout + done.stderr

    def run(
        self, arguments: Sequence[str], text: str = "", *, seconds: float = 300, check: bool = False
    ) -> subprocess.CompletedProcess[str]:
        argv = [*self.argv, "--progress", "plain", *arguments]
        return dockerengine.call(argv, self.environment, seconds, check, text)

    @property
    def own_address(self) -> str:
        """Where the services themselves are published: behind the gateway they stay on loopback."""
        return "127.0.0.1" if PUBLIC in self.files else self.address

    @property
    def argv(self) -> list[str]:
        """`docker compose` with the project's name and files."""
        argv = [str(Path(sys.executable).with_name("docker-compose")), "--project-name", PROJECT]
        images = ["compose.yml", *(name for file, name in IMAGES.items() if file in self.files)]
        for file in (*self.files, *(str(STAND_INS / name) for name in images)):
            argv += ["-f", str(self.home / file)]
        return argv

    @property
    def environment(self) -> dict[str, str]:
        moved = {"TOPMAST_RENDERED": str(self.rendered)} if self.rendered else {}
        told = {"BIND_ADDR": self.address, "TOPMAST_SIZE": "lite" if LITE[-1] in self.files else "full"}
        return {**self.engine.environment, **told, **moved}

    def verify(self) -> list[Checkup]:
        """Return what `topmast verify` says of it."""
        told = self._told()
        components = [running.container(each) for each in told]
        return list(verification.verify(components, running.composed_place(self.argv, told, self.environment)))

    def components(self) -> list[Checkup]:
        """Return what `topmast verify` says of each container, and nothing more."""
        return [running.container(each) for each in self._told()]

    def _told(self) -> list[dict[str, Any]]:
        return compose.parse_ps(self.run(("ps", "--all", "--format", "json")).stdout)

    def up(self, *services: str) -> str:
        """Start it and wait until all is healthy. Raises TopmastError with the last words of what is not."""
        try:
            return self.compose("up", "--detach", "--wait", "--wait-timeout", "240", *services)
        except TopmastError as error:
            ill = [
                name
                for name, one in self.services().items()
                if one["Health"] != "healthy" and not (name in compose.ONE_SHOTS and one["ExitCode"] == 0)
            ]
            said = self.compose("logs", "--tail", "12", *ill, check=False) if ill else ""
            raise TopmastError(f"{error}\n{said}") from error

    def down(self, *, purge: bool = True) -> None:
        self.compose("down", "--timeout", "5", "--remove-orphans", *(["--volumes"] if purge else []))

    def services(self) -> dict[str, dict[str, Any]]:
        """Return what `docker compose ps --all` tells of each service."""
        lines = self.compose("ps", "--all", "--format", "json").splitlines()
        return {each["Service"]: each for each in (json.loads(line) for line in lines if line.startswith("{"))}

    def inspect(self, service: str) -> dict[str, Any]:
        told: list[dict[str, Any]] = json.loads(self.engine.run("inspect", f"{PROJECT}-{service}-1").stdout)
        return told[0]

    def shell(self, service: str, script: str) -> str:
        """Run a script in a service's container; return what it printed."""
        return self.compose("exec", "-T", service, "sh", "-c", script, check=False)


def configuration(
    home: Path, files: Sequence[str], *options: str, environment: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """Return what Compose makes of the files of a clone; no engine is asked. Raises TopmastError."""
    argv = [str(Path(sys.executable).with_name("docker-compose"))]
    argv += [word for file in files for word in ("-f", str(home / file))]
    told = dockerengine.call([*argv, *options, "config", "--format", "json"], dict(environment or {}), 60).stdout
    stack: dict[str, Any] = json.loads(told)
    return stack


def make_images(
    engine: DockerEngine, folder: Path, home: Path, say: Callable[[str], None], files: Sequence[str] = FULL
) -> None:
    """Make every image that the files name, each once, under names that nobody else uses. Raises TopmastError."""
    if not (home / STAND_INS).is_dir():
        raise PrerequisiteError(f"{home}: no {STAND_INS}; the compose files are proved from a clone")
    say("a base image from the distribution's packages")
    make_base(engine, folder)
    say("our own images from their Dockerfiles")
    # What each of ours begins with: made before they are built side by side, so that each finds it there.
    _build(engine, "runtime", home / OURS["exporter"], home, "--target", "runtime")
    made = {"appliance": _make_appliance, "exporter": _make_ours, "shipper": _make_ours, "engines": _make_engines}
    if DEMO in files:
        made |= {"demo": _make_demo, "servers": _make_servers}
    if PUBLIC in files:
        made |= {"gateway": _make_gateway}
    with ThreadPoolExecutor(_BUILDERS) as pool:
        for each in [pool.submit(make, engine, name, folder, home) for name, make in made.items()]:
            each.result()


def _make_ours(engine: DockerEngine, name: str, _folder: Path, home: Path) -> None:
    _build(engine, name, home / OURS[name], home)


def _make_appliance(engine: DockerEngine, name: str, folder: Path, home: Path) -> None:
    _make_ours(engine, name, folder, home)
    # A stand-in for Logstash takes Lumberjack as our own test server does: it is made on our image.
    _build(engine, "stand-in", home / STAND_INS / "Dockerfile", home / "tests", base=f"{PROJECT}/{name}")


def _make_engines(engine: DockerEngine, name: str, folder: Path, home: Path) -> None:
    names = ["prometheus", "prometheus-alertmanager", "prometheus-node-exporter"]
    packages = debian.unpack(names, folder / name, lambda _: None)
    _build(engine, name, home / STAND_INS / "engines.Dockerfile", packages)


def _make_demo(engine: DockerEngine, name: str, _folder: Path, home: Path) -> None:
    _build(engine, name, home / "examples" / "Dockerfile", home)


def _make_servers(engine: DockerEngine, name: str, folder: Path, home: Path) -> None:
    """Make Redis and PostgreSQL out of their packages."""
    unpack_closure(("redis-server", "postgresql-15"), folder / name)
    shutil.copy(home / STAND_INS / "postgres.sh", folder / name / "postgres.sh")
    _build(engine, name, home / STAND_INS / "servers.Dockerfile", folder / name)


def _make_gateway(engine: DockerEngine, name: str, folder: Path, home: Path) -> None:
    unpack_closure(("nginx-light",), folder / name)
    _build(engine, name, home / STAND_INS / "gateway.Dockerfile", folder / name)


def _build(engine: DockerEngine, name: str, file: Path, context: Path, *options: str, base: str = BASE) -> None:
    given = ("--build-arg", f"BASE={base}", "-t", f"{PROJECT}/{name}", *options)
    engine.run("build", "-q", *given, "-f", file, context, seconds=900)


def make_base(engine: DockerEngine, folder: Path) -> None:
    """Make a small Debian with Python from its packages."""
    root = folder / "base"
    unpack_closure(_BASE_PACKAGES, root)
    for name in ("etc", "tmp", "root"):
        (root / name).mkdir(exist_ok=True)
    (root / "etc/passwd").write_text("root:x:0:0:root:/root:/bin/sh\n")
    (root / "etc/group").write_text("root:x:0:\n")
    # The bundle that the machine trusts: a company's proxy is in it.
    bundle = root / "etc/ssl/certs/ca-certificates.crt"
    bundle.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy("/etc/ssl/certs/ca-certificates.crt", bundle)
    archive = folder / "base.tar"
    dockerengine.call(["tar", "-C", str(root), "-cf", str(archive), "."], {}, 120)
    engine.run("import", "-c", "ENV PIP_CERT=/etc/ssl/certs/ca-certificates.crt", archive, BASE)
    archive.unlink()


def unpack_closure(packages: Sequence[str], into: Path) -> None:
    """Unpack the packages and all that they depend on: the root of an image, or what one adds to it.

    The first in a folder is unpacked as if nothing was installed; for those after it the first is. Nothing is
    configured: what a package's own scripts would make is not there.
    """
    installed, lists, cache = into.parent / "installed", into.parent / "lists", into.parent / f"{into.name}.cache"
    options = [f"Dir::State::lists={lists}", f"Dir::Cache={cache}", f"Dir::State::status={installed}"]
    options += ["APT::Sandbox::User=", "Debug::NoLocking=true", "APT::Install-Recommends=false"]
    options += ["Acquire::Languages=none"]
    apt = ["apt-get", "-q", "-y", *(word for option in options for word in ("-o", option))]
    (cache / "archives/partial").mkdir(parents=True)
    first = not installed.exists()
    if first:
        installed.touch()
        (lists / "partial").mkdir(parents=True)
        dockerengine.call([*apt, "update"], {}, 300)
    dockerengine.call([*apt, "install", "--download-only", *packages], {}, 600)
    archives = [each for each in sorted(cache.glob("archives/*.deb")) if not each.name.startswith(_NOT_UNPACKED)]
    with ThreadPoolExecutor(_BUILDERS) as pool:
        list(pool.map(lambda each: dockerengine.call(["dpkg", "-x", str(each), str(into)], {}, 120), archives))
    if first:
        told = [dockerengine.call(["dpkg", "--field", str(each)], {}, 60).stdout for each in archives]
        installed.write_text("\n".join(f"{each.rstrip()}\nStatus: install ok installed\n" for each in told))
    shutil.rmtree(cache)
    # A Dockerfile copies both, and a package may have nothing for one.
    for name in ("lib", "usr"):
        (into / name).mkdir(exist_ok=True)
    for pattern in _NOT_NEEDED:
        for each in into.glob(pattern):
            shutil.rmtree(each)
