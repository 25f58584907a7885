"""One log line on its way: where it ends, who read it, what it says.

`Event.id` follows from the position alone (SHIPPING.md, section 4), so that a line that is sent twice is the
same document twice: at least once on the wire, once in the store.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple


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


@dataclass(frozen=True, slots=True)
class Origin:
    """Who read a line and where: the same value for all lines of a file."""

    input: str
    path: str = ""
    service: str = ""
    """`service.name` of lines that do not name their own."""


@dataclass(frozen=True, slots=True)
class Event:
    """A line as read, then (with `document` set) as parsed."""

    message: str
    end: Position
    """Right behind the line: the checkpoint after it, and its identity."""
    start: int
    """Offset of the line's first byte (`log.offset`)."""
    origin: Origin
    read_at: float
    """Unix seconds; `@timestamp` of a line that has no time of its own."""
    flags: tuple[str, ...] = ()
    """`unterminated`, `split`, `invalid_utf8`: what was unusual about the bytes."""
    document: Mapping[str, Any] = field(default_factory=dict)
    """Nested ECS; empty until parsed."""
    time: int = 0
    """`@timestamp` as microseconds since 1970, once parsed."""

    @property
    def id(self) -> str:
        return self.end.key
