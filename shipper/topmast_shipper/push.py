"""What others send in: taken into a spool first, and from there on a source like any other.

A sender has its answer when the records are in the spool, which outlives this process. The spool is bounded: when its
bytes are not settled fast enough, the sender is told to come again, or, where it cannot be told, it is counted.
"""

import os
import threading
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Protocol

from topmast_shipper.component import Line, Parser, Source
from topmast_shipper.event import Event
from topmast_shipper.inputs.spool import Config as SpoolConfig
from topmast_shipper.inputs.spool import SpoolInput
from topmast_shipper.records import MAX_PAYLOAD_BYTES, Writer
from topmast_shipper.rooms import Setting

MAX_SPOOL_BYTES = 1 << 30
# How often the spool's size is looked at; in between it is reckoned.
_LOOK_SECONDS = 0.5
_SEGMENT_BYTES = 8 << 20


class FullError(Exception):
    """The spool holds as much as it may, or its disk is full: come again later."""


class Pushing(Protocol):
    """What the configurations of all inputs that are sent to have."""

    @property
    def name(self) -> str: ...
    @property
    def service(self) -> str: ...
    @property
    def redact(self) -> Any: ...
    @property
    def max_spool_bytes(self) -> int: ...


class Pushed:
    """The spool behind an input that is sent to. `put` may be called from many threads."""

    def __init__(self, config: Pushing, parser: Parser, setting: Setting) -> None:
        self.name = config.name
        self.service = config.service
        self._folder = setting.data / f"spool-{config.name}"
        self._max_bytes = config.max_spool_bytes
        self._lost = setting.lost
        self._clock: Callable[[], float] = setting.clock
        self._writer = Writer(str(self._folder), config.name, _SEGMENT_BYTES)
        spool = SpoolConfig(config.name, self._folder, parser, config.service, config.redact)
        self._spool = SpoolInput(spool, parser, setting)
        self._lock = threading.Lock()
        self._size = 0
        self._looked = -_LOOK_SECONDS

    def put(self, lines: Sequence[bytes]) -> None:
        """Take lines in; they outlive this process when this returns. Raises FullError, and then none was taken.

        A line beyond a megabyte keeps its beginning; what was cut off is counted.
        """
        payloads = [line if len(line) <= MAX_PAYLOAD_BYTES else self._cut(line) for line in lines]
        with self._lock:
            size = sum(map(len, payloads))
            if self._held() + size > self._max_bytes:
                raise FullError(f"{self.name}: {self._max_bytes} bytes are waiting to be stored")
            try:
                self._writer.append_many(payloads)
            except OSError as error:
                raise FullError(f"{self.name}: {error.strerror}") from error
            self._size += size

    def drop(self, reason: str, size: int) -> None:
        """Count what could not be taken from a sender that cannot be told."""
        self._lost(reason, size)

    def _cut(self, line: bytes) -> bytes:
        self._lost("too_long", len(line) - MAX_PAYLOAD_BYTES)
        return line[:MAX_PAYLOAD_BYTES]

    def _held(self) -> int:
        now = self._clock()
        if now - self._looked >= _LOOK_SECONDS:
            self._looked = now
            try:
                with os.scandir(self._folder) as entries:
                    self._size = sum(each.stat().st_size for each in entries)
            except FileNotFoundError:
                self._size = 0
        return self._size

    @property
    def open_files(self) -> int:
        return self._spool.open_files

    def sweep(self) -> bool:
        return self._spool.sweep()

    def sources(self) -> Sequence[Source]:
        return self._spool.sources()

    def folders(self) -> Iterable[str]:
        return self._spool.folders()

    def events(self, source: Source, lines: Sequence[Line], now: float) -> Sequence[Event]:
        return self._spool.events(source, lines, now)

    def close(self) -> None:
        with self._lock:
            self._writer.close()
        self._spool.close()
