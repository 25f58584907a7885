"""`topmast alerts` shows the catalogue as topmast.yml has it, and changes it there without touching the rest."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

OWN = """# ours
alerts:
  # calm
  HostCpuHigh: {threshold: 0.9, for: 15m}  # since March
  HostMemoryLow: {enabled: false}
slo: {}
"""


@pytest.fixture
def own(tmp_path: Path) -> Path:
    path = tmp_path / "topmast.yml"
    path.write_text(OWN)
    return path


@pytest.fixture
def change(topmast: Any, own: Path) -> Any:
    """Call `topmast -c OWN alerts …`."""
    return lambda *arguments: topmast("--config", str(own), "alerts", *arguments)


def test_lists_the_whole_catalogue_and_the_self_pack(topmast) -> None:
    found = json.loads(topmast("alerts", "list", "--json").out)["alerts"]

    assert sum(each["category"] != "self" for each in found) == 47
    assert all(each["enabled"] and not each["changed"] for each in found)


def test_shows_what_a_configuration_changed(change) -> None:
    by_name = {each["name"]: each for each in json.loads(change("list", "--json").out)["alerts"]}

    assert (by_name["HostCpuHigh"]["threshold"], by_name["HostCpuHigh"]["for"]) == ("0.9", "15m")
    assert by_name["HostMemoryLow"]["enabled"] is False


def test_lists_for_people(change) -> None:
    lines = change("list").out.splitlines()

    assert next(line for line in lines if "HostMemoryLow" in line).split() == [
        *("memory", "warning", "10m", "HostMemoryLow", "0.15", "(off)")
    ]
    assert next(line for line in lines if "HostCpuHigh" in line).split()[-2:] == ["0.9", "*"]
    assert "pages" not in lines[-1]


def test_says_that_another_environment_never_pages(change, own: Path) -> None:
    own.write_text("environment: staging\n")

    assert change("list").out.splitlines()[-1] == "environment: staging: none of them pages; only production does."
    assert json.loads(change("list", "--json").out)["environment"] == "staging"


def test_shows_one_as_it_is_evaluated_and_leaves_the_runbook_to_its_own_command(topmast) -> None:
    out = topmast("alerts", "show", "RedisDown").out

    assert "redis_up == 0" in out
    assert out.endswith("What to do: topmast runbook RedisDown\n")
    assert "## Mitigation" not in out


@pytest.mark.parametrize("verb", ["show", "disable", "reset"])
@pytest.mark.parametrize(
    ("name", "hint"),
    [
        pytest.param("RedisUp", "did you mean RedisDown", id="nearly"),
        pytest.param("hostcpuhigh", "did you mean HostCpuHigh", id="in small letters"),
        pytest.param("Zzzzz", "`topmast alerts list` names them", id="not at all"),
    ],
)
def test_an_unknown_alert_says_the_nearest(change, own: Path, verb: str, name: str, hint: str) -> None:
    answer = change(verb, name)

    assert answer.code == 1
    assert f"{name}: no such alert; {hint}" in answer.err
    assert own.read_text() == OWN


@pytest.mark.parametrize(
    ("arguments", "old", "new"),
    [
        pytest.param(
            ("set", "HostCpuHigh", "--threshold", "80%"), "threshold: 0.9", "threshold: 0.8", id="threshold"
        ),
        pytest.param(("set", "HostCpuHigh", "--for", "20m"), "for: 15m", "for: 20m", id="for"),
        pytest.param(
            ("set", "ApiResponseSlow", "--threshold", "3", "--for", "10m"),
            "{enabled: false}\n",
            "{enabled: false}\n  ApiResponseSlow: {threshold: 3, for: 10m}\n",
            id="another",
        ),
        pytest.param(
            ("set", "HostMemoryLow", "--for", "5m"),
            "{enabled: false}",
            "{for: 5m}",
            id="one that was off is on again",
        ),
        pytest.param(("disable", "HostCpuHigh"), "for: 15m}", "for: 15m, enabled: false}", id="off"),
        pytest.param(
            ("reset", "HostCpuHigh"),
            "  HostCpuHigh: {threshold: 0.9, for: 15m}  # since March\n",
            "",
            id="as it was shipped",
        ),
    ],
)
def test_changes_what_it_is_told_and_nothing_else(change, own: Path, arguments: Any, old: str, new: str) -> None:
    answer = change(*arguments, "--json")

    told = json.loads(answer.out)
    assert (answer.code, answer.err) == (0, "")
    assert (told["file"], told["changed"], told["applied"]) == (str(own), True, "next-start")
    assert told["alert"]["name"] == arguments[1]
    assert own.read_text() == OWN.replace(old, new)


def test_resets_all(change, own: Path) -> None:
    change("reset", "--all")

    assert own.read_text() == "# ours\nslo: {}\n"


def test_says_what_is_in_force_and_when(change, own: Path) -> None:
    assert change("disable", "HostCpuHigh").out == f"HostCpuHigh: off\n{own}: applies at the next `topmast up`\n"
    assert change("set", "HostCpuHigh", "--for", "10m").out.startswith("HostCpuHigh: threshold 0.9, after 10m\n")


def test_what_is_so_already_changes_nothing(change, own: Path) -> None:
    answer = change("set", "HostCpuHigh", "--threshold", "0.9", "--json")

    assert (json.loads(answer.out)["changed"], json.loads(answer.out)["applied"]) == (False, "nothing")
    assert own.read_text() == OWN


def test_without_a_file_one_is_made_here(topmast, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)

    answer = topmast("alerts", "set", "ApiResponseSlow", "--threshold", "3s")

    assert answer.code == 0
    assert yaml.safe_load((tmp_path / "topmast.yml").read_text()) == {"alerts": {"ApiResponseSlow": {"threshold": 3}}}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        pytest.param(("set", "HostCpuHigh"), "say what to change", id="nothing to change"),
        pytest.param(
            ("set", "HostCpuHigh", "--threshold", "99%"), "is not stricter than", id="laxer than its critical"
        ),
        pytest.param(("set", "HostCpuHigh", "--threshold", "90"), "write 90% or 0.9", id="per cent without a sign"),
        pytest.param(("set", "HostCpuHigh", "--for", "5 minutes"), "does not match", id="a wait with a word"),
        pytest.param(("set", "RedisDown", "--threshold", "1"), "change `for` or `enabled`", id="a state"),
        pytest.param(("set", "ApiErrorBudgetBurn", "--threshold", "1"), "it follows `slo:`", id="the service level"),
        pytest.param(("set", "LlmDailyBudgetExceeded", "--threshold", "1"), "follows `budgets:`", id="a budget"),
        pytest.param(("set", "Watchdog", "--for", "1m"), "it fires at once", id="one without a wait"),
        pytest.param(("reset",), "name the alert to reset, or --all", id="nobody"),
    ],
)
def test_refuses_and_leaves_the_file(change, own: Path, arguments: Any, message: str) -> None:
    answer = change(*arguments)

    assert answer.code != 0
    assert message in answer.err
    assert own.read_text() == OWN


def test_a_broken_file_is_refused_before_anything_is_written(change, own: Path) -> None:
    own.write_text("alerts: [\n")

    answer = change("disable", "HostCpuHigh")

    assert answer.code == 78
    assert f"{own}:" in answer.err
    assert own.read_text() == "alerts: [\n"
