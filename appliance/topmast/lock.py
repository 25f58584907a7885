"""The lock of a state folder: one appliance a folder, and a second `up` says where the first one is."""

import errno
import fcntl
import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from topmast.errors import NotRunningError, StateError
from topmast.layout import Layout

_CLEANUP_SECONDS = 20.0  # the guard's grace of ten seconds, and time to spare


def refuse_file(layout: Layout) -> None:
    """Raise StateError when the state folder is none, before anything in it is asked for."""
    if os.path.lexists(layout.state) and not layout.state.is_dir():
        raise StateError(
            f"{layout.state}: the state folder cannot be written (not a folder); choose another with --state DIR"
        )


def acquire(layout: Layout, say: Callable[[str], None]) -> int:
    """Return the lock's descriptor, held for this state folder; the supervisor inherits it.

    Waits for a run whose supervisor was killed and whose processes are just being ended. Raises StateError when
    another run holds the folder, or it cannot be written.
    """
    try:
        for folder in (layout.run, layout.logs, layout.data, layout.rendered, layout.engines):
            folder.mkdir(parents=True, exist_ok=True)
        # Secrets and logs of the machine's owner: nobody else's.
        layout.state.chmod(0o700)
        descriptor = os.open(layout.run / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        remedy = "free some disk" if error.errno == errno.ENOSPC else "choose another with --state DIR"
        raise StateError(
            f"{layout.state}: the state folder cannot be written ({error.strerror}); {remedy}"
        ) from error
    deadline = time.monotonic() + _CLEANUP_SECONDS
    told = False
    while not _taken(descriptor):
        running = _supervisor(layout)
        if running is not None:
            os.close(descriptor)
            raise StateError(f"{layout.state}: already running (pid {running['pid']}): {_where(running)}")
        if time.monotonic() > deadline:
            os.close(descriptor)
            raise StateError(f"{layout.state}: held by another `topmast up`; wait for it, or choose another --state")
        if not told:
            say("waiting for the previous run's processes to end")
            told = True
        time.sleep(0.1)
    return descriptor


def held(layout: Layout) -> bool:
    """Return whether a run (or the cleaning up after one) holds the folder."""
    try:
        descriptor = os.open(layout.run / "lock", os.O_RDWR)
    except OSError:
        return False
    try:
        return not _taken(descriptor)
    finally:
        os.close(descriptor)


def status(layout: Layout) -> dict[str, Any]:
    """Return status.json of the running appliance. Raises NotRunningError when there is none."""
    running = _supervisor(layout) if held(layout) else None
    if running is None:
        raise NotRunningError(f"{layout.state}: nothing is running here; `topmast up` starts it")
    return running


def _taken(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _supervisor(layout: Layout) -> dict[str, Any] | None:
    """Return the status that a living supervisor wrote; None when it is gone."""
    try:
        told: dict[str, Any] = json.loads((layout.run / "status.json").read_text())
        return told if _alive(told["pid"]) else None
    except (OSError, ValueError, KeyError):
        return None


def _alive(pid: int) -> bool:
    """Return whether the process runs; one that ended and was not reaped by its parent yet does not."""
    try:
        os.kill(pid, 0)
    except PermissionError:
        return True  # another user's
    except ProcessLookupError:
        return False
    stat = Path(f"/proc/{pid}/stat")
    # proc(5): the state is the first field behind the name, which may hold spaces and brackets.
    return not stat.exists() or stat.read_text().rpartition(")")[2].split()[0] != "Z"


def _where(running: dict[str, Any]) -> str:
    page = next((one["address"] for one in running["components"] if one["name"] == "page"), "")
    return f"http://{page} — `topmast status` tells more, `topmast down` stops it" if page else "starting"


def wait_released(layout: Layout, seconds: float) -> bool:
    """Return whether the folder's lock was released within `seconds`."""
    deadline = time.monotonic() + seconds
    while held(layout):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def marker(path: Path) -> None:
    """Keep a state folder out of version control and search: it holds data, not sources."""
    if not path.exists():
        path.write_text("*\n")
