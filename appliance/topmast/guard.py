"""The guard: a process that ends what the supervisor started, when the supervisor is gone.

It holds the reading end of a pipe. The supervisor writes `+PID SIGNAL` and `-PID` lines; when the pipe closes, be
it after a kill -9, the guard sends the groups that are left their stop signal and, ten seconds later, SIGKILL. It
also keeps the lock of the state folder until then, so that a new start never meets the old one's children.
"""

import contextlib
import os
import signal
import time
from collections.abc import Mapping

GRACE_SECONDS = 10.0


def fork(lock: int) -> int:
    """Return the pipe to write to; the guard runs in a process of its own from here on."""
    reading, writing = os.pipe()
    if os.fork():
        os.close(reading)
        return writing
    # From here on: the guard. It must never return into the supervisor's code.
    try:
        os.close(writing)
        os.setsid()
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGPIPE):
            signal.signal(number, signal.SIG_IGN)
        _end(_listen(reading))
    finally:
        os.close(lock)
        os._exit(0)


def watch(pipe: int, pid: int, stop_signal: str) -> None:
    os.write(pipe, f"+{pid} {stop_signal}\n".encode())


def forget(pipe: int, pid: int) -> None:
    os.write(pipe, f"-{pid}\n".encode())


def _listen(reading: int) -> dict[int, str]:
    """Return the groups that were left when the pipe closed: pid -> stop signal."""
    groups: dict[int, str] = {}
    with os.fdopen(reading, "r") as lines:
        for line in lines:
            if line.startswith("+"):
                pid, stop_signal = line[1:].split()
                groups[int(pid)] = stop_signal
            else:
                groups.pop(int(line[1:]), None)
    return groups


def _end(groups: Mapping[int, str]) -> None:
    for pid, stop_signal in groups.items():
        _signal(pid, signal.Signals[stop_signal])
    deadline = time.monotonic() + GRACE_SECONDS
    while time.monotonic() < deadline:
        if not any(_alive(pid) for pid in groups):
            return
        time.sleep(0.1)
    for pid in groups:
        _signal(pid, signal.SIGKILL)


def _signal(pid: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, number)


def _alive(pid: int) -> bool:
    try:
        os.killpg(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
