"""The benchmark of lint: every seeded defect is seen, one at a time."""

from pathlib import Path

import pytest
from topmast import benchmark, check, checks, lintdefects, plugins
from topmast.benchmark import Run

HOME = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return lintdefects.copied(HOME, tmp_path_factory.mktemp("house"))


def test_there_are_thirty_and_each_is_one_of_its_own() -> None:
    assert len(lintdefects.DEFECTS) == 30
    assert len({each.name for each in lintdefects.DEFECTS}) == 30


def test_a_clean_copy_has_no_finding(copy: Path) -> None:
    tree = check.read([], copy)

    assert [spot for each in plugins.load_all(checks, "CHECK") for spot in each.run(tree)] == []


@pytest.mark.parametrize("defect", lintdefects.DEFECTS, ids=lambda each: each.name)
def test_each_defect_still_fits_the_file_that_it_breaks(copy: Path, defect: lintdefects.Defect) -> None:
    assert defect.old in (copy / "monitoring" / defect.file).read_text()


def test_takes_the_three_measures() -> None:
    measures = benchmark.load(HOME, "lint").run(Run(HOME, False, 7, lambda _text: None))

    seconds, *killed = measures
    assert (seconds.name, seconds.unit) == ("lint.seconds", "s")  # how long it took is not for a test to judge
    assert [(each.name, each.holds) for each in killed] == [
        ("lint.seeded_defects_killed", True),
        ("lint.dashboards.seeded_defects_killed", True),
    ]
    assert [each.note for each in measures[1:]] == ["of 30", "of 30"]
