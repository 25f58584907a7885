"""What became of submissions, handed from the ledger's thread to those who wait in the event loop.

All that one commit settles is handed over at once: a wake-up of the loop for each costs more than the answer.
"""

import asyncio
import threading
from concurrent.futures import Future

from topmast_exporter.ledger import Result


class Answers:
    """The way back into one event loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop, seconds: float) -> None:
        """Who waits longer than this is told so: TimeoutError."""
        self.loop = loop
        self._seconds = seconds
        self._until: dict[asyncio.Future[Result], float] = {}  # the one that waits longest is the first
        self._timer: asyncio.TimerHandle | None = None
        self._lock = threading.Lock()
        self._settled: list[tuple[asyncio.Future[Result], Future[Result]]] = []

    def of(self, submitted: "Future[Result]") -> "asyncio.Future[Result]":
        """Return the loop's own future of a submission. Giving it up leaves the submission alone."""
        waiting: asyncio.Future[Result] = self.loop.create_future()
        if self._timer is None:
            self._timer = self.loop.call_later(self._seconds, self._give_up)
        self._until[waiting] = self.loop.time() + self._seconds

        def settle(done: "Future[Result]") -> None:
            with self._lock:
                self._settled.append((waiting, done))
                asleep = len(self._settled) == 1
            if asleep:
                self.loop.call_soon_threadsafe(self._hand_over)

        submitted.add_done_callback(settle)
        return waiting

    def _hand_over(self) -> None:
        with self._lock:
            settled, self._settled = self._settled, []
        for waiting, done in settled:
            self._until.pop(waiting, None)
            if waiting.done():
                continue  # nobody waits any more
            error = done.exception()
            if error is None:
                waiting.set_result(done.result())
            else:
                waiting.set_exception(error)

    def _give_up(self) -> None:
        """Answer those whose time is over; look again when that of the next one is."""
        now = self.loop.time()
        for waiting, until in list(self._until.items()):
            if until > now:
                break
            del self._until[waiting]
            if not waiting.done():
                waiting.set_exception(TimeoutError())
        following = next(iter(self._until.values()), None)
        self._timer = None if following is None else self.loop.call_at(following, self._give_up)
