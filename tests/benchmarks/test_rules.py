"""The rules' benchmark at a small size: its world is what it says, and a step of history comes with its time."""

import importlib.util
import json
from pathlib import Path
from types import ModuleType

import pytest
from topmast import check, metrics, selectors

HOME = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def rules() -> ModuleType:
    spec = importlib.util.spec_from_file_location("rules", HOME / "benchmarks" / "rules.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_world_has_as_many_series_as_it_says_each_once(rules: ModuleType) -> None:
    page, read = rules.exposition(rules.SERIES)

    names = [line.rpartition("} ")[0] for line in page.splitlines()]
    assert len(set(names)) == len(names) == rules.SERIES
    assert read > rules.SERIES / 2


def test_what_the_world_says_the_rules_read_they_read(rules: ModuleType) -> None:
    read = selectors.read(check.read([HOME / "monitoring" / "prometheus"], HOME))
    # a selector may match its name: {__name__=~"a|b"}
    named = {name for each in read for name in (each.name, *(each.value_of_name() or "").split("|"))}

    assert {family.name for family in rules.FAMILIES} - named == set()
    assert all(metrics.load().get(family.name) is not None for family in rules.FAMILIES)


def test_each_scrape_is_the_next_step(rules: ModuleType) -> None:
    world = rules._World("c{} @V @T\ng{} 1 @T\n")
    began = world.at

    first, second = world.scrape().decode(), world.scrape().decode()

    assert first == f"c{{}} 45 {(began + 15) * 1000:.0f}\ng{{}} 1 {(began + 15) * 1000:.0f}\n"
    assert second.startswith(f"c{{}} 90 {(began + 30) * 1000:.0f}\n")
    assert not world.caught_up.is_set()


def test_every_rule_is_evaluated_as_in_production(rules: ModuleType) -> None:
    written = json.loads(rules.configuration(HOME, "a:1", "300ms"))

    assert written["global"]["evaluation_interval"] == "15s"
    assert [pattern.split("/")[-2] for pattern in written["rule_files"]] == ["alerts", "self", "recording"]
