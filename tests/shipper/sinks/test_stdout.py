"""sinks/stdout.py: JSON lines on a stream."""

import io
import json
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from topmast_shipper.component import Sink
from topmast_shipper.errors import PlaceError
from topmast_shipper.sinks.stdout import StdoutSink
from topmast_shipper.testing import SinkContract, event


class TestStdout(SinkContract):
    once = False

    @pytest.fixture
    def stream(self) -> io.BytesIO:
        return io.BytesIO()

    @pytest.fixture
    def sink(self, stream: io.BytesIO) -> Sink:
        return StdoutSink(stream)

    @pytest.fixture
    def stored(self, stream: io.BytesIO) -> Callable[[], Sequence[str]]:
        return lambda: [json.loads(line)["event"]["id"] for line in stream.getvalue().splitlines()]


def test_a_reader_that_is_gone_is_told_once_for_all() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    gone: list[bool] = []

    with os.fdopen(writer, "wb", buffering=0) as stream, pytest.raises(PlaceError, match="Broken pipe"):
        StdoutSink(stream, lambda: gone.append(True)).send([event(0)])

    assert gone == [True]


def test_a_shipper_whose_reader_leaves_ends(tmp_path: Path) -> None:
    (tmp_path / "app.log").write_text("one\ntwo\n" * 10_000)
    config = tmp_path / "topmast.yml"
    config.write_text(
        "shipper:\n  listen: ''\n  data: data\n"
        "  inputs: [{file: {name: app, paths: [app.log]}}]\n  sinks: [{stdout: {}}]\n"
    )
    argv = [sys.executable, "-m", "topmast_shipper", "-c", str(config)]
    with (
        (tmp_path / "told").open("wb") as told,
        subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=told) as process,
    ):
        assert process.stdout is not None
        first = process.stdout.readline()
        process.stdout.close()

        code = process.wait(30)

    said = (tmp_path / "told").read_text()
    assert json.loads(first)["message"] == "one"
    assert (code, "nobody reads standard output any more" in said, "Traceback" in said) == (141, True, False)
