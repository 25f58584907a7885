"""From the lines of a file to events of several lines: parts joined, stack traces kept together, in order.

What belongs together follows from the bytes alone, read from the first line of a group on: a cursor never stands
inside one, so that a crash reads it again from its beginning, and its id is the same. Only a pause is no matter of
bytes: where a group was closed because nothing came is told to `cut`, which stores it before the group is sent.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from topmast_shipper.component import Line
from topmast_shipper.tail.frames import Decode, Frame, wrap
from topmast_shipper.tail.traces import Step


@dataclass(frozen=True)
class Framing:
    """How lines become events; bounds as SHIPPING.md section 5 has them."""

    decode: Decode | None = None
    """Takes the frame of a container engine off."""
    step: Step | None = None
    """Tells which lines are one."""
    max_lines: int = 500
    max_bytes: int = 1 << 20
    wait_seconds: float = 1.0
    """A group that nothing was added to for so long is complete."""


class Grouped(NamedTuple):
    """What the lines of one read make."""

    lines: list[Line]
    end: int
    """Where to go on: the beginning of what is not complete yet."""
    knots: tuple[tuple[int, int], ...] = ()
    """Where events lie across each other (two streams in one file): no cursor may stand inside."""
    cut: int | None = None
    """A pause closed what was open before this offset."""


@dataclass
class _Open:
    """Lines, or parts of a line, that more may come to."""

    start: int
    end: int
    frame: Frame
    texts: list[bytes] = field(default_factory=list)
    flags: dict[str, None] = field(default_factory=dict)
    size: int = 0
    state: str = ""

    def add(self, text: bytes, line: Line) -> None:
        self.texts.append(text)
        self.size += len(text)
        self.end = line.end
        self.flags |= dict.fromkeys(line.flags)

    def line(self, between: bytes, *flags: str) -> Line:
        frame = self.frame._replace(text=between.join(self.texts))
        return Line(wrap(frame), self.start, self.end, tuple(self.flags | dict.fromkeys(flags)))


class _Grouper:
    """One pass over the lines of one read."""

    def __init__(self, framing: Framing) -> None:
        self._framing = framing
        self._parts: dict[str, _Open] = {}
        self._groups: dict[str, _Open] = {}
        self.done: list[Line] = []

    def take(self, line: Line) -> None:
        """Add a line of the file: the whole of a program's line, or a part of one."""
        framing = self._framing
        frame = framing.decode(line.data) if framing.decode else Frame(line.data)
        if frame is None:
            self.done.append(line)  # not what it should be: on its own
            return
        parts = self._parts.get(frame.stream)
        if parts is None and frame.whole:
            self._whole(frame, line)
            return
        if parts is None:
            parts = self._parts[frame.stream] = _Open(line.start, line.end, frame)
        parts.add(frame.text, line)
        if frame.whole or parts.size >= framing.max_bytes:
            del self._parts[frame.stream]
            joined = Line(b"".join(parts.texts), parts.start, parts.end, tuple(parts.flags))
            if not frame.whole:
                joined = joined._replace(flags=(*joined.flags, "split"))
            self._whole(parts.frame._replace(text=joined.data), joined)

    def _whole(self, frame: Frame, line: Line) -> None:
        if not frame.text.strip():
            return  # blank, as everywhere
        step, group = self._framing.step, self._groups.get(frame.stream)
        if step is None:
            self.done.append(line._replace(data=wrap(frame)))
            return
        if group is not None:
            state = step(group.state, frame.text)
            if state:
                # blank lines are passed over, but a trace is easier to read with them
                gap = line.start > group.end and self._framing.decode is None
                group.add(b"\n" + frame.text if gap else frame.text, line)
                group.state = state
                if len(group.texts) >= self._framing.max_lines or group.size >= self._framing.max_bytes:
                    self._close(frame.stream, "split")
                return
            self._close(frame.stream)
        state = step("", frame.text)
        if not state:
            self.done.append(line._replace(data=wrap(frame)))
            return
        group = self._groups[frame.stream] = _Open(line.start, line.end, frame, state=state)
        group.add(frame.text, line)

    def _close(self, stream: str, *flags: str) -> None:
        self.done.append(self._groups.pop(stream).line(b"\n", *flags))

    def close(self) -> bool:
        """Complete everything that is open; return whether anything was."""
        any_open = bool(self._parts or self._groups)
        for stream, parts in list(self._parts.items()):
            del self._parts[stream]
            text = b"".join(parts.texts)
            flags = (*parts.flags, "unterminated")
            self._whole(parts.frame._replace(text=text), Line(text, parts.start, parts.end, flags))
        for stream in list(self._groups):
            self._close(stream)
        return any_open

    def open_starts(self) -> list[int]:
        return [each.start for opened in (self._parts, self._groups) for each in opened.values()]


def group(
    lines: Sequence[Line],
    end: int,
    framing: Framing,
    cuts: Iterable[int],
    max_groups: int,
    *,
    paused: bool,
    forced: bool,
) -> Grouped:
    """Return the complete events of the lines, at least one if there is any, `max_groups` if they are so many.

    `end` is where the lines end. `paused`: nothing has been added for a while; `forced`: there is no room to wait.
    """
    grouper = _Grouper(framing)
    waiting = sorted(cuts)
    for line in lines:
        while waiting and waiting[0] <= line.start:
            waiting.pop(0)
            grouper.close()
        grouper.take(line)
    cut = None
    if (waiting and waiting[0] <= end) or forced:
        grouper.close()
    elif paused and grouper.close():
        cut = end
    return _up_to_a_gap(grouper, end, max_groups, cut)


def _up_to_a_gap(grouper: _Grouper, end: int, max_groups: int, cut: int | None) -> Grouped:
    """Return the events up to a place that none lies across, about as many as asked for."""
    chosen: list[Line] = []
    knots: list[tuple[int, int]] = []
    stop = min(grouper.open_starts(), default=end)
    cluster: list[Line] = []
    reach = -1
    for line in [*sorted(grouper.done, key=lambda each: each.start), None]:
        if line is not None and line.start < reach:
            cluster.append(line)
            reach = max(reach, line.end)
            continue
        if cluster:
            if reach > stop or (chosen and len(chosen) + len(cluster) > max_groups):
                return Grouped(chosen, min(stop, cluster[0].start), tuple(knots), None)
            if len(cluster) > 1:
                knots.append((cluster[0].start, reach))
            chosen += sorted(cluster, key=lambda each: each.end)
        if line is not None:
            cluster, reach = [line], line.end
    return Grouped(chosen, stop, tuple(knots), cut)
