"""Writes events to standard output, one JSON document a line. At least once.

When nobody reads it any more (`topmast ship -c FILE | head -1`), the shipper ends, as every program does there.
"""

import logging
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO

from topmast_shipper.component import Kind, Receipt, Sink, Written
from topmast_shipper.errors import PlaceError
from topmast_shipper.event import Event
from topmast_shipper.window import of

_log = logging.getLogger(__name__)
# 128 + SIGPIPE, as a shell tells a program that wrote where nobody read
EXIT_PIPE = 141


def end() -> None:
    """End the process at once, as SIGPIPE does: what is in hand is sent again at the next start.

    The signal itself is ignored, for the connections of other sinks bring it too.
    """
    os._exit(EXIT_PIPE)


class StdoutSink:
    """Writes to a stream that somebody else opened and will close. `unread` is called when nobody reads it."""

    def __init__(self, stream: BinaryIO, unread: Callable[[], None] = end) -> None:
        self._stream = stream
        self._unread = unread
        # the file that it was redirected to, where it was
        self.written = (Written(Path("/dev/stdout")),)

    def send(self, window: Sequence[Event]) -> Receipt:
        try:
            self._stream.write(b"\n".join((*of(window).documents, b"")))
            self._stream.flush()
        except BrokenPipeError as error:
            _log.info("nobody reads standard output any more: the shipper ends")
            self._unread()
            raise PlaceError(f"stdout: {error.strerror}") from error
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
