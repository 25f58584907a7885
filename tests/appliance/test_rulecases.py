"""Case files become promtool's tests; what cannot be tested is refused by name."""

from pathlib import Path

import pytest
from topmast import rulecases
from topmast.rulecases import CaseError
from topmast.rulefile import Rule

RULE = Rule(
    "A",
    "alert",
    "x > 1",
    Path("x.yml"),
    1,
    "g",
    duration="5m",
    labels={"severity": "warning"},
    annotations={"summary": "S."},
)


def read(folder: Path, text: str) -> rulecases.AlertCases:
    path = folder / "A.yml"
    path.write_text(text)
    return rulecases.read(path, RULE)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("x 1x*", "1+0x4", id="to the end"),
        pytest.param("x 0+2x*", "0+2x4", id="a counter to the end"),
        pytest.param("x 0+2x1 +5x*", "0+2x1 7.0+5x2", id="going on"),
        pytest.param("x 0+2x1 +0x*", "0+2x1 2.0+0x2", id="standing still"),
        pytest.param("x 1x1 _ 3x*", "1+0x1 _ 3+0x1", id="a missing scrape"),
        pytest.param("x _x2 3x*", "_x2 3+0x2", id="beginning late"),
        pytest.param("x 1 stale", "1 stale", id="a target that vanishes"),
    ],
)
def test_values(text: str, expected: str) -> None:
    assert rulecases.series(text, 5, "A")["values"] == expected


def test_a_series_that_ends_too_soon_is_refused() -> None:
    with pytest.raises(CaseError, match="A: x: 3 samples, 5 are looked at"):
        rulecases.series("x 1x2", 5, "A")


def test_a_firing_case_asserts_the_edges_of_its_wait(tmp_path: Path) -> None:
    found = read(tmp_path, "disaster: {a: x 2x*}\nfire: {from: 2m, labels: {i: j}, text: T.}\n")

    (case,) = found.cases
    assert [(check["eval_time"], len(check["exp_samples"])) for check in case.test["promql_expr_test"]] == [
        ("8m", 1),  # firing, one minute after the wait
        ("1m", 0),  # not even pending before the cause
        ("6m", 0),  # not firing one minute before the wait ends
    ]
    assert case.test["alert_rule_test"][0]["exp_alerts"] == [
        {
            "exp_labels": {"severity": "warning", "i": "j"},
            "exp_annotations": {"summary": "S.", "description": "T."},
        }
    ]


def test_an_alert_without_its_near_miss_is_told(tmp_path: Path) -> None:
    assert read(tmp_path, "disaster: {a: x 2x*}\nfire: {}\n").missing() == ["near_miss", "resolve"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        pytest.param("[]", "not a mapping", id="a list"),
        pytest.param("fires: {}", "unknown fires", id="an unknown part"),
        pytest.param("fire: {form: 1m}", "A: fire: unknown form", id="an unknown key"),
        pytest.param("resolve: {firing: 1m}", "KeyError", id="half a resolve"),
    ],
)
def test_what_cannot_be_understood_is_refused(text: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(CaseError, match=message):
        read(tmp_path, text)


def test_rules_come_after_those_that_they_read() -> None:
    def record(name: str, expr: str) -> Rule:
        return Rule(name, "record", expr, Path("x.yml"), 1, "g")

    records = {rule.name: rule for rule in (record("b:x:sum", "a:x:sum * 2"), record("a:x:sum", "x"))}

    needed = rulecases.needed(record("c:x:sum", "b:x:sum"), records)

    assert [rule.name for rule in needed] == ["a:x:sum", "b:x:sum"]
