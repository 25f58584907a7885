"""`prove rules` counts what holds, names what survives, and says what it could not take."""

from pathlib import Path

import pytest
from topmast import promtool
from topmast.layout import Layout
from topmast.proof import Trial
from topmast.proofs.rules import PROOF
from topmast.suites import required

RULES = """groups:
  - name: mine
    rules:
      - alert: TooMany
        expr: x{a="1"} > 10
        for: 5m
        labels: {severity: warning, category: cpu, pair: TooMany}
        annotations: {summary: Too many., description: "{{ $value }}"}
"""
RECORDED = "groups: [{name: r, rules: [{record: 'a:y:sum', expr: 'sum(y) > 1'}]}]"
CASES = """disaster: {a: 'x{a="1"} 11x*', b: 'x{a="2"} 99x*'}
fire: {from: 0m, labels: {a: "1"}, text: "11"}
near_miss: {series: {a: 'x{a="1"} 9x*'}}
resolve: {firing: 8m, silent: 9m, series: {a: 'x{a="1"} 11x8 0x*'}}
"""


def prove(home: Path, cases: str, equivalents: str = "") -> tuple[dict[str, float | None], list[str]]:
    program = promtool.find_promtool()
    if program is None:
        if "rules" in required():
            pytest.fail("no promtool")
        pytest.skip("no promtool: run `./topmast test --suite rules` or set TOPMAST_PROMTOOL")
    # The proof looks for it where a run of this state would have unpacked it.
    (home / "state" / "engines").mkdir(parents=True)
    (home / "state" / "engines" / "promtool").symlink_to(program)
    for name, text in {
        "monitoring/prometheus/alerts/cpu.yml": RULES,
        "monitoring/prometheus/recording/x.yml": RECORDED,
        "tests/monitoring/alerts/TooMany.yml": cases,
        "tests/monitoring/recording/x.yml": "[{name: n, at: 1m, series: ['y 2x*'], expect: {'a:y:sum{}': 2}}]",
        "tests/monitoring/equivalents.yml": equivalents,
    }.items():
        (home / name).parent.mkdir(parents=True, exist_ok=True)
        (home / name).write_text(text)
    said: list[str] = []
    found = PROOF.run(Trial(Layout(home, home / "state"), full=False, seed=7, say=said.append, options={}))
    return {each.name: each.value for each in found}, said


@pytest.mark.rules
def test_good_cases_notice_every_change(tmp_path: Path) -> None:
    measures, said = prove(tmp_path, CASES)

    assert (measures["rules.alerts"], measures["rules.mutation.alerts"]) == (1, 1.0)
    assert not [line for line in said if "NOT NOTICED: TooMany" in line]


@pytest.mark.rules
def test_a_change_that_nobody_notices_is_named(tmp_path: Path) -> None:
    loose = CASES.replace("9x*", "1x*")

    measures, said = prove(tmp_path, loose)

    assert measures["rules.mutation.alerts"] == pytest.approx(6 / 7, abs=0.001)
    assert "NOT NOTICED: TooMany: M1 1 -20% of 10" in said


@pytest.mark.rules
def test_an_equivalent_that_is_noticed_after_all_is_stale(tmp_path: Path) -> None:
    measures, _ = prove(tmp_path, CASES, "TooMany: {M7: nobody reads severities}\n")

    assert measures["rules.mutation.stale_equivalents"] == 1


def test_outside_a_clone_nothing_is_claimed(tmp_path: Path) -> None:
    found = PROOF.run(Trial(Layout(tmp_path, tmp_path / "state"), full=False, seed=7, say=print, options={}))

    assert [(each.name, each.holds) for each in found] == [("rules.alerts", None)]
