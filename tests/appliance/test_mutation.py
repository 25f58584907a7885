"""Each kind of change is made at each of its places, once."""

from pathlib import Path

import pytest
from topmast import mutation
from topmast.rulefile import Rule


def changed(expression: str, kind: str) -> list[str]:
    rule = Rule(name="A", kind="record", expr=expression, file=Path("x.yml"), line=1, group="g")
    return [mutant.rule.expr for mutant in mutation.mutants(rule) if mutant.id.startswith(kind)]


@pytest.mark.parametrize(
    ("expression", "kind", "expected"),
    [
        pytest.param("a > 2", "M1", ["(a > (2) * 1.25)", "(a > (2) * 0.8)"], id="a threshold"),
        pytest.param("a > 0", "M1", [], id="zero has no per cent"),
        pytest.param("a > bool 2", "M2", ["(a < bool 2)"], id="turned, bool stays"),
        pytest.param("a > on (x) b", "M2", ["(a < on (x) b)"], id="turned, matching stays"),
        pytest.param("a and on (x) b", "M3", ["(a or on (x) b)"], id="and"),
        pytest.param("a unless on (x) b", "M3", ["(a and on (x) b)"], id="unless"),
        pytest.param("rate(a[5m] offset 1h)", "M4", ["rate(a[15m] offset 1h)"], id="a range"),
        pytest.param('a{b="1", c!="2"}', "M6", ['a{c!="2"}', 'a{b="1"}'], id="matchers"),
    ],
)
def test_changes(expression: str, kind: str, expected: list[str]) -> None:
    assert changed(expression, kind) == expected


def test_an_alert_waits_otherwise_and_is_of_the_other_severity() -> None:
    rule = Rule("A", "alert", "a", Path("x.yml"), 1, "g", duration="5m", labels={"severity": "critical", "pair": "A"})

    found = {mutant.id: mutant.rule for mutant in mutation.mutants(rule)}

    assert (found["M5 0"].duration, found["M5 x2"].duration) == ("", "10m")
    assert found["M7"].labels == {"severity": "warning", "pair": "A"}
