"""A psycopg connection whose every wait ends at a deadline, that of connecting included.

libpq has timeouts for connecting, and the server has one for its statements; neither ends the wait for a server that
was frozen in its tracks (SIGSTOP, a stalled disk, a silent network). This does: the wait is our own poll.
psycopg's own `connect` leaves the socket of an attempt that timed out to the garbage collector: a frozen server would
have one more of them at each retry.
"""

import select
import time
from typing import Any

import psycopg
from psycopg import pq
from psycopg.abc import RV, PQGen
from psycopg.waiting import Ready, Wait

_POLL_EVENTS = {
    pq.PollingStatus.READING: select.POLLIN,
    pq.PollingStatus.WRITING: select.POLLOUT,
}
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


def connect(conninfo: str, deadline: float) -> DeadlineConnection:
    """Return a connection that is there before `deadline` (of time.monotonic).

    Raises psycopg.OperationalError, or TimeoutError; nothing stays open then.
    """
    pgconn = pq.PGconn.connect_start(conninfo.encode())
    try:
        while (status := _status(pgconn)) is not pq.PollingStatus.OK:
            left = deadline - time.monotonic()
            poll = select.poll()
            poll.register(pgconn.socket, _POLL_EVENTS[status])  # anew each time: the next host has another socket
            if left <= 0 or not poll.poll(left * 1000):
                raise TimeoutError("no connection within the deadline")
        pgconn.nonblocking = 1  # as psycopg's generators want it
        connection = DeadlineConnection(pgconn)
    except BaseException:
        pgconn.finish()
        raise
    connection.deadline = deadline
    return connection


def _status(pgconn: pq.abc.PGconn) -> pq.PollingStatus:
    status = pq.PollingStatus.FAILED
    if pgconn.status != pq.ConnStatus.BAD:
        status = pq.PollingStatus(pgconn.connect_poll())
    if status not in (*_POLL_EVENTS, pq.PollingStatus.OK):
        raise psycopg.OperationalError(f"connection failed: {pgconn.get_error_message()}")
    return status
