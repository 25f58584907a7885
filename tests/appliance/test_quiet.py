"""What fired counts; where others kept the machine busy an alert may be the truth, and nothing is claimed."""

import pytest
from topmast.quiet import Seen, verdict


@pytest.mark.parametrize(
    ("firing", "busy", "ours", "value", "holds"),
    [
        pytest.param({"Watchdog"}, 0.1, 0.05, 0, True, id="quiet"),
        pytest.param({"Watchdog"}, 0.95, 0.05, 0, True, id="quiet, though others are busy"),
        pytest.param({"Watchdog", "TargetDown"}, 0.1, 0.05, 1, False, id="one fires"),
        pytest.param({"Watchdog", "HostCpuHigh"}, 0.95, 0.9, 1, False, id="busy by ourselves"),
        pytest.param({"Watchdog", "HostCpuHigh"}, 0.95, 0.05, None, None, id="busy by others"),
    ],
)
def test_verdict(firing: set[str], busy: float, ours: float, value: int | None, holds: bool | None) -> None:
    found = verdict("rules.quiet.idle", "no app", Seen(frozenset(firing), frozenset(), busy), ours, 600)

    assert (found.value, found.holds) == (value, holds)


def test_what_fired_and_what_only_waited_is_named() -> None:
    seen = Seen(frozenset({"Watchdog", "TargetDown"}), frozenset({"HostCpuHigh"}), 0.2)

    note = verdict("rules.quiet.idle", "no app", seen, 0.1, 600).note

    assert "fired: TargetDown; pending for a while: HostCpuHigh" in note
