"""What the two servers of Lumberjack make of what they read, without a socket; and golden bytes of the wire.

The behaviour is what was measured of the real ones (the table of SHIPPING.md section 2.2).

Logstash: the Beats input 7.0.9 (its frame parser, and Jackson). Go: go-lumber 0.2.0 (its v2 reader, and
encoding/json), which Elastic Agent and Filebeat's lumberjack input stand on. Their differences are the point.
"""

import json
import re
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple, NoReturn, Protocol

from topmast_shipper.lumberjack import (
    MAX_WINDOW_EVENTS,
    Compressed,
    Frame,
    FrameError,
    Json,
    Window,
    decode,
    inflate,
)

# Jackson's StreamReadConstraints; Logstash itself raises the length of strings to 200 MB.
MAX_STRING_CHARACTERS = 20_000_000
_JACKSON_DIGITS = 1000
# encoding/json makes float64 of every number.
_FLOAT_DIGITS = 309
# Jackson ends here. encoding/json goes on to 10,000, which no test of ours needs.
_MAX_DEPTH = 1000
_STRINGS = re.compile(rb'"(?:[^"\\]|\\.)*"')


class Batch(NamedTuple):
    """What the server takes at once, and how it acknowledges that."""

    documents: tuple[Any, ...]
    acks: tuple[int, ...]


class RefusedError(Exception):
    """The server ends the connection; what it had taken of the window by then stays taken."""

    def __init__(self, message: str, *, reset: bool, taken: tuple[Any, ...] = ()) -> None:
        super().__init__(message)
        self.reset = reset
        self.taken = taken


class Reader(Protocol):
    """One connection's state."""

    def feed(self, data: bytes) -> Iterator[Batch]:
        """Yield what is complete now. Raises RefusedError."""


class LogstashReader:
    """Keeps a batch until it is as large as the last window frame said; parses when it is."""

    def __init__(self, max_string_characters: int = MAX_STRING_CHARACTERS) -> None:
        self._max_string_characters = max_string_characters
        self._buffer = bytearray()
        self._batch: list[Json] = []
        self._size = 0

    def feed(self, data: bytes) -> Iterator[Batch]:
        self._buffer += data
        try:
            yield from self._read(self._buffer)
        except FrameError as error:
            raise RefusedError(str(error), reset=True) from error

    def _read(self, data: bytearray) -> Iterator[Batch]:
        frames, used = decode(data)
        while frames:
            del data[:used]
            for frame in frames:
                yield from self._frame(frame)
            frames, used = decode(data)

    def _frame(self, frame: Frame) -> Iterator[Batch]:
        if isinstance(frame, Window):
            # a window that was not complete is answered as it is, and leaves its size to no one
            self._size = frame.events
            if self._batch:
                yield self._complete()
            elif not frame.events:
                yield Batch((), (0,))
        elif isinstance(frame, Json):
            self._batch.append(frame)
            if len(self._batch) == self._size:
                yield self._complete()
        elif isinstance(frame, Compressed):
            inner = bytearray(inflate(frame))
            yield from self._read(inner)
            if inner:
                raise FrameError("a torn frame inside a compressed one")
        else:
            raise FrameError("an acknowledgement from a client")

    def _complete(self) -> Batch:
        batch, self._batch, self._size = self._batch, [], 0
        highest = max(frame.sequence for frame in batch)
        documents: list[Any] = []
        for frame in batch:
            try:
                documents.append(self._parse(frame.payload))
            except (ValueError, RecursionError) as error:
                raise RefusedError(f"event {frame.sequence}: {error}", reset=True, taken=tuple(documents)) from error
        # every event with the highest number is acknowledged: three zeros are three times nothing
        return Batch(tuple(documents), tuple(highest for frame in batch if frame.sequence == highest))

    def _parse(self, payload: bytes) -> Any:
        value, _ = _decoder(_JACKSON_DIGITS).raw_decode(_shallow(payload).decode("utf-8").lstrip(" \t\r\n"))
        if value is not None and not isinstance(value, dict):
            raise ValueError(f"not an object: {payload[:40]!r}")
        if len(payload) > self._max_string_characters:
            _refuse_long_strings(value, self._max_string_characters)
        return value


class GoReader:
    """Wants a window, then exactly what it announced: frames, or one compressed frame."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._missing = 0
        self._documents: list[Any] = []

    def feed(self, data: bytes) -> Iterator[Batch]:
        self._buffer += data
        try:
            frames, used = decode(self._buffer)
            while frames:
                del self._buffer[:used]
                for frame in frames:
                    yield from self._frame(frame)
                frames, used = decode(self._buffer)
        except (ValueError, RecursionError) as error:  # FrameError is one
            raise RefusedError(str(error), reset=False) from error

    def _frame(self, frame: Frame) -> Iterator[Batch]:
        if isinstance(frame, Window):
            if self._missing:
                raise FrameError(f"a window frame where {self._missing} events are missing")
            if frame.events > MAX_WINDOW_EVENTS:
                raise RefusedError(f"a window of {frame.events} events", reset=True)
            self._missing = frame.events
            return
        if not self._missing:
            raise FrameError("no window frame")
        self._take(frame)
        if isinstance(frame, Compressed) and self._missing:
            raise FrameError(f"a compressed frame with {self._missing} events too few")
        if not self._missing:
            documents, self._documents = tuple(self._documents), []
            yield Batch(documents, (len(documents),))

    def _take(self, frame: Frame) -> None:
        if isinstance(frame, Json) and self._missing:
            self._documents.append(_go_parse(frame.payload))
            self._missing -= 1
        elif isinstance(frame, Compressed):
            data = inflate(frame)
            frames, used = decode(data)
            for each in frames:
                self._take(each)
            if used != len(data):
                raise FrameError("a torn frame inside a compressed one")
        else:
            raise FrameError("a frame in the wrong place")


def _go_parse(payload: bytes) -> Any:
    return _decoder(_FLOAT_DIGITS).decode(_shallow(payload).decode("utf-8", "replace"))


def _decoder(max_digits: int) -> json.JSONDecoder:
    def number(digits: str) -> int:
        if len(digits) > max_digits:
            raise ValueError(f"a number of {len(digits)} digits")
        return int(digits)

    def constant(name: str) -> NoReturn:
        raise ValueError(f"{name} is not JSON")

    return json.JSONDecoder(parse_int=number, parse_constant=constant)


def _shallow(payload: bytes) -> bytes:
    """Return the payload. Raises ValueError when it is nested deeper than the parsers go."""
    if payload.count(b"[") + payload.count(b"{") > _MAX_DEPTH:
        depth = 0
        for byte in _STRINGS.sub(b"", payload):
            depth += (byte in b"[{") - (byte in b"]}")
            if depth > _MAX_DEPTH:
                raise ValueError(f"nested deeper than {_MAX_DEPTH}")
    return payload


def _refuse_long_strings(value: Any, max_characters: int) -> None:
    if isinstance(value, str) and len(value) > max_characters:
        raise ValueError(f"a string of {len(value)} characters")
    for each in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        _refuse_long_strings(each, max_characters)


READERS: dict[str, Callable[[], Reader]] = {"logstash": LogstashReader, "go-lumber": GoReader}


class Golden(NamedTuple):
    """Bytes as they must be on the wire, what they say, and what both servers answer."""

    name: str
    client: bytes
    documents: tuple[bytes, ...]
    server: bytes


GOLDEN = (
    Golden(
        "one",
        bytes.fromhex("32 57 00000001   32 4A 00000001 00000007 7B2261223A317D"),
        (b'{"a":1}',),
        bytes.fromhex("32 41 00000001"),
    ),
    Golden(
        "two",
        bytes.fromhex(
            """
            32 57 00000002
            32 4A 00000001 00000007 7B2261223A317D
            32 4A 00000002 0000000A 7B2262223A22C3A4227D
            """
        ),
        (b'{"a":1}', '{"b":"ä"}'.encode()),
        bytes.fromhex("32 41 00000002"),
    ),
    # the stream is what zlib's level 1 makes of the frames above; another compressor's may differ
    Golden(
        "compressed",
        bytes.fromhex(
            """
            32 57 00000002
            32 43 00000028
            780133F2626060600462F66AA544252BC35A239000131073552B252959291D5EA2540B005F1D0698
            """
        ),
        (b'{"a":1}', '{"b":"ä"}'.encode()),
        bytes.fromhex("32 41 00000002"),
    ),
)
