"""`topmast alerts` shows the catalogue as topmast.yml has it."""

import json
from pathlib import Path

import pytest


@pytest.fixture
def changed(tmp_path: Path) -> Path:
    path = tmp_path / "topmast.yml"
    path.write_text("alerts: {HostCpuHigh: {threshold: 0.9, for: 15m}, HostMemoryLow: {enabled: false}}\n")
    return path


def test_lists_the_whole_catalogue_and_the_self_pack(topmast) -> None:
    found = json.loads(topmast("alerts", "list", "--json").out)["alerts"]

    assert sum(each["category"] != "self" for each in found) == 47
    assert all(each["enabled"] for each in found)


def test_shows_what_a_configuration_changed(topmast, changed: Path) -> None:
    answer = topmast("--config", str(changed), "alerts", "list", "--json")

    by_name = {each["name"]: each for each in json.loads(answer.out)["alerts"]}
    assert (by_name["HostCpuHigh"]["threshold"], by_name["HostCpuHigh"]["for"]) == ("0.9", "15m")
    assert by_name["HostMemoryLow"]["enabled"] is False


def test_lists_for_people(topmast, changed: Path) -> None:
    lines = topmast("--config", str(changed), "alerts", "list").out.splitlines()

    low = next(line for line in lines if "HostMemoryLow" in line)
    assert low.split() == ["memory", "warning", "10m", "HostMemoryLow", "0.15", "(off)"]


def test_shows_one_with_its_runbook(topmast) -> None:
    out = topmast("alerts", "show", "RedisDown").out

    assert "redis_up == 0" in out
    assert "## Mitigation" in out


def test_an_unknown_alert_says_where_the_names_are(topmast) -> None:
    answer = topmast("alerts", "show", "RedisUp")

    assert answer.code == 1
    assert "RedisUp: no such alert; `topmast alerts list` names them" in answer.err
