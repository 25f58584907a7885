"""How late the event loop is: a timer that should fire every quarter of a second, and by how much it did not."""

import asyncio
import time
from collections import deque
from collections.abc import Callable

PERIOD_SECONDS = 0.25

# METRICS.md: the maximum over the last 60 s, kept in slices so that it costs 12 numbers.
SLICE_SECONDS = 5.0
SLICES = 12


class WorstOfAMinute:
    """The largest of the numbers noted over the last 60 s, to five seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._slices: deque[tuple[float, float]] = deque(maxlen=SLICES)

    def note(self, value: float) -> None:
        """Keep `value`, when it is the largest of its slice."""
        now = self._clock()
        if self._slices and now - self._slices[-1][0] < SLICE_SECONDS:
            at, worst = self._slices[-1]
            self._slices[-1] = (at, max(worst, value))
        else:
            self._slices.append((now, value))

    def maximum(self) -> float:
        """Return the largest, 0 when nothing was noted."""
        now = self._clock()
        return max((value for at, value in list(self._slices) if now - at < SLICE_SECONDS * SLICES), default=0.0)


class LoopLag:
    """Watches one event loop, for as long as it runs."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._worst = WorstOfAMinute(clock)
        self._due = 0.0
        self._loop: asyncio.AbstractEventLoop | None = None

    def watch(self, loop: asyncio.AbstractEventLoop) -> None:
        """Watch this loop from now on, unless it is watched already."""
        if loop is self._loop:
            return
        self._loop = loop
        self._worst = WorstOfAMinute(self._clock)
        self._arm(loop)

    def maximum(self) -> float | None:
        """Return the worst lag of the last 60 s in seconds, or None when no loop runs."""
        loop = self._loop
        if loop is None or loop.is_closed():
            return None
        # A loop that hangs at this moment cannot say so itself.
        return max(self._worst.maximum(), self._clock() - self._due)

    def _arm(self, loop: asyncio.AbstractEventLoop) -> None:
        self._due = self._clock() + PERIOD_SECONDS
        loop.call_later(PERIOD_SECONDS, self._tick, loop)

    def _tick(self, loop: asyncio.AbstractEventLoop) -> None:
        if loop is self._loop:
            self._worst.note(max(0.0, self._clock() - self._due))
            self._arm(loop)
