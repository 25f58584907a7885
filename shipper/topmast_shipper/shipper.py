"""A shipper at work: inputs, lanes, checkpoint and /metrics, built from a configuration and taken down again."""

import logging
import os
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from prometheus_client.core import Metric

from topmast_shipper import rooms, telemetry
from topmast_shipper.checkpoint import Checkpoint
from topmast_shipper.component import Crowded, Input, Sink, Source, Writing, Written
from topmast_shipper.config import ShipperConfig
from topmast_shipper.dead_letters import DeadLetters
from topmast_shipper.errors import StateError
from topmast_shipper.pipeline import Lane, Lanes, Signal
from topmast_shipper.replay import ReplayInput
from topmast_shipper.rooms import Left, Setting
from topmast_shipper.signatures import Signatures
from topmast_shipper.tail.generation import Generation
from topmast_shipper.tail.watch import Watch
from topmast_shipper.telemetry import Telemetry, gauge

_log = logging.getLogger(__name__)
# The safety net under inotify, and all there is where inotify is not.
SWEEP_SECONDS = 1.0
POLL_SECONDS = 0.1
# A busy file announces itself thousands of times a second; this many windows and commits are enough.
_REST_SECONDS = 0.1
# What waits for so long is looked at: is it more than the beginning of a line?
_UNFINISHED_SECONDS = 30.0
# What it and its inputs make in the data folder, where other things may lie as well.
_STATE = ("checkpoint.*", "lock", "signatures*", "dead-letters.*", "replay", "spool-*")


class Shipper:
    """Runs one configuration until it is told to stop. `run` belongs to the main thread."""

    def __init__(
        self,
        config: ShipperConfig,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
        cost: Callable[[], float] = time.thread_time,
    ) -> None:
        self._clock = clock
        self._cost = cost
        self._wall = wall
        self._watch = Watch()
        self._signal = Signal()
        self._stopping = False
        self._left: dict[str, Left] = {}
        self._reload: Callable[[], ShipperConfig] | None = None
        self._marks: dict[tuple[str, int], tuple[int, float]] = {}
        try:
            config.data.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StateError(f"{config.data}: {error.strerror}") from error
        self._config = config
        self._checkpoint = Checkpoint(config.data, wall)
        if self._checkpoint.bad_lines:
            _log.warning("lines of the checkpoint were damaged and left out: %d", self._checkpoint.bad_lines)
        self.telemetry = Telemetry(Signatures(config.data / "signatures"))
        self.telemetry.gauges = self._gauges
        self._build()
        self._server = telemetry.Server(config.listen, self.telemetry) if config.listen else None

    @property
    def metrics_address(self) -> str:
        return self._server.address if self._server else ""

    def run(self) -> None:
        """Ship until `stop`; then finish the windows in hand and close everything."""
        self._lanes.start()
        try:
            while not self._stopping:
                self._turn()
        finally:
            self._take_down()
            self._close_left()
            if self._server:
                self._server.close()
            self._checkpoint.close()
            self._watch.close()

    def stop(self) -> None:
        """End `run` soon; from any thread and from a signal handler."""
        self._stopping = True
        self._watch.wake()

    def reload(self, load: Callable[[], ShipperConfig]) -> None:
        """Go on with what `load` returns, from the same checkpoint; nothing changes when it raises."""
        self._reload = load
        self._watch.wake()

    def _turn(self) -> None:
        """Look once, tell the lanes, rest until something happens."""
        if self._reload is not None:
            load, self._reload = self._reload, None
            self._change(load)
        began = self._cost()
        grew = False
        watched = [*self._inputs, *self._replays]
        for each in watched:
            try:
                grew |= each.sweep()
            except OSError as error:
                _log.warning("an input cannot look at its files, trying again: %s: %s", each.name, error)
        if grew:
            self._signal.ring()
        self._watch.follow({folder for each in watched for folder in each.folders()})
        self._mark()
        # what waits for others to be read is not announced by the file system
        crowded = any(isinstance(each, Crowded) and each.crowded for each in watched)
        # many files make a sweep long: it never takes more than a tenth of a core, and of a busy machine no less
        rest = max(_REST_SECONDS, 10 * (self._cost() - began)) if grew or crowded else _REST_SECONDS / 2
        self._signal.wait(rest)
        self._watch.wait(POLL_SECONDS if crowded or not self._watch.notifies else SWEEP_SECONDS)

    def _change(self, load: Callable[[], ShipperConfig]) -> None:
        try:
            config = load()
        except Exception as error:  # noqa: BLE001 - the guard of a reload: whatever is wrong, the old one goes on
            _log.error("the new configuration is refused, the old one goes on: %s", error)
            return
        if config.data != self._config.data or config.listen != self._config.listen:
            _log.warning("`data` and `listen` of the new configuration need a restart; the rest is taken over")
        before = self._config
        self._take_down()
        self._config = config
        self._signal = Signal()
        try:
            self._build()
        except Exception as error:  # noqa: BLE001 - as above
            _log.error("the new configuration does not start, the old one goes on: %s", error)
            self._config = before
            self._build()
        else:
            _log.info("the configuration was read again")
        self._close_left()
        self._lanes.start()

    def _build(self) -> None:
        config = self._config
        sinks: list[tuple[str, Sink]] = []
        built: list[Input] = []
        try:
            for entry in config.sinks:
                sinks.append((entry.name, rooms.kind("sinks", entry.kind).build(entry.options)))
            setting = Setting(
                base=config.base,
                data=config.data,
                checkpoint=self._checkpoint,
                sinks=tuple(name for name, _ in sinks),
                inputs=tuple(entry.name for entry in config.inputs),
                lost=self.telemetry.lost,
                clock=self._clock,
                written=_written(config.data, [sink for _, sink in sinks]),
                left=self._left,
            )
            for entry in config.inputs:
                failed = partial(self.telemetry.add, "shipper_read_errors_total", (entry.name,))
                told = replace(setting, failed=failed)
                built.append(rooms.kind("inputs", entry.kind).build(entry.options, told))
            self._inputs: list[Input] = built
        except BaseException:
            for each in built:
                each.close()  # one that listens would be in its own way
            for _, sink in sinks:
                sink.close()
            raise
        self._sinks = sinks
        self.telemetry.expect([(each.name, each.service) for each in self._inputs], [name for name, _ in sinks])
        letters = DeadLetters(config.data, lost=self.telemetry.lost)
        named = {each.name: each for each in self._inputs}
        self._replays = [ReplayInput(name, named, setting) for name, _ in sinks]
        self._lanes = Lanes(
            [
                Lane(
                    name, sink, [*self._inputs, self._replays[number]], self._checkpoint,
                    letters, self.telemetry, self._signal, counts_logs=number == 0,
                )
                for number, (name, sink) in enumerate(sinks)
            ],
            self._signal,
        )  # fmt: skip

    def _take_down(self) -> None:
        if not self._lanes.stop():
            _log.warning("a sink is still at work; what it has in hand is sent again at the next start")
        for each in [*self._inputs, *self._replays]:
            each.close()
        for _, sink in self._sinks:
            sink.close()

    def _close_left(self) -> None:
        """Close what no input goes on with."""
        for each in self._left.values():
            each.close()
        self._left.clear()

    @property
    def backlog_bytes(self) -> int:
        """What the slowest sink has not settled, of all files together."""
        return sum(self._unread(source) for each in list(self._inputs) for source in each.sources())

    def _unread(self, source: Source) -> int:
        """Return the bytes that the slowest sink has not settled."""
        places = [self._checkpoint.cursor(name, source.stream, source.generation) for name, _ in self._sinks]
        return max(0, source.size - min((cursor.offset for cursor in places), default=source.size))

    def _mark(self) -> None:
        """Remember since when there is something unread in each source."""
        now = self._clock()
        marks: dict[tuple[str, int], tuple[int, float]] = {}
        for each in self._inputs:
            for source in each.sources():
                unread = self._unread(source)
                if unread:
                    place = (source.stream, source.generation)
                    size, since = self._marks.get(place, (source.size, now))
                    # the size marked first has been passed: what is unread now came later
                    marks[place] = (size, since) if source.size - unread < size else (source.size, now)
        self._marks = marks

    def _due(self, inputs: Sequence[Input]) -> dict[tuple[str, int], tuple[int, float]]:
        """Return the marks, without those of files in which only the end of a line is waited for.

        A program that died in the middle of a line would else be told for ever as a shipper that lags.
        """
        marks, now = dict(self._marks), self._clock()
        for source in (source for each in inputs for source in each.sources()):
            place = (source.stream, source.generation)
            _, since = marks.get(place, (0, now))
            old = now - since > _UNFINISHED_SECONDS
            if old and isinstance(source, Generation) and _unfinished(source, source.size - self._unread(source)):
                marks.pop(place, None)
        return marks

    def _gauges(self) -> Iterable[Metric]:
        inputs = list(self._inputs)
        lag = [(each.name, float(sum(map(self._unread, each.sources())))) for each in inputs]
        yield gauge("shipper_lag_bytes", "Bytes that the slowest sink has not settled.", "input", lag)
        now = self._clock()
        waiting = max((now - since for _, since in self._due(inputs).values()), default=0.0)
        yield gauge("shipper_oldest_unsent_seconds", "Age of the oldest unsent data.", "", [("", waiting)])
        opened = float(sum(each.open_files for each in [*inputs, *self._replays]))
        yield gauge("shipper_files_open", "Files held open.", "", [("", opened)])


def _written(data: Path, sinks: Iterable[Sink]) -> tuple[Written, ...]:
    """Return what is written while the shipper runs."""
    files = [each for sink in sinks if isinstance(sink, Writing) for each in sink.written]
    return (Written(data, _STATE), *files)


def _unfinished(source: Generation, offset: int) -> bool:
    try:
        return source.unfinished(offset)
    except OSError:
        return False  # what cannot be read just now waits, and that is lag


def default_umask() -> None:
    """Logs are for their owner: what the shipper writes is readable by nobody else."""
    os.umask(0o077)
