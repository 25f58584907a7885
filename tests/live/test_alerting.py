"""A fault of the demo reaches the inbox. First of the demo's tests: the end is awaited while the others run."""

import pytest
from running import Appliance

pytestmark = pytest.mark.live


def test_a_fault_reaches_the_inbox(demo: Appliance, incident: str) -> None:
    notifications = demo.json("inbox", "--json")["notifications"]

    fired = [one["channel"] for one in notifications if incident in one["alerts"] and one["status"] == "firing"]
    assert {"slack", "pagerduty"} <= set(fired)
