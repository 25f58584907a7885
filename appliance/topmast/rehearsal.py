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

# PostgreSQL's compiler of queries, which the demo switches off, and what nobody reads in a container.
_NOT_NEEDED = ("usr/lib/*/libLLVM*", "usr/lib/llvm*", "usr/share/doc", "usr/share/locale", "usr/share/man")

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


def make_images(engine: DockerEngine, folder: Path, home: Path, say: Callable[[str], None]) -> None:
    """Make every image that the stack names, under names that nobody else uses. Raises TopmastError."""
    if not (home / STAND_INS).is_dir():
        raise PrerequisiteError(f"{home}: no {STAND_INS}; the compose files are proved from a clone")
    say("a base image from the distribution's packages")
    make_base(engine, folder)
    packages = debian.unpack(
        ["prometheus", "prometheus-alertmanager", "prometheus-node-exporter"], folder / "engines", lambda _: None
    )
    stand_ins = home / STAND_INS
    _build(engine, "engines", stand_ins / "engines.Dockerfile", packages)
    say("our own images from their Dockerfiles")
    with ThreadPoolExecutor(2) as pool:
        ours = [pool.submit(_build, engine, name, home / file, home) for name, file in OURS.items()]
        for each in ours:
            each.result()
    # A stand-in for Logstash takes Lumberjack as our own test server does: it is made on our image.
    _build(engine, "stand-in", stand_ins / "Dockerfile", home / "tests", base=f"{PROJECT}/appliance")


def make_demo_images(engine: DockerEngine, folder: Path, home: Path, say: Callable[[str], None]) -> None:
    """Make what the demo adds: its own image, and Redis and PostgreSQL out of their packages. Raises TopmastError.

    After make_images, on whose base they are made.
    """
    say("the demo, with the distribution's Redis and PostgreSQL")
    servers, stand_ins = _unpack_servers(("redis-server", "postgresql-15"), folder / "servers"), home / STAND_INS
    shutil.copy(stand_ins / "postgres.sh", servers / "postgres.sh")
    _build(engine, "servers", stand_ins / "servers.Dockerfile", servers)
    _build(engine, "demo", home / "examples" / "Dockerfile", home)


def make_gateway_image(engine: DockerEngine, folder: Path, home: Path, say: Callable[[str], None]) -> None:
    """Make the image of the gateway with the distribution's nginx. Raises TopmastError. After make_images."""
    say("the gateway, with the distribution's nginx")
    servers = _unpack_servers(("nginx-light",), folder / "nginx")
    _build(engine, "gateway", home / STAND_INS / "gateway.Dockerfile", servers)


def _unpack_servers(packages: Sequence[str], into: Path) -> Path:
    unpack_closure(packages, into)
    for pattern in _NOT_NEEDED:
        for each in into.glob(pattern):
            shutil.rmtree(each) if each.is_dir() else each.unlink()
    return into


def _build(engine: DockerEngine, name: str, file: Path, context: Path, base: str = BASE) -> None:
    engine.run(
        *("build", "-q", "--build-arg", f"BASE={base}", "-t", f"{PROJECT}/{name}", "-f", file, context), seconds=900
    )


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
    """Unpack the packages and all that they depend on, as if nothing was installed: the root of an image.

    Nothing is configured: what a package's own scripts would make is not there.
    """
    work = into.parent / f"{into.name}.apt"
    for name in ("lists/partial", "cache/archives/partial"):
        (work / name).mkdir(parents=True)
    (work / "status").touch()
    options = [f"Dir::State::lists={work / 'lists'}", f"Dir::Cache={work / 'cache'}"]
    options += [f"Dir::State::status={work / 'status'}", "APT::Sandbox::User=", "Debug::NoLocking=true"]
    options += ["APT::Install-Recommends=false", "Acquire::Languages=none"]
    apt = ["apt-get", "-q", "-y", *(word for option in options for word in ("-o", option))]
    dockerengine.call([*apt, "update"], {}, 300)
    dockerengine.call([*apt, "install", "--download-only", *packages], {}, 600)
    for archive in sorted((work / "cache/archives").glob("*.deb")):
        dockerengine.call(["dpkg", "-x", str(archive), str(into)], {}, 60)
    shutil.rmtree(work)
