"""What the tests of hooks share: the usage events that were caught, as they can be compared."""

from typing import Any

from topmast_exporter.testing import CaughtUsage
from topmast_exporter.usage import UsageSender

Caught = tuple[UsageSender, CaughtUsage]
"""As `caught_usage` makes it."""

VARIES = ("id", "timestamp", "duration_seconds", "time_to_first_token_seconds")


def events(usage: Caught, *names: str) -> list[dict[str, Any]]:
    """Return these members of the events so far, None for what is not there; without names, what stays the same."""
    assert usage[0].flush(10)
    if names:
        return [{name: one.get(name) for name in names} for one in usage[1].events]
    return [{name: value for name, value in one.items() if name not in VARIES} for one in usage[1].events]


def first_token(usage: Caught) -> float:
    """Return when the first token of the last event came, which is not after its end."""
    last = usage[1].events[-1]
    assert 0 < last["time_to_first_token_seconds"] <= last["duration_seconds"]
    return float(last["time_to_first_token_seconds"])
