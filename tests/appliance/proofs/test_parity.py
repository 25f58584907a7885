"""`topmast prove parity --json` on real servers, beside the exporters of the distribution."""

from pathlib import Path

import pytest
from topmast.layout import Layout
from topmast.measure import Measure
from topmast.parity import Compared, Difference
from topmast.proof import Trial
from topmast.proofs import parity

ROOT = Path(__file__).parents[3]


OF_DEBIAN = ("redis", "postgres", "mysql")


def prove(*kinds: str) -> tuple[dict[str, Measure], list[str]]:
    said: list[str] = []
    measures = parity.run(Trial(Layout(ROOT, ROOT / ".topmast"), False, 7, said.append, {}), kinds)
    return {each.name: each for each in measures}, said


@pytest.mark.live
def test_every_difference_to_the_fields_own_exporters_has_a_reason_that_still_holds() -> None:
    measures, said = prove(*OF_DEBIAN)

    held = {name: measure.holds for name, measure in measures.items()}
    assert held["parity.stale"] is True, said
    assert {name: held[name] for name in held if name.startswith("parity.unexplained.")} == {
        f"parity.unexplained.{kind}": True for kind in OF_DEBIAN
    }, said


@pytest.mark.elasticsearch
def test_elasticsearch_is_read_as_the_fields_own_exporter_reads_it(
    start_elasticsearch: object,  # there is one, or the suite is skipped
) -> None:
    measures, said = prove("elasticsearch")

    assert measures["parity.equal"].value > 250, said
    assert (measures["parity.unexplained.elasticsearch"].value, measures["parity.stale"].value) == (0, 0), said


def test_a_stale_explanation_does_not_hold() -> None:
    measures = {each.name: each for each in parity.summary({"redis": Compared([], [], [], ["redis_gone"])})}

    assert (measures["parity.stale"].value, measures["parity.stale"].holds) == (1, False)


def test_a_server_that_could_not_be_started_is_not_taken_and_says_why() -> None:
    series = ("redis_up", frozenset[tuple[str, str]]())
    found = {"redis": Compared([series], [], [Difference(series, 1, 0)]), "mysql": "no apt-get here"}

    measures = {each.name: each for each in parity.summary(found)}

    assert (measures["parity.unexplained"].value, measures["parity.unexplained"].holds) == (1, False)
    assert (measures["parity.unexplained.mysql"].holds, measures["parity.unexplained.mysql"].note) == (
        None,
        "no apt-get here",
    )
