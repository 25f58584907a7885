"""How the documents of one shape are put together: pieces of the lines, text of ours, and two numbers.

All lines of a read at once, column by column; only times and levels are looked at, and of these each kind once.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import repeat
from operator import itemgetter
from typing import Generic, NamedTuple, TypeVar, cast

from topmast_shipper import timestamps
from topmast_shipper.ecs import FUTURE_MICROSECONDS, LEVELS, level_of
from topmast_shipper.event import Origin, keys

_MAX_MEMORY = 4096
_LEVEL_BYTES = {level: level.encode() for level in LEVELS}
_USUAL = set(_LEVEL_BYTES.values())
# `2026-11-22T21:16:00.123456Z`; one with milliseconds is shorter, what stands behind it does no harm.
_TIME_CHARACTERS = 27
_SECOND = itemgetter(slice(19))

Value = TypeVar("Value")


class Place(NamedTuple):
    """Where the lines of one read are from."""

    stream: str
    generation: int
    origin: Origin
    starts: Sequence[int]
    ends: Sequence[int]
    now: int
    """Microseconds since 1970."""

    def of(self, at: Sequence[int]) -> "Place":
        """Return the place of some of the lines."""
        return self._replace(starts=[self.starts[each] for each in at], ends=[self.ends[each] for each in at])


class Columns(NamedTuple):
    """The documents of lines of one shape, and what is known of them."""

    at: Sequence[int]
    """Which lines of the read."""
    documents: list[bytes]
    said: list[bytes | int]
    """Times, as they stand in the lines."""
    levels: list[str]
    services: list[str]
    bare: list[bool]
    """Whether an error is nothing but its message."""


class _Known(Generic[Value]):
    """Values that come again and again, understood once. Threads may share it: the worst is to think twice."""

    def __init__(self, understand: Callable[[bytes], Value]) -> None:
        self._understand = understand
        self._known: dict[bytes, Value] = {}

    def __call__(self, values: Iterable[bytes]) -> Mapping[bytes, Value]:
        """Return what these values mean, and others do."""
        known = self._known
        if len(known) > _MAX_MEMORY:
            known = self._known = {}
        for each in set(values) - known.keys():
            known[each] = self._understand(each)
        return known


class Memory:
    """What the shapes of one input have understood."""

    def __init__(self) -> None:
        self.levels = _Known[str](lambda text: level_of(text.decode()) or "")
        self.services = _Known[str](bytes.decode)


class Run(NamedTuple):
    """Values that stand side by side in the line and in the document: one group of the expression."""

    marks: tuple[str, ...]
    lead: str
    """Text before them that both have."""
    trail: str


class Template:
    """The documents of one shape and one origin."""

    def __init__(self, pieces: Sequence[tuple[str, ...]], runs: Sequence[Run], origin: Origin, bare: bool) -> None:
        """`pieces` in the order of the document: `text` and it, a run's first mark, or a number with its texts."""
        self._pieces = pieces
        self._group = {run.marks[0]: number for number, run in enumerate(runs)}
        self._time_at = len(runs[self._group["time"]].lead)
        self._service = origin.service
        self._bare = bare

    def columns(self, at: Sequence[int], parts: Sequence[tuple[bytes, ...]], place: Place, memory: Memory) -> Columns:
        """Return the documents of these lines, but of those whose time or level needs a longer road."""
        groups = list(zip(*parts, strict=True))
        first, last = self._time_at, self._time_at + _TIME_CHARACTERS
        said: list[bytes] = list(map(itemgetter(slice(first, last)), groups[self._group["time"]]))
        seconds, latest = set(map(_SECOND, said)), place.now + FUTURE_MICROSECONDS - 1_000_000
        late = [each for each in seconds if not 0 < timestamps.second(each) <= latest]
        level = groups[self._group["level"]]
        levels, kinds = memory.levels(level), set(level)
        strange = [each for each in kinds if not levels[each]]
        if late or strange:
            kept = [
                number
                for number, (text, each) in enumerate(zip(said, level, strict=True))
                if text[:19] not in late and each not in strange
            ]
            if not kept:
                return Columns((), [], [], [], [], [])
            return self.columns([at[each] for each in kept], [parts[each] for each in kept], place.of(kept), memory)
        written = level if kinds <= _USUAL else [_LEVEL_BYTES[levels[each]] for each in level]
        return Columns(
            at,
            self._documents(groups, written, place),
            cast("list[bytes | int]", said),
            list(map(levels.__getitem__, level)),
            self._services(groups, memory),
            [self._bare] * len(parts),
        )

    def _documents(self, groups: Sequence[Sequence[bytes]], levels: Sequence[bytes], place: Place) -> list[bytes]:
        columns: list[Iterable[bytes]] = []
        for what, *texts in self._pieces:
            if what == "text":
                columns.append(repeat(texts[0].encode()))
            elif what == "level":
                columns.append(levels)
            elif what in self._group:
                columns.append(groups[self._group[what]])
            else:
                columns.append(_numbers(what, place, *texts))
        return list(map(b"".join, zip(*columns, strict=False)))

    def _services(self, groups: Sequence[Sequence[bytes]], memory: Memory) -> list[str]:
        if "service" not in self._group:
            return [self._service] * len(groups[0])
        said = groups[self._group["service"]]
        return list(map(memory.services(said).__getitem__, said))


def _numbers(what: str, place: Place, before: str, after: str) -> Iterable[bytes]:
    """Return the id or the offset of each line, between two texts."""
    if what == "id":
        return keys(place.stream, place.generation, place.ends, before, after).encode().split(b"\n")
    before, after = (text.replace("%", "%%") for text in (before, after))
    return map(f"{before}%d{after}".encode().__mod__, place.starts)
