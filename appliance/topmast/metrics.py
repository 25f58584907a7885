"""What is known of every metric by its name: type and labels, from metrics.yml."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import yaml

# Every metric has these from its target; `alertname` and the like are ours.
TARGET_LABELS = frozenset({"job", "instance", "environment"})
_HISTOGRAM_PARTS = ("_bucket", "_sum", "_count")
# By name alone, for metrics of a user's own.
_COUNTER_ENDINGS = ("_total", "_bucket")


@dataclass(frozen=True)
class Metric:
    """One family, or one part of a histogram."""

    name: str
    type: str
    """`counter`, `gauge`, `histogram`, `info`, `untyped` or `unknown`."""
    labels: frozenset[str] | None
    """None: not known. The target's labels are always included otherwise."""


@dataclass(frozen=True)
class Metrics:
    """The contract."""

    families: Mapping[str, Metric]
    prefixes: tuple[str, ...]

    def get(self, name: str) -> Metric | None:
        """Return what a sample's name stands for; None when nothing is known of it."""
        found = self.families.get(name)
        if found is not None:
            return found
        for part in _HISTOGRAM_PARTS:
            family = self.families.get(name.removesuffix(part)) if name.endswith(part) else None
            if family is not None and family.type == "histogram":
                labels = family.labels
                if part == "_bucket" and labels is not None:
                    labels = labels | {"le"}
                return Metric(name, "counter", labels)
        if name.startswith(self.prefixes):
            return Metric(name, "unknown", None)
        return None

    def is_counter(self, name: str) -> bool | None:
        """Return whether a name is a counter's; None when that is not known."""
        found = self.get(name)
        if found is not None and found.type != "unknown":
            return None if found.type == "untyped" else found.type in ("counter", "histogram")
        return True if name.endswith(_COUNTER_ENDINGS) else None


@cache
def load() -> Metrics:
    """Return the contract that is shipped with the package."""
    document = yaml.safe_load((Path(__file__).parent / "metrics.yml").read_text(encoding="utf-8"))
    families, prefixes = {}, []
    for name, facts in document.items():
        if name.endswith("*"):
            prefixes.append(name[:-1])
            continue
        labels = facts.get("labels")
        known = None if labels is None else frozenset(labels) | TARGET_LABELS
        families[name] = Metric(name, facts["type"], known)
    return Metrics(families, tuple(prefixes))
