"""`topmast prove parity --json` on real servers, beside the exporters of the distribution."""

from pathlib import Path

import pytest
from topmast.layout import Layout
from topmast.parity import Compared, Difference
from topmast.proof import Trial
from topmast.proofs import parity

ROOT = Path(__file__).parents[3]


@pytest.mark.live
def test_every_difference_to_the_fields_own_exporters_has_a_reason() -> None:
    said: list[str] = []
    measures = parity.run(Trial(Layout(ROOT, ROOT / ".topmast"), False, 7, said.append, {}))

    held = {each.name: each.holds for each in measures if each.name.startswith("parity.unexplained.")}
    assert held == {f"parity.unexplained.{kind}": True for kind in ("redis", "postgres", "mysql")}, said


def test_a_server_that_could_not_be_started_is_not_taken_and_says_why() -> None:
    series = ("redis_up", frozenset[tuple[str, str]]())
    found = {"redis": Compared([series], [], [Difference(series, 1, 0)]), "mysql": "no apt-get here"}

    measures = {each.name: each for each in parity.summary(found)}

    assert (measures["parity.unexplained"].value, measures["parity.unexplained"].holds) == (1, False)
    assert (measures["parity.unexplained.mysql"].holds, measures["parity.unexplained.mysql"].note) == (
        None,
        "no apt-get here",
    )
