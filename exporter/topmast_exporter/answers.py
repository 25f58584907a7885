"""What became of submissions, handed from the ledger's thread to those who wait in the event loop.

All that one commit settles is handed over at once: a wake-up of the loop for each costs more than the answer.
"""

import asyncio
import contextlib
import threading
from collections.abc import Callable
from concurrent.futures import Future

from topmast_exporter.ledger import Result

Tell = Callable[[Result | BaseException], None]
"""Is called in the loop, once, with what became of a submission. One for each submission."""


class Answers:
    """The way back into one event loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop, seconds: float) -> None:
        """Who waits longer than this is told so: TimeoutError."""
        self.loop = loop
        self._seconds = seconds
        self._until: dict[Tell, float] = {}  # the one that waits longest is the first
        self._timer: asyncio.TimerHandle | None = None
        self._lock = threading.Lock()
        self._settled: list[tuple[Tell, Result | BaseException]] = []

    def of(self, submitted: "Future[Result]") -> "asyncio.Future[Result]":
        """Return the loop's own future of a submission. Giving it up leaves the submission alone."""
        waiting: asyncio.Future[Result] = self.loop.create_future()

        def tell(outcome: Result | BaseException) -> None:
            if waiting.done():
                return  # nobody waits any more
            if isinstance(outcome, BaseException):
                waiting.set_exception(outcome)
            else:
                waiting.set_result(outcome)

        self.expect(tell)
        submitted.add_done_callback(lambda done: self.settle(tell, done.exception() or done.result()))
        return waiting

    def expect(self, tell: Tell) -> None:
        """Have somebody told of what is settled for them, or that it takes too long."""
        if self._timer is None:
            self._timer = self.loop.call_later(self._seconds, self._give_up)
        self._until[tell] = self.loop.time() + self._seconds

    def settle(self, tell: Tell, outcome: Result | BaseException) -> None:
        """Tell somebody who is expected, or will be before the loop turns. Called in any thread."""
        with self._lock:
            self._settled.append((tell, outcome))
            asleep = len(self._settled) == 1
        if asleep:
            with contextlib.suppress(RuntimeError):  # the loop has ended: nobody waits any more
                self.loop.call_soon_threadsafe(self._hand_over)

    def _hand_over(self) -> None:
        with self._lock:
            settled, self._settled = self._settled, []
        for tell, outcome in settled:
            if self._until.pop(tell, None) is not None:  # else it was told that its time is over
                self._tell(tell, outcome)

    def _give_up(self) -> None:
        """Answer those whose time is over; look again when that of the next one is."""
        now = self.loop.time()
        for tell, until in list(self._until.items()):
            if until > now:
                break
            del self._until[tell]
            self._tell(tell, TimeoutError())
        following = next(iter(self._until.values()), None)
        self._timer = None if following is None else self.loop.call_at(following, self._give_up)

    def _tell(self, tell: Tell, outcome: Result | BaseException) -> None:
        try:
            tell(outcome)
        except Exception as error:  # noqa: BLE001 a guard: an answer that cannot be given holds up no other
            self.loop.call_exception_handler({"message": "an answer could not be given", "exception": error})
