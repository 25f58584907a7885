"""What the kernel says of a process, and waiting for what one does."""

import os
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from threading import Event

from topmast.errors import TopmastError

_TICKS = os.sysconf("SC_CLK_TCK")


def cpu_seconds(pid: int) -> float:
    """Return the processor time of a process so far, without its children's. Raises OSError when there is none."""
    user, system = map(int, _stat(pid)[11:13])
    return (user + system) / _TICKS


def family_cpu_seconds(pid: int) -> float:
    """Return the processor time of a process and its descendants so far, those that it waited for included."""
    used = 0
    for each in _family(pid):
        with suppress(OSError):  # it has ended meanwhile: whoever waited for it has its time
            used += sum(map(int, _stat(each)[11:15]))
    return used / _TICKS


def _family(pid: int) -> list[int]:
    """Return a process and its descendants."""
    children: dict[int, list[int]] = {}
    for path in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            children.setdefault(int(_stat(int(path.name))[1]), []).append(int(path.name))
    family, new = [pid], [pid]
    while new:
        new = [child for parent in new for child in children.get(parent, [])]
        family += new
    return family


def _stat(pid: int) -> list[str]:
    """Return proc(5)'s fields behind the name, which may hold anything: [0] is the state, [1] the parent.

    [11] and [12] are the time in user mode and in the kernel, [13] and [14] the same of the children that it has
    waited for, in clock ticks. Raises OSError when there is no such process.
    """
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


def wait_for(condition: Callable[[], bool], seconds: float) -> None:
    """Return once the condition holds, which is asked twenty times a second. Raises TopmastError after `seconds`."""
    deadline, pause = time.monotonic() + seconds, Event()
    while not condition():
        if time.monotonic() > deadline:
            raise TopmastError(f"not within {seconds:g} s")
        pause.wait(0.05)
