"""Every recording rule yields the value that its case says, over its own window and no other.

The cases stand in recording/<subject>.yml; topmast.recordcases says what they may hold.
"""

from pathlib import Path

import pytest
from topmast import recordcases, rulecases, rulefile

HERE = Path(__file__).parent
RECORDS = {
    rule.name: rule for rule in rulefile.load(HERE.parents[1] / "monitoring" / "prometheus", ["recording/*.yml"])
}
CASES = [
    pytest.param(case, id=f"{path.stem}: {case.case.name}".replace(" ", "-"))
    for path in sorted((HERE / "recording").glob("*.yml"))
    for case in recordcases.read(path)
]


def test_every_recording_rule_has_a_case() -> None:
    tested = {name for param in CASES for name in param.values[0].about}

    assert set(RECORDS) - tested == set()


@pytest.mark.rules
@pytest.mark.parametrize("case", CASES)
def test_recording_rule(case: recordcases.RecordCase, promtool: Path) -> None:
    verdict = rulecases.run(promtool, case.rules(RECORDS), [case.case.test], step=case.step)

    assert verdict.ok, verdict.output
