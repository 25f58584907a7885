"""Lumberjack version 2, the wire of Beats and Logstash, as bytes: windows out, acknowledgements and frames in.

Source: the protocol as two real servers speak it (SHIPPING.md section 2). All integers are unsigned, 32 bits,
big-endian. A window is one `W` and, compressed, one `C` (go-lumber closes on two); its sequence numbers begin at
1, so that Logstash's acknowledgement (the highest sequence number) and go-lumber's (the count) are the same.

    window      32 57 count
    JSON        32 4A sequence length payload
    compressed  32 43 length zlib(whole frames)
    ack         32 41 sequence                      server to client; 0 says "alive, not done yet"
"""

import struct
import zlib
from collections.abc import Callable, Sequence
from functools import cache
from typing import NamedTuple

# go-lumber 0.2 resets a connection that announces more.
MAX_WINDOW_EVENTS = 10_000
_TLS_ALERT = b"\x15\x03"
KEEP_ALIVE = b"2A\0\0\0\0"
# Built once, looked up for every event: half the time of packing each header.
_COMMON_LENGTHS = 4096
_pack_integer = struct.Struct(">I").pack
_unpack_integer = struct.Struct(">I").unpack_from


class FrameError(ValueError):
    """The bytes are not Lumberjack, or say what cannot be: the connection is of no more use."""


class ForeignError(FrameError):
    """The other side does not speak Lumberjack version 2 at all."""


class Window(NamedTuple):
    """So many JSON frames follow, and want one acknowledgement."""

    events: int


class Json(NamedTuple):
    """One event."""

    sequence: int
    payload: bytes


class Compressed(NamedTuple):
    """Whole frames as a zlib stream."""

    payload: bytes


class Ack(NamedTuple):
    """All events up to this sequence number are the server's now."""

    sequence: int


Frame = Window | Json | Compressed | Ack


def encode_window(documents: Sequence[bytes], compress: bool = True) -> bytes:
    """Return a window of these JSON objects, to be written at once; none make the empty window."""
    count = len(documents)
    header = b"2W" + _pack_integer(count)
    if not count:
        return header
    beginnings, lengths = _beginnings(count), _lengths()
    parts = [b""] * (3 * count)
    parts[0::3] = beginnings[:count] if len(beginnings) > count else beginnings
    sizes = list(map(len, documents))
    parts[1::3] = map(lengths.__getitem__ if max(sizes) < _COMMON_LENGTHS else _pack_integer, sizes)
    parts[2::3] = documents
    if not compress:
        return header + b"".join(parts)
    packed = deflater()(b"".join(parts))
    return b"".join((header, b"2C", _pack_integer(len(packed)), packed))


def encode_ack(sequence: int) -> bytes:
    return b"2A" + _pack_integer(sequence)


class Acknowledgements:
    """Follows the answers to one window of `count` events, however they are cut into pieces."""

    def __init__(self, count: int) -> None:
        self.count = count
        self.settled = 0
        """Events from the beginning of the window that are the server's now."""
        self.keep_alives = 0
        self._rest = b""

    @property
    def complete(self) -> bool:
        return self.settled == self.count and not self._rest

    def feed(self, data: bytes) -> None:
        """Take what was read. Raises FrameError, and ForeignError for what is no Lumberjack; `settled` stays true."""
        data = self._rest + data
        whole = len(data) - len(data) % 6
        for start in range(0, whole, 6):
            if data[start : start + 2] != b"2A":
                raise _foreign(data, start)
            sequence: int = _unpack_integer(data, start + 2)[0]
            if sequence > self.count:
                raise FrameError(f"acknowledges {sequence} of {self.count} events")
            if sequence == 0:
                self.keep_alives += 1
            # cumulative: an older answer that comes late takes nothing back
            self.settled = max(self.settled, sequence)
        self._rest = data[whole:]
        if not b"2A".startswith(self._rest[:2]):
            raise _foreign(data, whole)


def decode(data: bytes | bytearray, max_bytes: int = 64 << 20) -> tuple[list[Frame], int]:
    """Return the whole frames that `data` begins with, and how many bytes they take; the rest is not there yet.

    Raises FrameError when what comes first has another version, an unknown type, an empty payload, or one of more
    than `max_bytes`; behind whole frames that is left to the next call.
    """
    frames: list[Frame] = []
    at = 0
    try:
        while (found := _frame(data, at, max_bytes)) is not None:
            frame, at = found
            frames.append(frame)
    except FrameError:
        if not frames:
            raise
    return frames, at


def _frame(data: bytes | bytearray, at: int, max_bytes: int) -> tuple[Frame, int] | None:
    """Return the frame at that place and where it ends; None when it is not all there."""
    kind = bytes(data[at : at + 2])
    if not kind or kind == b"2":
        return None
    if kind not in (b"2W", b"2A", b"2J", b"2C"):
        raise _foreign(data, at)
    header = 10 if kind == b"2J" else 6
    if len(data) - at < header:
        return None
    number: int = _unpack_integer(data, at + header - 4)[0]
    end = at + header
    if kind == b"2W":
        return Window(number), end
    if kind == b"2A":
        return Ack(number), end
    if not 1 <= number <= max_bytes:
        raise FrameError(f"a frame of {number} bytes")
    if len(data) < end + number:
        return None
    payload = bytes(data[end : end + number])
    end += number
    return (Json(_unpack_integer(data, at + 2)[0], payload) if kind == b"2J" else Compressed(payload)), end


def inflate(frame: Compressed, max_bytes: int = 64 << 20) -> bytes:
    """Return the bytes inside. Raises FrameError when it is no zlib stream, a torn one, or more than `max_bytes`."""
    stream = zlib.decompressobj()
    try:
        data = stream.decompress(frame.payload, max_bytes + 1)
    except zlib.error as error:
        raise FrameError(f"not a zlib stream: {error}") from error
    if len(data) > max_bytes:
        raise FrameError(f"inflates to more than {max_bytes} bytes")
    if not stream.eof or stream.unused_data:
        raise FrameError("not one whole zlib stream")
    return data


@cache
def deflater() -> Callable[[bytes], bytes]:
    """Return the fastest zlib compression there is: ISA-L (the extra `fast`), else the standard library's.

    Level 1 of ISA-L takes a quarter of the time of zlib's level 1, and packs tighter (SHIPPING.md section 6.4).
    """
    try:
        from isal import isal_zlib
    except ImportError:
        return lambda data: zlib.compress(data, 1)
    return lambda data: isal_zlib.compress(data, 1)


@cache
def _lengths() -> tuple[bytes, ...]:
    return tuple(map(_pack_integer, range(_COMMON_LENGTHS)))


@cache
def _common_beginnings() -> tuple[bytes, ...]:
    return tuple(b"2J" + _pack_integer(sequence) for sequence in range(1, 2049))


def _beginnings(count: int) -> Sequence[bytes]:
    """Return at least `count` beginnings of JSON frames, with sequence numbers from 1."""
    common = _common_beginnings()
    if count <= len(common):
        return common
    if count > MAX_WINDOW_EVENTS:
        raise ValueError(f"a window of {count} events; servers take {MAX_WINDOW_EVENTS}")
    return [b"2J" + _pack_integer(sequence) for sequence in range(1, count + 1)]


def _foreign(data: bytes | bytearray, at: int) -> ForeignError:
    said = bytes(data[at : at + 16])
    # a TLS record: alert, version 3.x (RFC 8446 section 5.1)
    return ForeignError(f"not Lumberjack version 2 but {'TLS' if said.startswith(_TLS_ALERT) else repr(said)}")
