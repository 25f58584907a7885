"""Events as columns: what a window of them is made of, so that no value a line is made where nobody looks at one.

A window is a sequence of `Event` to whoever asks for one; a sink that only wants the documents takes that column.
"""

from bisect import bisect_right
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import accumulate, chain
from typing import Any, overload

from topmast_shipper import timestamps
from topmast_shipper.event import Event, Origin, Position, keys


@dataclass(frozen=True, slots=True)
class Rows(Sequence[Event]):
    """The events of one read of one source, completed; all columns have one length."""

    stream: str
    generation: int
    origin: Origin
    read_at: float
    lines: Sequence[bytes]
    starts: Sequence[int]
    ends: Sequence[int]
    documents: Sequence[bytes]
    said: Sequence[bytes | int]
    """`@timestamp` as microseconds since 1970, or as it stands in the document: few sinks ask for the time."""
    levels: Sequence[str]
    services: Sequence[str]
    bare: Sequence[bool]
    """Whether an error is nothing but its message."""
    flags: dict[int, tuple[str, ...]] = field(default_factory=dict)
    """Of the rows that have any."""

    def __len__(self) -> int:
        return len(self.documents)

    @overload
    def __getitem__(self, at: int) -> Event: ...
    @overload
    def __getitem__(self, at: slice) -> "Rows": ...
    def __getitem__(self, at: int | slice) -> "Event | Rows":
        if isinstance(at, slice):
            return self._cut(*at.indices(len(self))[:2])
        at = range(len(self))[at]
        return Event(
            self.lines[at],
            Position(self.stream, self.generation, self.ends[at]),
            self.starts[at],
            self.origin,
            self.read_at,
            self.flags.get(at, ()),
            self.documents[at],
            _micros(self.said[at]),
            self.levels[at],
            self.services[at],
        )

    @property
    def ids(self) -> list[str]:
        return keys(self.stream, self.generation, self.ends).split("\n") if self.ends else []

    @property
    def times(self) -> list[int]:
        return list(map(_micros, self.said))

    def _cut(self, first: int, last: int) -> "Rows":
        if first == 0 and last == len(self):
            return self
        part = slice(first, last)
        return Rows(
            self.stream,
            self.generation,
            self.origin,
            self.read_at,
            self.lines[part],
            self.starts[part],
            self.ends[part],
            self.documents[part],
            self.said[part],
            self.levels[part],
            self.services[part],
            self.bare[part],
            {at - first: flags for at, flags in self.flags.items() if first <= at < last},
        )


class Window(Sequence[Event]):
    """Some reads one behind the other."""

    def __init__(self, pieces: Sequence[Rows] = ()) -> None:
        self.pieces = tuple(piece for piece in pieces if piece)
        self._ends = tuple(accumulate(map(len, self.pieces)))

    def __len__(self) -> int:
        return self._ends[-1] if self._ends else 0

    @overload
    def __getitem__(self, at: int) -> Event: ...
    @overload
    def __getitem__(self, at: slice) -> "Window": ...
    def __getitem__(self, at: int | slice) -> "Event | Window":
        if isinstance(at, slice):
            return self._cut(*at.indices(len(self))[:2])
        at = range(len(self))[at]
        piece = bisect_right(self._ends, at)
        return self.pieces[piece][at - (self._ends[piece - 1] if piece else 0)]

    def __iter__(self) -> Iterator[Event]:
        return chain.from_iterable(self.pieces)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and list(self) == list(other)

    __hash__ = None  # type: ignore[assignment] # it compares as a sequence of events does

    @cached_property
    def documents(self) -> Sequence[bytes]:
        """What goes out, nested ECS as JSON."""
        return self._column("documents")

    @cached_property
    def ids(self) -> Sequence[str]:
        return self._column("ids")

    @cached_property
    def times(self) -> Sequence[int]:
        """Microseconds since 1970."""
        return self._column("times")

    @cached_property
    def levels(self) -> Sequence[str]:
        return self._column("levels")

    @cached_property
    def services(self) -> Sequence[str]:
        return self._column("services")

    @cached_property
    def bare(self) -> Sequence[bool]:
        """Whether an error is nothing but its message, so that nobody needs to look for more."""
        return self._column("bare")

    def counts(self) -> Counter[tuple[str, str]]:
        """Return how many events there are of each service and level."""
        services = set(self.services)
        if len(services) == 1:
            (service,) = services
            return Counter({(service, level): count for level, count in Counter(self.levels).items()})
        return Counter(zip(self.services, self.levels, strict=True))

    def _column(self, name: str) -> Sequence[Any]:
        if len(self.pieces) == 1:
            column: Sequence[Any] = getattr(self.pieces[0], name)
            return column
        return list(chain.from_iterable(getattr(piece, name) for piece in self.pieces))

    def _cut(self, first: int, last: int) -> "Window":
        if first == 0 and last >= len(self):
            return self
        found, begin = [], 0
        for piece, end in zip(self.pieces, self._ends, strict=True):
            if end > first and begin < last:
                found.append(piece[max(0, first - begin) : min(end, last) - begin])
            begin = end
        return Window(found)


def _micros(said: bytes | int) -> int:
    return said if isinstance(said, int) else timestamps.of_canonical(said)


def of(window: Sequence[Event]) -> Window:
    """Return the events as a window; what is one already is not touched."""
    return window if isinstance(window, Window) else Window([rows_of([event]) for event in window])


def rows_of(events: Sequence[Event]) -> Rows:
    """Return the events of one read of one source as rows; what are rows already is not touched."""
    if isinstance(events, Rows):
        return events
    if not events:
        return Rows("", 0, Origin(""), 0.0, (), (), (), (), (), (), (), ())
    first = events[0]
    return Rows(
        first.end.stream,
        first.end.generation,
        first.origin,
        first.read_at,
        [event.line for event in events],
        [event.start for event in events],
        [event.end.offset for event in events],
        [event.json for event in events],
        [event.time for event in events],
        [event.level for event in events],
        [event.service for event in events],
        [False] * len(events),
        {at: event.flags for at, event in enumerate(events) if event.flags},
    )
