"""From the lines of a source to completed events: the parser says what a line is, ECS says where it belongs.

A record that is ECS already takes the short road (`swift`); whatever is unusual, the careful one (`ecs`). Both give
the same document.
"""

from collections.abc import Sequence
from typing import Any

from topmast_shipper import ecs
from topmast_shipper.component import Line, Parser, Source
from topmast_shipper.event import Event, Position
from topmast_shipper.swift import Swift
from topmast_shipper.tail.lines import text


class Intake:
    """One parser at work. May be called from the threads of several sinks."""

    def __init__(self, parser: Parser) -> None:
        self._parser = parser
        self._swift = Swift()

    def events(self, source: Source, lines: Sequence[Line], now: float) -> list[Event]:
        """Return the lines as completed events, one each. Never raises."""
        stream, generation, origin = source.stream, source.generation, source.origin
        parse, complete = self._parser, self._swift.complete
        events: list[Event] = []
        for line in lines:
            data, start, end, flags = line
            place = Position(stream, generation, end)
            if not flags:
                try:
                    event = complete(data, place, start, origin, now, parse(data.decode()))
                except Exception:  # noqa: BLE001 - the guard: the careful road says what is wrong with it
                    event = None
                if event is not None:
                    events.append(event)
                    continue
            events.append(self._carefully(Event(data, place, start, origin, now, flags)))
        return events

    def _carefully(self, event: Event) -> Event:
        message, valid = text(event.line)
        if not valid:
            event = event._replace(flags=(*event.flags, "invalid_utf8"))
        try:
            found: dict[str, Any] = self._parser(message)
        except Exception as error:  # noqa: BLE001 - the guard: a parser's fault costs a field, never the line
            found = {"message": message, "error.type": "parser", "error.message": repr(error)[:200]}
        return ecs.complete(event, found)
