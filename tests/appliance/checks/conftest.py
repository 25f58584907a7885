"""A copy of the house to break: `house.change(file, old, new)`, then what one check says of it."""

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from topmast import check
from topmast.check import Check

ROOT = Path(__file__).resolve().parents[3]


@dataclass(frozen=True)
class House:
    """monitoring/ and docs/runbooks/ in a folder of the test's own."""

    home: Path

    def change(self, file: str, old: str, new: str) -> None:
        path = self.home / file
        text = path.read_text()
        assert old in text, f"{file} has no {old!r}: the seed no longer fits"
        path.write_text(text.replace(old, new, 1))

    def write(self, file: str, text: str) -> None:
        path = self.home / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def said(self, each: Check) -> list[str]:
        """Return what a check says of the house: `FILE: message`."""
        tree = check.read([], self.home)
        return [f"{spot.path.name}: {spot.message}" for spot in each.run(tree)]


@pytest.fixture
def house(tmp_path: Path) -> House:
    shutil.copytree(ROOT / "monitoring", tmp_path / "monitoring")
    shutil.copytree(ROOT / "docs" / "runbooks", tmp_path / "docs" / "runbooks")
    return House(tmp_path)


@pytest.fixture
def said_of(tmp_path: Path) -> Callable[[Check, str], list[str]]:
    """What a check says of one rule file of a user's own: `LINE: message`."""

    def run(each: Check, text: str) -> list[str]:
        path = tmp_path / "mine.yml"
        path.write_text(text)
        return [f"{spot.line}: {spot.message}" for spot in each.run(check.read([path], ROOT))]

    return run
