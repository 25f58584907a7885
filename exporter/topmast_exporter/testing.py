"""For the tests of whoever uses the instruments: read a registry, and catch usage events instead of sending them.

registry = Registry()
...
assert value(registry, "app_http_requests_total", route="/hello", status="200") == 1
"""

import json
from typing import Any

from topmast_exporter.registry import Registry
from topmast_exporter.usage import Answer, UsageSender


def samples(registry: Registry, name: str) -> list[tuple[dict[str, str], float]]:
    """Return (labels, value) of every sample of this name, in order of exposition."""
    return [
        (dict(sample.labels), float(sample.value))
        for metric in registry.collect()
        for sample in metric.samples
        if sample.name == name
    ]


def value(registry: Registry, name: str, /, **labels: str) -> float | None:
    """Return the sum of the samples of this name that have these labels, None when there is none."""
    found = [value for known, value in samples(registry, name) if labels.items() <= known.items()]
    return sum(found) if found else None


class CaughtUsage:
    """A transport of a UsageSender that keeps the events: `UsageSender(CaughtUsage(), registry)`."""

    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []

    def __call__(self, body: bytes) -> Answer:
        self.events.extend(json.loads(line) for line in body.splitlines())
        return Answer(202)


def caught_usage(registry: Registry) -> tuple[UsageSender, CaughtUsage]:
    """Return a sender for a test, and what catches its events; `sender.flush()` before looking."""
    caught = CaughtUsage()
    return UsageSender(caught, registry, interval_seconds=0.01), caught
