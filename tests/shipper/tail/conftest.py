"""A folder with one log, and who follows what is in it."""

from pathlib import Path

import pytest
from tailing import Reader


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "app.log"


@pytest.fixture
def reader(tmp_path: Path) -> Reader:
    return Reader(tmp_path)
