"""`test` runs suites by their markers; a skip that is required fails."""

import os
from pathlib import Path

import pytest
from topmast import suites
from topmast.cli import Call
from topmast.commands.test import _suite
from topmast.errors import PrerequisiteError
from topmast.layout import Layout


def missing(_layout: Layout, _say: object) -> dict[str, str]:
    raise PrerequisiteError("no engine here")


@pytest.mark.parametrize(
    ("require", "result"),
    [pytest.param("", "skipped", id="by default"), pytest.param("live, x", "failed", id="required")],
)
def test_what_the_machine_lacks_is_a_skip_unless_required(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, require: str, result: str
) -> None:
    monkeypatch.setenv("TOPMAST_REQUIRE", require)
    suite = suites.Suite("live", "", missing)

    assert _suite(Call(tmp_path, tmp_path, None), Layout(tmp_path, tmp_path), suite, ()) == (result, "no engine here")


def test_unit_is_what_no_other_suite_is() -> None:
    by_name = {suite.name: suite for suite in suites.SUITES}

    assert suites.marker_expression(by_name["rules"]) == "rules"
    assert suites.marker_expression(by_name["unit"]).split(" and ") == [
        f"not {name}" for name in by_name if name != "unit"
    ]


def test_a_suite_reads_the_files_that_name_its_marker(tmp_path: Path) -> None:
    for name, text in {"a": "@pytest.mark.live", "b": "@pytest.mark.lively", "c": ""}.items():
        (tmp_path / f"test_{name}.py").write_text(text)
    (tmp_path / "live.py").write_text("pytest.mark.live")

    assert suites.files("live", tmp_path) == [tmp_path / "test_a.py"]
    assert suites.files("unit", tmp_path) == []


def test_whole_suites_use_every_core_and_chosen_tests_run_in_order() -> None:
    by_name = {suite.name: suite for suite in suites.SUITES}

    cores = os.cpu_count() or 1
    assert suites.spreading(by_name["rules"]) == ["-n", str(cores), "--dist", "worksteal"]
    assert int(suites.spreading(by_name["unit"])[1]) > cores  # they wait
    assert suites.spreading(by_name["docker"]) == []
