"""Start, signal and reap one child process. Standard library only; called from the supervisor's main thread."""

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
from pathlib import Path

from topmast.component import Component

_PR_SET_PDEATHSIG = 1  # linux/prctl.h
_libc = ctypes.CDLL(None) if sys.platform == "linux" else None


def start(component: Component, log: Path) -> int:
    """Return the pid of the component's new process: leader of its own session, output appended to `log`.

    Its parent-death signal is its stop signal. Raises OSError when the program cannot be started.
    """
    parent = os.getpid()
    number = int(signal.Signals[component.stop_signal])

    def in_child() -> None:
        if _libc is not None:
            # Bound to the forking *thread*: the supervisor has one, and it lives as long as the process.
            _libc.prctl(_PR_SET_PDEATHSIG, number)
            if os.getppid() != parent:  # the parent died before the line above took hold
                os._exit(1)

    with log.open("ab") as output:
        process = subprocess.Popen(
            component.argv,
            cwd=component.cwd or None,
            env={**os.environ, **component.env},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=in_child,  # safe: the supervisor has a single thread
        )
    # We reap by pid ourselves; the object would warn that its process is still running when it goes.
    process.returncode = 0
    return process.pid


def ended(pid: int) -> str | None:
    """Return how the child ended (`exited with 1`, `killed by SIGKILL`), or None while it runs."""
    try:
        reaped, status = os.waitpid(pid, os.WNOHANG)
    except ChildProcessError:
        return "gone"
    if reaped == 0:
        return None
    code = os.waitstatus_to_exitcode(status)
    return f"killed by {signal.Signals(-code).name}" if code < 0 else f"exited with {code}"


def signal_group(pid: int, number: signal.Signals) -> None:
    """Signal the group that the child leads; nothing happens when all of it is gone."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, number)


def rotate(log: Path, limit: int) -> None:
    """Copy a log that outgrew `limit` bytes to NAME.1 and empty it.

    The child appends (O_APPEND), so it goes on at the new end; what it writes between copy and truncation is lost,
    which a component's own output can bear (the application's logs never pass here).
    """
    with contextlib.suppress(OSError):
        if log.stat().st_size > limit:
            log.with_name(log.name + ".1").write_bytes(log.read_bytes()[-limit:])
            os.truncate(log, 0)
