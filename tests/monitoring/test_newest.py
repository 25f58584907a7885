"""Every alert's and every recording rule's cases pass on the newest promtool too (suite `newest`)."""

import os
from pathlib import Path

import pytest
from topmast import newest, promtool, rulecases
from topmast.proofs import rules as proof
from topmast.suites import required

HOME = Path(__file__).resolve().parents[2]
SUITE = proof.load(HOME)
pytestmark = pytest.mark.newest


@pytest.fixture(scope="module")
def program() -> Path:
    named = os.environ.get(newest.VARIABLE, "")
    if not Path(named).is_file():
        reason = f"no newest promtool: run `./topmast test --suite newest`, or name it in {newest.VARIABLE}"
        if "newest" in required():
            pytest.fail(reason)
        pytest.skip(reason)
    return Path(named)


@pytest.mark.parametrize("name", sorted(SUITE.cases))
def test_alert(name: str, program: Path) -> None:
    found = SUITE.cases[name]
    rule = next(each for each in SUITE.rules if each.name == name)

    failed = [
        verdict.output
        for _, verdict in rulecases.check(program, found, [*rulecases.needed(rule, SUITE.records), rule])
        if not verdict.ok
    ]

    assert failed == []


@pytest.mark.parametrize("scene", SUITE.scenes, ids=lambda scene: scene.case.name)
def test_recording(scene: proof.RecordCase, program: Path) -> None:
    verdict = rulecases.run(program, scene.rules(SUITE.records), [scene.case.test], step=scene.step)

    assert verdict.ok, verdict.output


def test_the_configuration_and_every_rule_file_are_accepted(program: Path) -> None:
    answer = promtool.run(program, ["check", "config", str(HOME / "monitoring/prometheus/prometheus.yml")])

    assert (answer.code, "FAILED" in answer.output) == (0, False), answer.output
