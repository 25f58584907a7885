"""YAML whose dates are text, as YAML 1.2 has it: PyYAML makes `since: 2026-11-01` a date, which no schema knows."""

from functools import cache
from typing import Any

_TIMESTAMP = "tag:yaml.org,2002:timestamp"


@cache
def without_dates(loader: Any) -> Any:
    """Return PyYAML's loader class, as it is but for dates."""
    resolvers = {
        first: [(tag, pattern) for tag, pattern in listed if tag != _TIMESTAMP]
        for first, listed in loader.yaml_implicit_resolvers.items()
    }
    return type(f"{loader.__name__}WithoutDates", (loader,), {"yaml_implicit_resolvers": resolvers})


def load(text: str) -> Any:
    """Return the value of a document. Raises yaml.YAMLError."""
    import yaml

    return yaml.load(text, Loader=without_dates(yaml.SafeLoader))  # noqa: S506 - it is the safe loader
