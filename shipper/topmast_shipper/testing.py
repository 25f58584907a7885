"""For tests of sinks, inputs and whatever stands on them: events, a shipper as a subprocess, and the sinks' contract.

`SinkContract` is the suite that every sink passes: subclass it in a test, give it the two fixtures, and pytest
runs it. Nothing here is used by the shipper itself.
"""

import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from topmast_shipper import ecs
from topmast_shipper.component import Receipt, Sink
from topmast_shipper.event import Event, Origin, Position

STREAM = "0123456789abcdef"
READ_AT = 1_795_300_000.0
"""2026-11-21T22:26:40Z."""


def event(number: int = 0, stream: str = STREAM, read_at: float = READ_AT, **fields: Any) -> Event:
    """Return a parsed event; `number` decides its id, its offset and, unless the fields do, its message."""
    line = Event(
        line=f"line {number}".encode(),
        end=Position(stream, 0, (number + 1) * 100),
        start=number * 100,
        origin=Origin("test", "/var/log/test.log", "shop"),
        read_at=read_at,
    )
    return ecs.complete(line, {"message": line.message} | fields)


def events(count: int, first: int = 0) -> list[Event]:
    return [event(number) for number in range(first, first + count)]


class SinkContract:
    """What the pipeline relies on. A subclass has the fixtures `sink` and `stored`.

    `sink` is the sink under test, closed by the fixture; `stored()` returns the ids of what has arrived, in order.
    A sink that cannot tell a re-sent event from a new one sets `once = False`.
    """

    once = True

    def test_settles_a_window_and_keeps_its_order(self, sink: Sink, stored: Callable[[], Sequence[str]]) -> None:
        window = events(50)

        receipt = sink.send(window)

        assert receipt == Receipt(settled=50)
        assert list(stored()) == [each.id for each in window]

    def test_a_check_sends_nothing(self, sink: Sink, stored: Callable[[], Sequence[str]]) -> None:
        window = events(3)

        said = sink.check()
        sink.send(window)

        assert said
        assert list(stored()) == [each.id for each in window]

    def test_goes_on_behind_the_last_window(self, sink: Sink, stored: Callable[[], Sequence[str]]) -> None:
        first, second = events(3), events(3, first=3)

        sink.send(first)
        sink.send(second)

        assert list(stored()) == [each.id for each in first + second]

    def test_takes_what_others_choke_on(self, sink: Sink, stored: Callable[[], Sequence[str]]) -> None:
        window = [
            event(0, message="\x00\x1b[31m\x7f"),
            event(1, message="ä€🚀 \ud800"),
            event(2, value=float("nan")),
            event(3, value=2**80),
            event(4, message=""),
            event(5, deep={"a": {"b": [{"c": [1, None, True]}]}}),
        ]

        receipt = sink.send(window)

        assert receipt.settled == len(window)
        assert sorted(stored()) == [each.id for each in window]

    def test_a_window_sent_again_loses_nothing(self, sink: Sink, stored: Callable[[], Sequence[str]]) -> None:
        window = events(5)

        sink.send(window)
        receipt = sink.send(window)

        assert receipt.settled == 5
        assert set(stored()) == {each.id for each in window}
        if self.once:
            assert len(stored()) == 5

    def test_a_window_that_overlaps_the_last_is_told_apart(
        self, sink: Sink, stored: Callable[[], Sequence[str]]
    ) -> None:
        sink.send(events(5))

        receipt = sink.send(events(10))

        assert receipt.settled == 10
        assert set(stored()) == {each.id for each in events(10)}
        if self.once:
            assert len(stored()) == 10

    def test_one_event_is_a_window(self, sink: Sink, stored: Callable[[], Sequence[str]]) -> None:
        receipt = sink.send([event()])

        assert receipt == Receipt(settled=1)
        assert list(stored()) == [event().id]


@contextmanager
def running(config: Path, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Run a real shipper as a subprocess until the block is left; its own log is appended to a file."""
    with log.open("ab") as output:
        argv = [sys.executable, "-m", "topmast_shipper", "-c", str(config)]
        process = subprocess.Popen(argv, stderr=output, stdout=output)
        try:
            yield process
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
                try:
                    process.wait(20)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()
