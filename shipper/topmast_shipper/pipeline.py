"""The order of things: read, parse, send, then move the checkpoint. The only module that waits and tries again.

Each sink has a lane: a thread with its own cursors over the same files, so that a dead sink never blocks another.
A lane holds one window. A window that fails again and again is halved down to the event that poisons it; whether
it is the event or the sink is told by another event, best by one that was taken before (SHIPPING.md section 5, poison
batch).
"""

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from threading import Condition, Lock, Thread
from typing import NamedTuple

from topmast_shipper.checkpoint import Checkpoint, Place
from topmast_shipper.component import Block, Cursor, Input, Receipt, Roomy, Sink, Source, Waiting
from topmast_shipper.dead_letters import DeadLetters
from topmast_shipper.errors import PermanentError, PlaceError, TransientError
from topmast_shipper.event import Event
from topmast_shipper.retry import Backoff
from topmast_shipper.tail.generation import cursor_at
from topmast_shipper.telemetry import Telemetry
from topmast_shipper.window import Rows, Window, rows_of

_log = logging.getLogger(__name__)

# What a Logstash takes without running out of direct memory (SHIPPING.md sections 2.3 and 7.2).
WINDOW_EVENTS = 2048
WINDOW_BYTES = 4 << 20
BLOCK_BYTES = 256 << 10
# Failures of one window before it is halved, of one event before another is tried, and of one event while the other
# is taken before it is given up.
_PATIENCE = 3
_IDLE_SECONDS = 1.0


class _Run(NamedTuple):
    """So many pending events are the rest of one block."""

    place: Place
    block: Block
    events: int


class _Batch(NamedTuple):
    """What was read for one window, and where reading goes on behind it."""

    window: Window
    runs: list[_Run]
    ahead: dict[Place, Cursor]
    skipped: dict[Place, Cursor]
    """Behind blank lines, of places that nothing else was read of."""


class Signal:
    """Tells the lanes that there may be something to read, or that it is over."""

    def __init__(self) -> None:
        self._condition = Condition()
        self._rounds = 0
        self.stopped = False

    def ring(self) -> None:
        with self._condition:
            self._rounds += 1
            self._condition.notify_all()

    def stop(self) -> None:
        self.stopped = True
        self.ring()

    def rounds(self) -> int:
        return self._rounds

    def wait(self, seconds: float, heard: int | None = None) -> None:
        """Return after `seconds`, at a stop, or (with `heard`) at the first ring after that round."""
        with self._condition:
            self._condition.wait_for(
                lambda: self.stopped or (heard is not None and self._rounds != heard), timeout=seconds
            )


class Lane:
    """The way to one sink."""

    def __init__(
        self,
        name: str,
        sink: Sink,
        inputs: Sequence[Input],
        checkpoint: Checkpoint,
        dead_letters: DeadLetters,
        telemetry: Telemetry,
        signal: Signal,
        *,
        counts_logs: bool = True,
        window_events: int | None = None,
        backoff: Backoff | None = None,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self.name = name
        self._sink = sink
        self._inputs = list(inputs)
        self._checkpoint = checkpoint
        self._dead_letters = dead_letters
        self._telemetry = telemetry
        self._signal = signal
        self._counts_logs = counts_logs
        self._window_events = window_events or (sink.window_events if isinstance(sink, Roomy) else WINDOW_EVENTS)
        self._backoff = backoff or Backoff()
        self._wall = wall
        self._pending = Window()
        self._runs: list[_Run] = []
        """The blocks that the pending events are from, in their order."""
        self._ahead: dict[Place, Cursor] = {}
        """Where reading goes on, of places with something pending."""
        self._following: _Batch | None = None
        """The next window, when it was read while a sink waited for its answer."""
        if isinstance(sink, Waiting):
            sink.meanwhile = self._read_on
        self._limit = self._window_events
        self._struggles = 0
        """Failures since the last progress or halving."""
        self._taken = Window()
        """The last event that the sink took."""
        self._blamed = 0
        """How often the first pending event failed while another was taken."""
        self._tried = 0
        """Events behind the first that were tried and failed as it did."""
        self._served: dict[str, Place] = {}
        """Of each input, what was read last: the one behind it is next."""
        self._complained = False
        self._settling = Lock()
        self._abandoned = False

    def abandon(self) -> None:
        """Settle nothing any more: another lane goes on from the checkpoint as it is now."""
        with self._settling:
            self._abandoned = True

    @property
    def oldest_unsent(self) -> float | None:
        """When the oldest pending event was read (Unix seconds)."""
        pending = self._pending
        return pending[0].read_at if pending else None

    def run(self) -> None:
        """Work until the signal says stop; what is pending then is sent again by the next run."""
        while not self._signal.stopped:
            heard = self._signal.rounds()
            if not self.step():
                self._signal.wait(_IDLE_SECONDS, heard)

    def step(self) -> bool:
        """Read a window if there is none, send it once; return whether there was anything to do."""
        try:
            if not self._pending:
                self._fill()
            if not self._pending:
                return False
            self._send()
        except TransientError as error:
            if isinstance(error, PlaceError):
                self._struggles = 0
            self._failed("transient", error, error.retry_after_seconds)
        except PermanentError as error:
            self._struggles = 0  # a person must act: no event is to blame
            self._failed("permanent", error, 30.0)
        except OSError as error:
            self._struggles = 0
            self._failed("disk", error, None)
        except Exception as error:  # noqa: BLE001 - the guard: a sink's fault stops neither its lane nor the others
            _log.exception("a sink failed unexpectedly: %s", self.name)
            self._failed("internal", error, None)
        return True

    def _fill(self) -> None:
        """Take the next window: what was read already, else what there is now."""
        batch = self._following = self._following or self._gather({})
        if batch.skipped:
            self._advance(batch.skipped)
        self._following = None
        self._pending, self._runs, self._ahead = batch.window, batch.runs, batch.ahead

    def _read_on(self) -> Window | None:
        """Read the window behind the one that is on its way, when there is a backlog; return it. Never raises."""
        if self._following is None and len(self._pending) > self._window_events // 2:
            try:
                batch = self._gather(self._ahead)
            except Exception as error:  # noqa: BLE001 - the guard: it is read again when it is due, and heard then
                _log.debug("reading on failed: %s: %s", self.name, error)
            else:
                # nothing is no answer for later: there may be something by then
                self._following = batch if batch.window else None
        return self._following.window if self._following else None

    def _gather(self, before: Mapping[Place, Cursor]) -> _Batch:
        """Read and parse a window behind these cursors, a block of each file in turn; the checkpoint stands still."""
        pieces: list[Rows] = []
        runs: list[_Run] = []
        ahead: dict[Place, Cursor] = {}
        skipped: dict[Place, Cursor] = {}
        room, room_bytes, progress = self._window_events, WINDOW_BYTES, True
        # what is left of a window is not worth a read
        while progress and room > self._window_events // 8 and room_bytes > 0:
            progress = False
            for each in self._inputs:
                for source in self._in_turn(each):
                    if room <= 0 or room_bytes <= 0:
                        break
                    place = (source.stream, source.generation)
                    block = self._read(each, source, ahead.get(place) or self._cursor(source, before), room)
                    if block is None:
                        continue
                    progress = True
                    self._served[each.name] = place
                    ahead[place] = cursor_at(block, block.end)
                    if not block.lines:
                        skipped[place] = ahead[place]
                        continue
                    skipped.pop(place, None)
                    pieces.append(self._rows(each, source, block))
                    runs.append(_Run(place, block, len(block.lines)))
                    room -= len(block.lines)
                    room_bytes -= block.end - block.lines[0].start
        # who was first in this window is last in the next
        self._inputs = self._inputs[1:] + self._inputs[:1]
        return _Batch(Window(pieces), runs, ahead, skipped)

    def _in_turn(self, each: Input) -> list[Source]:
        """Return what an input has, what was read last at the end: a busy file fills no window after the other."""
        sources, last = list(each.sources()), self._served.get(each.name)
        behind = next((at for at, one in enumerate(sources, 1) if (one.stream, one.generation) == last), 0)
        return sources[behind:] + sources[:behind]

    def _read(self, each: Input, source: Source, cursor: Cursor, room: int) -> Block | None:
        try:
            return source.read(cursor, BLOCK_BYTES, room)
        except OSError as error:
            # one bad disk or stale handle does not hold up the other files; the next round tries again
            self._telemetry.add("shipper_read_errors_total", (each.name,))
            _log.warning("a file cannot be read, trying again: %s: %s", source.origin.path, error.strerror)
            return None

    def _rows(self, each: Input, source: Source, block: Block) -> Rows:
        if self._counts_logs:
            self._telemetry.add("shipper_events_read_total", (each.name,), len(block.lines))
        return rows_of(each.events(source, block.lines, self._wall()))

    def _cursor(self, source: Source, before: Mapping[Place, Cursor]) -> Cursor:
        place = (source.stream, source.generation)
        return before.get(place) or self._checkpoint.cursor(self.name, *place)

    def _send(self) -> None:
        if self._limit == 1 and self._struggles >= _PATIENCE:
            self._ask_another()
            return
        self._settle(self._sent(self._pending[: self._limit]))
        self._limit = min(self._limit * 2, self._window_events)

    def _sent(self, window: Window) -> Receipt:
        """Send a window. Raises TransientError also when nothing of it was settled."""
        receipt = self._sink.send(window)
        if receipt.settled == 0:
            raise TransientError(f"{self.name}: nothing of {len(window)} events was settled")
        return receipt

    def _ask_another(self) -> None:
        """Try the first event once more, and give it up if the sink takes another, again and again, but not this one.

        What was taken before is sent again: it is stored once, and changes no order. Only a sink that took nothing
        yet is asked with an event from behind, which stays due.
        """
        self._struggles = 0
        suspect = self._pending[:1]
        try:
            receipt = self._sent(suspect)
        except (PermanentError, PlaceError, OSError):
            raise
        except Exception as error:
            # whatever it is: another event tells whether this one brings it about
            self._sent(self._taken or self._one_behind())
            self._blamed += 1
            self._struggles = _PATIENCE
            self._backoff.reset()
            if self._blamed < _PATIENCE:
                raise TransientError(f"{self.name}: {error}") from error
            _log.error("an event cannot be sent, another can: %s: %s", self.name, error)
        else:
            self._settle(receipt)
            self._limit = 2
            return
        self._bury(suspect[0], "poison")
        self._settle(Receipt(1), buried=1)

    def _one_behind(self) -> Window:
        """Return an event behind the first, each time another one."""
        if len(self._pending) == 1:
            self._fill_behind()
        if len(self._pending) == 1:
            raise TransientError(f"{self.name}: one event fails, and there is none to compare it with")
        at = 1 + self._tried % (len(self._pending) - 1)
        self._tried += 1
        return self._pending[at : at + 1]

    def _fill_behind(self) -> None:
        """Read more behind a lone pending event."""
        batch, self._following = self._following or self._gather(self._ahead), None
        # blank lines are read again: the checkpoint does not pass what is pending
        read = {place: cursor for place, cursor in batch.ahead.items() if place not in batch.skipped}
        self._pending = Window([*self._pending.pieces, *batch.window.pieces])
        self._runs = [*self._runs, *batch.runs]
        self._ahead = {**self._ahead, **read}

    def _settle(self, receipt: Receipt, buried: int = 0) -> None:
        """Bury what was refused, move the checkpoint, count. Nothing is counted twice if the disk is full."""
        if self._abandoned:
            return
        done = self._pending[: receipt.settled]
        for refusal in receipt.refused:
            self._bury(done[refusal.index], refusal.reason)
        if not receipt.refused and not buried:
            self._taken = done[-1:]
        cursors, runs = self._passed(len(done))
        self._advance(cursors)
        self._pending = self._pending[receipt.settled :]
        self._runs = runs
        self._backoff.reset()
        self._struggles = self._blamed = self._tried = 0
        self._complained = False
        self._telemetry.add("shipper_events_sent_total", (self.name,), len(done) - len(receipt.refused) - buried)
        if self._counts_logs:
            self._telemetry.count_logs(done)

    def _advance(self, cursors: Mapping[Place, Cursor]) -> None:
        with self._settling:
            if not self._abandoned:
                self._checkpoint.advance(self.name, cursors)

    def _passed(self, count: int) -> tuple[dict[Place, Cursor], list[_Run]]:
        """Return the cursors behind so many events, the first pending ones, and the runs that are left then."""
        cursors: dict[Place, Cursor] = {}
        for number, run in enumerate(self._runs):
            if count < run.events:
                if count:
                    done = len(run.block.lines) - run.events + count
                    cursors[run.place] = cursor_at(run.block, run.block.lines[done - 1].end)
                return cursors, [run._replace(events=run.events - count), *self._runs[number + 1 :]]
            count -= run.events
            cursors[run.place] = cursor_at(run.block, run.block.end)
        return cursors, []

    def _bury(self, event: Event, reason: str) -> None:
        if self._abandoned:
            return  # it is another lane's
        self._dead_letters.add(self.name, event, reason)
        self._telemetry.add("shipper_dead_letters_total", (reason,))
        self._telemetry.add("shipper_events_refused_total", (self.name, reason))
        _log.error("an event went to the dead letters: %s: %s %s", self.name, reason, event.id)

    def _failed(self, reason: str, error: Exception, at_least: float | None) -> None:
        self._telemetry.add("shipper_send_errors_total", (self.name, reason))
        self._struggles += 1
        if not self._complained:
            self._complained = True
            _log.warning("a sink does not take events, trying again: %s: %s", self.name, error)
        if self._struggles >= _PATIENCE and self._limit > 1 and reason != "permanent":
            size = min(self._limit, len(self._pending)) or 1
            self._limit = max(1, size // 2)
            self._struggles = _PATIENCE - 1 if self._limit > 1 else 0
            self._backoff.reset()  # halving is quick: one event may hold up the others for seconds, not minutes
        delay = self._backoff.next_delay(at_least)
        self._signal.wait(delay)


class Lanes:
    """All lanes of a configuration, each in its thread."""

    def __init__(self, lanes: Sequence[Lane], signal: Signal) -> None:
        self.lanes = tuple(lanes)
        self._signal = signal
        self._threads = [Thread(target=lane.run, name=f"lane-{lane.name}", daemon=True) for lane in lanes]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def stop(self, seconds: float = 8.0) -> bool:
        """Let every lane finish the window in its hands, abandon the others; return whether there are none."""
        self._signal.stop()
        deadline = time.monotonic() + seconds
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        for lane, thread in zip(self.lanes, self._threads, strict=True):
            if thread.is_alive():
                lane.abandon()
        return not any(thread.is_alive() for thread in self._threads)
