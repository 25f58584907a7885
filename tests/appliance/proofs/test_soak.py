"""A missed scrape is seen, lines are counted over rotations, and nothing that goes well counts."""

from pathlib import Path

import pytest
from topmast.proofs import soak


@pytest.mark.parametrize(
    ("samples", "gaps"),
    [
        pytest.param([(0, "1"), (15, "1"), (30, "1")], [], id="every scrape"),
        pytest.param([(0, "1"), (16, "1"), (30, "1")], [], id="a second late"),
        pytest.param([(0, "1"), (30, "1")], ["missing after 0"], id="one is missing"),
        pytest.param([(0, "1")], ["missing after 0", "missing after 0"], id="it ended early"),
        pytest.param([(0, "1"), (15, "0"), (30, "1")], ["failed at 15"], id="one failed"),
    ],
)
def test_gaps(samples: list[tuple[float, str]], gaps: list[str]) -> None:
    assert list(soak.gaps_of(samples, 15.0, until=45.0)) == gaps


def test_lines_are_counted_over_rotations(tmp_path: Path) -> None:
    (tmp_path / "app.log").write_text("a\nb\nnot yet")
    (tmp_path / "app.log.1").write_text("c\n")
    (tmp_path / "access.log").write_text("d\n")

    assert soak.lines_of(tmp_path) == {"app.log": 3, "access.log": 1}


def test_a_process_that_is_gone_takes_nothing() -> None:
    assert soak.pss_bytes(2**22 + 1) == 0
