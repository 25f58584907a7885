"""`verify` on the running appliance: all is well, and each component that is stopped in its tracks is named."""

import contextlib
import json
import os
import signal
from collections.abc import Iterator
from typing import Any

import pytest
from running import Appliance

pytestmark = pytest.mark.live

# Each of the three ways that something can be sent on, and who scrapes them all.
STOPPED = ("prometheus", "alertmanager", "node_exporter", "exporter", "shipper", "page")
# The measure `compose.stop_detected`, taken here of embedded mode: it fails within 10 s.
SECONDS = 10


def checks(appliance: Appliance, seconds: float = 60) -> dict[str, dict[str, Any]]:
    done = appliance.run("verify", "--json", seconds=seconds, check=False)
    found = {each["name"]: each for each in json.loads(done.stdout)["checks"]}
    assert done.returncode == (0 if all(each["ok"] for each in found.values()) else 1)
    return found


@contextlib.contextmanager
def frozen(pid: int) -> Iterator[None]:
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def test_all_is_well_and_what_was_sent_arrived(demo: Appliance) -> None:
    found = checks(demo)

    assert [each["message"] for each in found.values() if not each["ok"]] == []
    assert found["a line logged"]["message"].startswith("found after")
    assert found["a metric sent"]["message"].startswith("read by Prometheus after")
    assert found["an alert fired"]["message"].startswith("in the inbox after")


@pytest.mark.parametrize("name", STOPPED)
def test_a_component_that_hangs_is_named(demo: Appliance, name: str) -> None:
    status = demo.json("status", "--json")
    pid = next(each["pid"] for each in status["components"] if each["name"] == name)

    with frozen(pid):
        found = checks(demo, SECONDS)

    assert not found[name]["ok"]
    assert "does not answer" in found[name]["message"]
    assert found["an alert fired"]["message"] == f"not tried: {name} first"
