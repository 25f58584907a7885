"""sinks/stdout.py: JSON lines on a stream."""

import io
import json
from collections.abc import Callable, Sequence

import pytest
from topmast_shipper.component import Sink
from topmast_shipper.sinks.stdout import StdoutSink
from topmast_shipper.testing import SinkContract


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
