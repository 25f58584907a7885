"""Every alert fires, stays silent beside its threshold, minds its guards, waits its time and resolves (U1-U9).

The cases stand in alerts/<Alert>.yml and self/<Alert>.yml; topmast.rulecases says what they may hold.
"""

from functools import cache
from pathlib import Path

import pytest
from topmast import rulecases, rulefile

HERE = Path(__file__).parent
RULES = rulefile.load(HERE.parents[1] / "monitoring" / "prometheus")
ALERTS = {rule.name: rule for rule in RULES if rule.kind == "alert"}
RECORDS = {rule.name: rule for rule in RULES if rule.kind == "record"}
# The one alert that must never be silent.
NEVER_SILENT = {"Watchdog"}


def cases_file(alert: str) -> Path:
    return HERE / ("self" if ALERTS[alert].file.parent.name == "self" else "alerts") / f"{alert}.yml"


@cache
def cases_of(alert: str) -> rulecases.AlertCases:
    return rulecases.read(cases_file(alert), ALERTS[alert])


@cache
def verdicts_of(alert: str, promtool: Path) -> dict[str, rulecases.Verdict]:
    rules = [*rulecases.needed(ALERTS[alert], RECORDS), ALERTS[alert]]
    return dict(rulecases.check(promtool, cases_of(alert), rules))


def every_case() -> list[tuple[str, str]]:
    return [(alert, case.name) for alert in ALERTS if cases_file(alert).is_file() for case in cases_of(alert).cases]


@pytest.mark.parametrize("alert", ALERTS)
def test_has_a_fire_a_near_miss_and_a_resolve(alert: str) -> None:
    assert cases_file(alert).is_file(), f"{alert} has no cases: write {cases_file(alert)}"

    missing = [] if alert in NEVER_SILENT else cases_of(alert).missing()

    assert missing == []


def test_no_case_file_is_left_behind() -> None:
    files = {path.stem for folder in ("alerts", "self") for path in (HERE / folder).glob("*.yml")}

    assert files == set(ALERTS)


@pytest.mark.rules
@pytest.mark.parametrize(("alert", "case"), every_case(), ids=lambda value: value.replace(" ", "-"))
def test_alert(alert: str, case: str, promtool: Path) -> None:
    verdict = verdicts_of(alert, promtool)[case]

    assert verdict.ok, verdict.output
