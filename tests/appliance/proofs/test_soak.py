"""A missed scrape is seen, lines are counted over rotations, and nothing that goes well counts."""

from pathlib import Path

import pytest
from topmast import rehearsal
from topmast.proofs import soak

ROOT = Path(__file__).resolve().parents[3]


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


def test_each_is_held_to_what_its_container_of_lite_may_take() -> None:
    limits = soak.limits_of(rehearsal.configuration(ROOT, rehearsal.LITE))

    assert {name: value // 1024**2 for name, value in limits.items()} == {
        "prometheus": 512,
        "alertmanager": 96,
        "node_exporter": 64,
        "exporter": 128,
        "shipper": 128,
        "page": 96,
    }


def test_one_that_takes_more_than_its_limit_counts_where_nobody_enforces_it() -> None:
    allowed = {"page": 96 * 1024**2}
    bounds = soak.Bounds(allowed, None, "only root can set one")

    well = soak._oom({"page": 0}, 0, {"page": 90 * 1024**2}, bounds, "")
    ill = soak._oom({"page": 0}, 0, {"page": 97 * 1024**2}, bounds, "")
    dead = soak._oom({"page": 1}, 1, {"page": 90 * 1024**2}, bounds, "")

    assert (well.value, ill.value, dead.value) == (0, 1, 1)
    assert "only root can set one" in well.note
