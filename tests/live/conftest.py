"""Running appliances for the live tests: one with the demo, one without, on ports and in folders of their own."""

from collections.abc import Iterator

import pytest
from running import Appliance, with_engines


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Appliance]:
    appliance = Appliance(with_engines(tmp_path_factory.mktemp("demo")), offset=2000)
    appliance.run("up", "--demo", "--detach", "--port-offset", "2000", seconds=240)
    yield appliance
    appliance.run("down", "--purge", seconds=90)


@pytest.fixture(scope="session")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Appliance]:
    """An appliance without the demo, for the tests that kill things."""
    appliance = Appliance(with_engines(tmp_path_factory.mktemp("bare")), offset=3000)
    appliance.run("up", "--detach", "--port-offset", "3000", seconds=240)
    yield appliance
    appliance.run("down", "--purge", seconds=90)
