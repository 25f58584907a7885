"""The compose files on a real engine: images made here without pulling one, and the stack in a project of its own."""

import contextlib
import json
import shutil
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import docker_engine
import pytest
from docker_engine import Engine, NoEngineError
from topmast import debian
from topmast.errors import PrerequisiteError

ROOT = Path(__file__).resolve().parents[2]
STAND_INS = ROOT / "tests/docker/stand_ins"
BASE = "topmast-test/base"
# An address that only this machine has, and that no appliance listens on: the ports stay those of the files.
BIND_ADDR = "127.0.0.77"


@dataclass(frozen=True)
class Project:
    """One `docker compose` project."""

    engine: Engine
    files: tuple[str, ...] = ("docker-compose.monitoring.yml",)

    def compose(self, *arguments: str, seconds: float = 300, check: bool = True, **environment: str) -> str:
        """Run Docker Compose; return what it printed, its messages at the end."""
        argv = [str(Path(sys.executable).with_name("docker-compose")), "--project-name", "topmast-test"]
        for file in (*(ROOT / name for name in self.files), STAND_INS / "compose.yml"):
            argv += ["-f", str(file)]
        told = {**self.engine.environment, "BIND_ADDR": BIND_ADDR, **environment}
        done = docker_engine.call([*argv, "--progress", "plain", *arguments], told, seconds, check)
        return done.stdout + done.stderr

    def services(self) -> dict[str, dict[str, Any]]:
        """Return what `docker compose ps --all` tells of each service."""
        lines = [
            line for line in self.compose("ps", "--all", "--format", "json").splitlines() if line.startswith("{")
        ]
        return {each["Service"]: each for each in map(json.loads, lines)}

    def inspect(self, service: str) -> dict[str, Any]:
        name = f"topmast-test-{service}-1"
        told: list[dict[str, Any]] = json.loads(self.engine.run("inspect", name).stdout)
        return told[0]

    def shell(self, service: str, script: str) -> str:
        """Run a script in a service's container; return what it printed."""
        return self.compose("exec", "-T", service, "sh", "-c", script, check=False)


@pytest.fixture(scope="session")
def engine() -> Iterator[Engine]:
    # A folder with a short name: a socket's path has at most 107 bytes.
    folder = Path(tempfile.mkdtemp(prefix="docker-"))
    with contextlib.ExitStack() as stack:
        try:
            yield stack.enter_context(docker_engine.engine(folder))
        except (NoEngineError, PrerequisiteError) as error:
            pytest.skip(str(error))
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def images(engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Engine:
    """The engine with every image that the stack names, under names that nobody else uses."""
    folder = tmp_path_factory.mktemp("images")
    make_base(engine, folder)
    base = ["--build-arg", f"BASE={BASE}"]
    packages = debian.unpack(
        ["prometheus", "prometheus-alertmanager", "prometheus-node-exporter"], folder / "engines", lambda _: None
    )
    build = ["build", "-q", *base]
    engine.run(*build, "-t", "topmast-test/engines", "-f", STAND_INS / "engines.Dockerfile", packages)
    engine.run(*build, "-t", "topmast-test/stand-in", "-f", STAND_INS / "Dockerfile", ROOT / "tests")
    for name in ("exporter", "shipper", "appliance"):
        engine.run(*build, "-t", f"topmast-test/{name}", "-f", ROOT / name / "Dockerfile", ROOT, seconds=900)
    return engine


def make_base(engine: Engine, folder: Path) -> None:
    """Make a small Debian with Python from its packages: what `python:3.11-slim` is to a user's build."""
    root = folder / "base"
    closure = [
        "base-files",
        "base-passwd",
        "bash",
        "coreutils",
        "curl",
        "dash",
        "grep",
        "openssl",
        "python3-venv",
        "sed",
    ]
    docker_engine.unpack_closure([*closure, "wget"], root)
    for name in ("etc", "tmp", "root"):
        (root / name).mkdir(exist_ok=True)
    (root / "etc/passwd").write_text("root:x:0:0:root:/root:/bin/sh\n")
    (root / "etc/group").write_text("root:x:0:\n")
    # The bundle that the machine trusts: a company's proxy is in it.
    bundle = root / "etc/ssl/certs/ca-certificates.crt"
    bundle.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy("/etc/ssl/certs/ca-certificates.crt", bundle)
    archive = folder / "base.tar"
    docker_engine.call(["tar", "-C", str(root), "-cf", str(archive), "."], {}, 120)
    engine.run("import", "-c", "ENV PIP_CERT=/etc/ssl/certs/ca-certificates.crt", archive, BASE)
    archive.unlink()


@pytest.fixture(scope="module")
def stack(images: Engine) -> Iterator[Project]:
    """The full stack, up and healthy."""
    project = Project(images)
    project.compose("down", "--volumes", "--timeout", "5")
    try:
        project.compose("up", "--detach", "--wait", "--wait-timeout", "240")
        yield project
    finally:
        project.compose("down", "--volumes", "--timeout", "5")
