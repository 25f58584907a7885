"""What fired resolves. Last of the demo's tests: the others ran while the alert's window passed."""

import pytest
from running import Appliance, wait_for

pytestmark = pytest.mark.live


def test_the_end_of_an_incident_reaches_the_inbox(demo: Appliance, incident: str) -> None:
    over = {"slack": "resolved", "pagerduty": "resolved"}

    assert wait_for("its end in the inbox", lambda: demo.told(incident) == over, seconds=240)
