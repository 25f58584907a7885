"""`test` runs suites by their markers; a skip that is required fails."""

import os
import threading
from pathlib import Path
from typing import Any

import pytest
from topmast import suites
from topmast.cli import Call
from topmast.commands.test import _suite, in_turn, with_types
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

    assert _suite(Call(tmp_path, tmp_path, None), Layout(tmp_path, tmp_path), suite) == (result, "no engine here")


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


def test_what_waits_runs_beside_what_follows_until_something_has_to_run_alone(
    capsys: pytest.CaptureFixture[str],
) -> None:
    begun, free = threading.Event(), threading.Event()
    ended: list[str] = []

    def run(suite: suites.Suite, printed: Any) -> tuple[str, str]:
        print(f"tests of {suite.name}", file=printed)
        if suite.aside:
            begun.set()
            assert free.wait(30)
        if suite.name == "second":
            assert begun.wait(30)
            free.set()
        ended.append(suite.name)
        return "passed", ""

    def suite(name: str, **how: bool) -> suites.Suite:
        return suites.Suite(name, "", missing, **how)

    found = list(in_turn([suite("waits", aside=True), suite("second"), suite("alone", alone=True)], run))

    assert sorted(ended[:2]) == ["second", "waits"]
    assert ended[2] == "alone"
    assert [each["name"] for each in found] == ["second", "waits", "alone"]
    lines = capsys.readouterr().out.split()
    assert "\n".join(lines).count("waits\ntests\nof\nwaits") == 1  # as a whole


def test_types_have_their_turn_beside_a_suite_that_waits() -> None:
    first, second, waits = (suites.Suite(name, "", missing, aside=name == "waits") for name in ("1", "2", "waits"))

    assert [each.name for each in with_types([first, waits, second])] == ["1", "waits", "types", "2"]
    assert [each.name for each in with_types([first, second])] == ["types", "1", "2"]


@pytest.mark.parametrize("behind", [[], [suites.Suite("alone", "", missing, alone=True)]], ids=["last", "then alone"])
def test_what_has_nothing_to_run_beside_is_seen_at_once(behind: list[suites.Suite]) -> None:
    def run(_suite: suites.Suite, printed: Any) -> tuple[str, str]:
        return "passed" if printed is None else "failed", ""

    found = in_turn([suites.Suite("waits", "", missing, aside=True), *behind], run)

    assert {each["result"] for each in found} == {"passed"}


def test_whole_suites_use_every_core_and_chosen_tests_run_in_order() -> None:
    by_name = {suite.name: suite for suite in suites.SUITES}

    cores = os.cpu_count() or 1
    assert suites.spreading(by_name["rules"]) == ["-n", str(cores), "--dist", "worksteal"]
    assert int(suites.spreading(by_name["unit"])[1]) > cores  # they wait
    assert suites.spreading(by_name["docker"]) == []
