"""From the lines of a source to completed events: the parser says what a line is, ECS says where it belongs.

Records of a shape that came before take the shortest road (`shapes`), others that are ECS already a short one
(`swift`); whatever is unusual, the careful one (`ecs`). All give the same document.
"""

import re
from base64 import b64encode
from collections.abc import Sequence
from datetime import UTC, tzinfo
from typing import Any

from topmast_shipper import ecs
from topmast_shipper.component import Line, Parser, Source
from topmast_shipper.event import Event, Position
from topmast_shipper.parsers import json_lines
from topmast_shipper.redacting import redacted
from topmast_shipper.redaction import Redactor
from topmast_shipper.shapes import Shapes
from topmast_shipper.swift import Swift
from topmast_shipper.tail.lines import Lines, text
from topmast_shipper.template import Columns, Place
from topmast_shipper.window import Rows

# Colours and what else a terminal obeys (ECMA-48: CSI, OSC, two-character sequences).
_ANSI = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]{0,4096}(?:\x07|\x1b\\)|[@-Z\\^_a-z])")
_MAX_RAW_BYTES = 65_536


class Intake:
    """One parser at work. May be called from the threads of several sinks."""

    def __init__(self, parser: Parser, zone: tzinfo = UTC, redactor: Redactor | None = None) -> None:
        """`zone` is for times that name none; a `redactor` takes secrets out of the lines first."""
        self._parser = parser
        self._zone = zone
        self._redactor = redactor
        self._swift = Swift()
        self._shapes = Shapes() if parser is json_lines.parse else None

    def events(self, source: Source, lines: Sequence[Line], now: float) -> Rows:
        """Return the lines as completed events, one each. Never raises."""
        if self._redactor is not None:
            lines = redacted(lines, self._redactor)
        taken = _Taken(source, lines, now)
        missing: Sequence[int] = range(len(lines))
        while missing:
            if self._shapes is not None:
                some, place = taken.plain(missing)
                for columns in self._shapes.read(some, place):
                    taken.fill(columns, missing)
            for at in taken.missing():
                event, usual = self._one(taken.line(at))
                taken.put(at, event)
                # what a shape was learnt from has likes in the rest
                if usual and self._shapes is not None and self._shapes.learn(event.line, source.origin):
                    break
            missing = taken.missing()
        return taken.rows()

    def _one(self, event: Event) -> tuple[Event, bool]:
        """Return the event completed, and whether it took the short road."""
        line, end, start, origin, now, flags, *_ = event
        if not flags and b"\x1b" not in line:
            try:
                found = self._swift.complete(line, end, start, origin, now, self._parser(line.decode()))
            except Exception:  # noqa: BLE001 - the guard: the careful road says what is wrong with it
                found = None
            if found is not None:
                return found, True
        return self._carefully(event), False

    def _carefully(self, event: Event) -> Event:
        message, valid = text(event.line)
        if not valid:
            event = event._replace(flags=(*event.flags, "invalid_utf8"))
        try:
            plain = _ANSI.sub("", message) if "\x1b" in message else message
            found: dict[str, Any] = self._parser(plain)
            if plain is not message:
                found.setdefault("event.original", message)
        except Exception as error:  # noqa: BLE001 - the guard: a parser's fault costs a field, never the line
            found = {"message": message, "error.type": "parser", "error.message": repr(error)[:200]}
        if not valid and len(event.line) <= _MAX_RAW_BYTES:
            # what stands for a byte in the text may have stood there as text
            found = {**found, "labels.raw_base64": b64encode(event.line).decode()}
        return ecs.complete(event, found, self._zone)


class _Taken:
    """The lines of one read, and what is made of them so far."""

    def __init__(self, source: Source, lines: Sequence[Line], now: float) -> None:
        self._source = source
        self._now = now
        if isinstance(lines, Lines):
            self._data, self._starts, self._ends = lines.data, lines.starts, lines.ends
            self._flags: dict[int, tuple[str, ...]] = {}
        else:
            self._data, self._starts = [line.data for line in lines], [line.start for line in lines]
            self._ends = [line.end for line in lines]
            self._flags = {at: line.flags for at, line in enumerate(lines) if line.flags}
        self._place = Place(
            source.stream, source.generation, source.origin, self._starts, self._ends, int(now * 1_000_000)
        )
        count = len(self._data)
        self._columns = Columns(
            range(count), [b""] * count, [0] * count, [""] * count, [""] * count, [False] * count
        )  # fmt: skip

    def missing(self) -> Sequence[int]:
        if b"" not in self._columns.documents:
            return ()
        return [at for at, document in enumerate(self._columns.documents) if not document]

    def plain(self, chosen: Sequence[int]) -> tuple[Sequence[bytes], Place]:
        """Return the chosen lines, those with flags empty, and where they are from."""
        if len(chosen) == len(self._data) and not self._flags:
            return self._data, self._place
        return [b"" if at in self._flags else self._data[at] for at in chosen], self._place.of(chosen)

    def line(self, at: int) -> Event:
        end = Position(self._source.stream, self._source.generation, self._ends[at])
        return Event(self._data[at], end, self._starts[at], self._source.origin, self._now, self._flags.get(at, ()))

    def fill(self, columns: Columns, chosen: Sequence[int]) -> None:
        """Take the documents of lines among the chosen."""
        if len(columns.at) == len(self._data):
            self._columns = columns
            return
        _, documents, said, levels, services, bare = self._columns
        for number, at in enumerate(columns.at):
            row = chosen[at]
            documents[row], said[row] = columns.documents[number], columns.said[number]
            levels[row], services[row] = columns.levels[number], columns.services[number]
            bare[row] = columns.bare[number]

    def put(self, at: int, event: Event) -> None:
        _, documents, said, levels, services, _ = self._columns
        documents[at], said[at], levels[at], services[at] = event.json, event.time, event.level, event.service
        if event.flags:
            self._flags[at] = event.flags

    def rows(self) -> Rows:
        source = self._source
        return Rows(
            source.stream, source.generation, source.origin, self._now,
            self._data, self._starts, self._ends, *self._columns[1:], self._flags,
        )  # fmt: skip
