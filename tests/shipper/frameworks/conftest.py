"""What a framework's own process left in a spool."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from topmast_shipper.records import decode

Records = Callable[[], list[dict[str, Any]]]


@pytest.fixture
def records(tmp_path: Path) -> Iterator[Records]:
    """Return what reads the spool of a process that was given TMP/spool."""

    def read() -> list[dict[str, Any]]:
        found = []
        for path in sorted((tmp_path / "spool").glob("*.seg")):
            found += [json.loads(each.payload) for each in decode(path.read_bytes(), 0, 10_000, final=False).records]
        return sorted(found, key=lambda each: each["@timestamp"])

    yield read
