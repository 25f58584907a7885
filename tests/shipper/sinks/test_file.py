"""sinks/file.py: JSON lines, appended."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from topmast_shipper.component import Sink
from topmast_shipper.errors import TransientError
from topmast_shipper.sinks.file import SINK
from topmast_shipper.testing import SinkContract, events


class TestFile(SinkContract):
    once = False

    @pytest.fixture
    def sink(self, tmp_path: Path) -> Sink:
        return SINK.build({"path": str(tmp_path / "out.ndjson")})

    @pytest.fixture
    def stored(self, tmp_path: Path) -> Callable[[], Sequence[str]]:
        path = tmp_path / "out.ndjson"
        return lambda: [json.loads(line)["event"]["id"] for line in path.read_text().splitlines()]


def test_a_folder_that_cannot_be_written_is_tried_again(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    sink = SINK.build({"path": str(tmp_path / "file" / "out.ndjson")})

    with pytest.raises(TransientError, match=r"out\.ndjson: "):
        sink.send(events(1))
