"""Through the official SDK's types and back, no path of a dashboard is lost: a key that Grafana lacks would be.

The SDK says at its import that the classic model is not its newest; ours is classic on purpose (docs/decisions).
"""

import json
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from topmast.checks.dashboard_panels import known_units
from topmast.layout import find_home

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)
    from grafana_foundation_sdk.cog import plugins
    from grafana_foundation_sdk.cog.encoder import JSONEncoder
    from grafana_foundation_sdk.models import dashboard as sdk
    from grafana_foundation_sdk.models import units

DASHBOARDS = sorted((find_home() / "monitoring" / "grafana" / "dashboards").glob("*.json"))


@pytest.fixture(scope="module", autouse=True)
def types() -> None:
    plugins.register_default_plugins()


def paths(value: Any, above: str = "$") -> Iterator[tuple[str, Any]]:
    """Yield every leaf with its path; an empty list or object is a leaf."""
    if isinstance(value, dict) and value:
        for key, each in value.items():
            yield from paths(each, f"{above}.{key}")
    elif isinstance(value, list) and value:
        for number, each in enumerate(value):
            yield from paths(each, f"{above}[{number}]")
    else:
        yield above, json.dumps(value)


def lost(model: Any) -> set[tuple[str, Any]]:
    through = json.loads(JSONEncoder(sort_keys=True).encode(sdk.Dashboard.from_json(model)))
    return set(paths(model)) - set(paths(through))


@pytest.mark.parametrize("path", DASHBOARDS, ids=lambda path: path.stem)
def test_no_path_is_lost(path: Path) -> None:
    assert lost(json.loads(path.read_text())) == set()


def test_a_misspelt_key_would_be_lost() -> None:
    model = json.loads(DASHBOARDS[0].read_text())
    panel = next(index for index, each in enumerate(model["panels"]) if each["type"] == "timeseries")
    model["panels"][panel]["options"]["legnd"] = {}

    assert lost(model) == {(f"$.panels[{panel}].options.legnd", "{}")}


def test_the_units_are_those_of_the_sdk() -> None:
    assert known_units() >= {value for name, value in vars(units).items() if name[0].isupper() and value != "typing"}
