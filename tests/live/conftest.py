"""Running appliances for the live tests: one with the demo, one without, on ports and in folders of their own.

Most of these tests' time is waiting. So those of one appliance stay on one core's worker, in their order, and the
others run meanwhile.
"""

from collections.abc import Iterator

import pytest
from running import Appliance, free_offset, with_engines

_SHARED = ("demo", "bare")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        used = [name for name in getattr(item, "fixturenames", ()) if name in _SHARED]
        if item.get_closest_marker("live"):
            item.add_marker(pytest.mark.xdist_group(used[0] if used else "bare"))


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Appliance]:
    appliance = Appliance(with_engines(tmp_path_factory.mktemp("demo")), free_offset())
    appliance.run("up", "--demo", "--detach", "--port-offset", str(appliance.offset), seconds=240)
    yield appliance
    appliance.run("down", "--purge", seconds=90)


@pytest.fixture(scope="session")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Appliance]:
    """An appliance without the demo, for the tests that kill things."""
    appliance = Appliance(with_engines(tmp_path_factory.mktemp("bare")), free_offset())
    appliance.run("up", "--detach", "--port-offset", str(appliance.offset), seconds=240)
    yield appliance
    appliance.run("down", "--purge", seconds=90)
