"""The compose files on a real engine: images made here without pulling one, and the stack in a project of its own."""

import contextlib
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from topmast import dockerengine, rehearsal
from topmast.dockerengine import DockerEngine
from topmast.errors import PrerequisiteError
from topmast.rehearsal import DEMO, LITE, PUBLIC, Project

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def engine() -> Iterator[DockerEngine]:
    # A folder with a short name: a socket's path has at most 107 bytes.
    folder = Path(tempfile.mkdtemp(prefix="docker-"))
    with contextlib.ExitStack() as stack:
        try:
            yield stack.enter_context(dockerengine.engine(folder))
        except PrerequisiteError as error:
            pytest.skip(str(error))
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def images(engine: DockerEngine, tmp_path_factory: pytest.TempPathFactory) -> DockerEngine:
    """The engine with every image that the stack names."""
    rehearsal.make_images(engine, tmp_path_factory.mktemp("images"), ROOT, lambda _: None)
    return engine


@pytest.fixture(scope="module")
def stack(images: DockerEngine) -> Iterator[Project]:
    """The full stack, up and healthy."""
    project = Project(images, ROOT)
    project.down()
    try:
        project.up()
        yield project
    finally:
        project.down()


@pytest.fixture(scope="session")
def demo_images(images: DockerEngine, tmp_path_factory: pytest.TempPathFactory) -> DockerEngine:
    """The engine with the images of the demo, too."""
    rehearsal.make_demo_images(images, tmp_path_factory.mktemp("demo-images"), ROOT, lambda _: None)
    return images


@pytest.fixture(scope="module")
def lite(demo_images: DockerEngine) -> Iterator[Project]:
    """The stack for 4 GB with the demo as its workload, up and healthy."""
    project = Project(demo_images, ROOT, (*LITE, DEMO))
    project.down()
    try:
        project.up()
        yield project
    finally:
        project.down()


# The engine's own bridge: an address of this machine that is not loopback, on every machine with an engine.
BRIDGE = "172.17.0.1"


@pytest.fixture(scope="module")
def public(images: DockerEngine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    """The stack for 4 GB behind its gateway on an address that is not loopback, up and healthy."""
    rehearsal.make_gateway_image(images, tmp_path_factory.mktemp("gateway-image"), ROOT, lambda _: None)
    project = Project(images, ROOT, (*LITE, PUBLIC), address=BRIDGE)
    project.down()
    try:
        project.up()
        yield project
    finally:
        project.down()
