"""A setting for inputs of their own, and what is behind a sink's cursors."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from topmast_shipper.checkpoint import Checkpoint
from topmast_shipper.component import Cursor, Input
from topmast_shipper.rooms import Setting

Documents = Callable[[Input, int], list[dict[str, Any]]]


@pytest.fixture
def lost() -> list[tuple[str, int]]:
    return []


@pytest.fixture
def setting(tmp_path: Path, lost: list[tuple[str, int]]) -> Iterator[Setting]:
    checkpoint = Checkpoint(tmp_path / "state")
    yield Setting(
        base=tmp_path,
        data=tmp_path / "state",
        checkpoint=checkpoint,
        sinks=("one", "two"),
        inputs=("app",),
        lost=lambda reason, size: lost.append((reason, size)),
        clock=time.monotonic,
    )
    checkpoint.close()


@pytest.fixture
def documents() -> Documents:
    """Return what reads the documents of an input, as soon as there are so many."""

    def read(made: Input, count: int) -> list[dict[str, Any]]:
        deadline = time.monotonic() + 20
        while True:
            made.sweep()
            found: list[dict[str, Any]] = []
            for source in made.sources():
                block = source.read(Cursor(), 1 << 22, 100_000)
                if block is not None:
                    found += [each.document for each in made.events(source, block.lines, time.time())]
            if len(found) >= count or time.monotonic() > deadline:
                return found
            time.sleep(0.01)

    return read
