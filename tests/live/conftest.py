"""Running appliances for the live tests: one with the demo, one without, on ports and in folders of their own.

What is in the ids says who uses what: `@demo` and `@bare` (one_worker.py).
"""

from collections.abc import Iterator

import pytest
from one_worker import shared
from running import Appliance, free_offset, wait_for, with_engines


@shared("demo")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Appliance]:
    appliance = Appliance(with_engines(tmp_path_factory.mktemp("demo")), free_offset())
    appliance.run("up", "--demo", "--detach", "--port-offset", str(appliance.offset), seconds=240)
    yield appliance
    appliance.run("down", "--purge", seconds=90)


@shared("bare")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Appliance]:
    """An appliance without the demo, for the tests that kill things."""
    appliance = Appliance(with_engines(tmp_path_factory.mktemp("bare")), free_offset())
    appliance.run("up", "--detach", "--port-offset", str(appliance.offset), seconds=240)
    yield appliance
    appliance.run("down", "--purge", seconds=90)


@pytest.fixture(scope="session")
def incident(demo: Appliance) -> str:
    """The name of an alert that a fault let fire, told on each of its channels; the fault is over.

    The alert's own end comes minutes later, when its longer window is past: other tests run meanwhile.
    """
    alert = "ApiErrorBudgetBurn"
    # A block of the docs may have broken the demo before.
    wait_for("nothing fires", lambda: set(demo.told(alert).values()) <= {"resolved"}, seconds=240)
    demo.run("demo", "inject", "errors", "--for", "3m")
    # One request in five fails: that burns the month's error budget, which is critical and mutes its warning.
    fires = {"slack": "firing", "pagerduty": "firing"}
    wait_for("the alert in the inbox", lambda: demo.told(alert) == fires, seconds=150)
    demo.run("demo", "clear")
    return alert
