"""A psycopg connection whose every wait ends at a deadline.

libpq has timeouts for connecting, and the server has one for its statements; neither ends the wait for a server that
was frozen in its tracks (SIGSTOP, a stalled disk, a silent network). This does: the wait is our own poll.
"""

import select
import time
from typing import Any

import psycopg
from psycopg.abc import RV, PQGen
from psycopg.waiting import Ready, Wait

_EVENTS = {
    Wait.R: select.POLLIN,
    Wait.W: select.POLLOUT,
    Wait.RW: select.POLLIN | select.POLLOUT,
}


class DeadlineConnection(psycopg.Connection[Any]):
    """Raises TimeoutError when `deadline` (of time.monotonic) passes; the connection can only be closed then."""

    deadline: float = float("inf")

    def wait(  # type: ignore[override,unused-ignore]  # its timeout came with 3.3
        self,
        gen: PQGen[RV],
        interval: float = 0.1,  # noqa: ARG002 the signature is psycopg's; a deadline needs no interval
        timeout: float | None = None,
    ) -> RV:
        """Drive one of psycopg's I/O generators to its end, as its own `waiting.wait` does."""
        deadline = self.deadline if timeout is None else min(self.deadline, time.monotonic() + timeout)
        try:
            wanted = next(gen)
            while True:
                left = deadline - time.monotonic()
                if left <= 0:
                    raise TimeoutError("no answer within the deadline")
                poll = select.poll()
                poll.register(self.pgconn.socket, _EVENTS[wanted])
                ready = 0
                for _, event in poll.poll(min(left, 60.0) * 1000):
                    if event & ~select.POLLOUT:  # POLLHUP and POLLERR are read as the end that they are
                        ready |= Ready.R
                    if event & select.POLLOUT:
                        ready |= Ready.W
                if ready:
                    wanted = gen.send(ready)
        except StopIteration as end:
            result: RV = end.value
            return result
