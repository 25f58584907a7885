"""One log line on its way: where it ends, who read it, what it says.

`Event.id` follows from the position alone (SHIPPING.md, section 4), so that a line that is sent twice is the
same document twice: at least once on the wire, once in the store.
"""

import sys
from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import orjson


class Position(NamedTuple):
    """A place between two lines: byte `offset` of one generation of one stream."""

    stream: str
    """16 characters of base32hex, fixed once the first complete line of the file is there."""
    generation: int
    """Counts the contents that began with the same line in the same file: 0, 1, …"""
    offset: int

    @property
    def key(self) -> str:
        """The position as 32 characters that sort as positions do within a generation."""
        return f"{self.stream}{self.generation:04x}{self.offset:012x}"


# Of the 16 hexadecimal digits behind the stream, 12 are the offset's.
_OFFSET_BITS = 48
_GENERATIONS = 1 << 16


def keys(stream: str, generation: int, offsets: Sequence[int], before: str = "", after: str = "") -> str:
    """Return the keys of positions, one a line, each between the two texts: a third of the time of each by itself."""
    beginning = before + stream
    if generation >= _GENERATIONS or max(offsets, default=0) >> _OFFSET_BITS:
        return "\n".join(f"{before}{Position(stream, generation, each).key}{after}" for each in offsets)
    high = generation << _OFFSET_BITS
    numbers = array("Q", map(high.__or__, offsets) if high else offsets)
    if sys.byteorder == "little":
        numbers.byteswap()
    return beginning + numbers.tobytes().hex("\n", numbers.itemsize).replace("\n", f"{after}\n{beginning}") + after


@dataclass(frozen=True, slots=True)
class Origin:
    """Who read a line and where: the same value for all lines of a file."""

    input: str
    path: str = ""
    service: str = ""
    """`service.name` of lines that do not name their own."""


class Event(NamedTuple):
    """A line as read, then (with `json` set) as completed.

    The document is carried as the bytes that go out: taken apart, a window weighs five times as much, and a wire
    needs no more than the bytes.
    """

    line: bytes
    end: Position
    """Right behind the line: the checkpoint after it, and its identity."""
    start: int
    """Offset of the line's first byte (`log.offset`)."""
    origin: Origin
    read_at: float
    """Unix seconds; `@timestamp` of a line that has no time of its own."""
    flags: tuple[str, ...] = ()
    """`unterminated`, `split`, `invalid_utf8`: what was unusual about the bytes."""
    json: bytes = b""
    """The document, nested ECS; empty until completed."""
    time: int = 0
    """`@timestamp` as microseconds since 1970, once completed; so are the next two."""
    level: str = ""
    service: str = ""
    """`service.name`; empty when there is none."""

    @property
    def id(self) -> str:
        return self.end.key

    @property
    def message(self) -> str:
        """The line as text; bytes that are no UTF-8 stay readable as `\\xff`."""
        return self.line.decode("utf-8", "backslashreplace")

    @property
    def document(self) -> dict[str, Any]:
        """The document as values, read from `json` anew each time; empty until completed."""
        found: dict[str, Any] = orjson.loads(self.json) if self.json else {}
        return found
