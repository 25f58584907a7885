"""Writes events to standard output, one JSON document a line. At least once."""

import sys
from collections.abc import Mapping, Sequence
from typing import Any, BinaryIO

from topmast_shipper.component import Kind, Receipt, Sink
from topmast_shipper.errors import PlaceError
from topmast_shipper.event import Event
from topmast_shipper.window import of


class StdoutSink:
    """Writes to a stream that somebody else opened and will close."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream

    def send(self, window: Sequence[Event]) -> Receipt:
        try:
            self._stream.write(b"\n".join((*of(window).documents, b"")))
            self._stream.flush()
        except OSError as error:
            raise PlaceError(f"stdout: {error.strerror}") from error
        return Receipt(settled=len(window))

    def check(self) -> str:
        return "standard output"

    def close(self) -> None:
        """The stream is not ours."""


def build(options: Mapping[str, Any]) -> Sink:
    del options
    return StdoutSink(sys.stdout.buffer)


SINK = Kind[Sink]("stdout", {"type": "object", "additionalProperties": False}, build)
