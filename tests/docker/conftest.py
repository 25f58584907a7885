"""The compose files on a real engine: images made here without pulling one, and the stack in a project of its own."""

import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from topmast import dockerengine, rehearsal
from topmast.dockerengine import DockerEngine
from topmast.errors import PrerequisiteError
from topmast.rehearsal import BIND_ADDR, DEMO, FULL, LITE, PUBLIC, Project

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def engine() -> Iterator[DockerEngine]:
    # A folder with a short name: a socket's path has at most 107 bytes.
    folder = Path(tempfile.mkdtemp(prefix="docker-"))
    try:
        with dockerengine.engine(folder) as found:
            yield found
    except PrerequisiteError as error:
        pytest.skip(str(error))
    finally:
        _remove(folder)


def _remove(folder: Path) -> None:
    """Delete a tree of images' files: so many that Python's own way takes several times as long."""
    subprocess.run(["rm", "-rf", "--", str(folder)], check=True, timeout=300)


@pytest.fixture(scope="session")
def images(engine: DockerEngine, tmp_path_factory: pytest.TempPathFactory) -> DockerEngine:
    """The engine with every image that the stacks name."""
    every, folder = (*LITE, DEMO, PUBLIC), tmp_path_factory.mktemp("images")
    rehearsal.make_images(engine, folder, ROOT, lambda _: None, every)
    # The packages are in the images now.
    _remove(folder)
    return engine


# The engine's own bridge: an address of this machine that is not loopback, on every machine with an engine.
BRIDGE = "172.17.0.1"


@dataclass
class Stacks:
    """One stack runs at a time: asking for the one that runs costs nothing, asking for another ends it."""

    engine: DockerEngine
    running: Project | None = None

    def up(self, files: tuple[str, ...], address: str = BIND_ADDR, *services: str) -> Project:
        """Return the stack of these files, fresh or as the tests before left it, up and healthy.

        Of services that are named, only they and what they depend on.
        """
        wanted = Project(self.engine, ROOT, files, address=address)
        if self.running != wanted:
            self.down()
            self.running = wanted
            wanted.down()
            wanted.up(*services)
        return wanted

    def down(self) -> None:
        if self.running is not None:
            self.running.down()
            self.running = None


@pytest.fixture(scope="session")
def stacks(images: DockerEngine) -> Iterator[Stacks]:
    found = Stacks(images)
    try:
        yield found
    finally:
        found.down()


@pytest.fixture(scope="module")
def stack(stacks: Stacks) -> Project:
    """The full stack."""
    return stacks.up(FULL)


@pytest.fixture(scope="module")
def small(stacks: Stacks) -> Project:
    """The stack for 4 GB with the demo as its workload, behind its gateway on an address that is not loopback."""
    return stacks.up((*LITE, DEMO, PUBLIC), BRIDGE)


@pytest.fixture(scope="module")
def full(stacks: Stacks) -> Project:
    """Of the full stack with the demo behind the gateway, the way of a log line and who shows it: no metrics."""
    return stacks.up((*FULL, DEMO, PUBLIC), BRIDGE, "gateway", "kibana", "logstash", "shipper", "demo-load")
