"""What the kernel says of a process, and waiting for what one does."""

import os
import time
from collections.abc import Callable
from pathlib import Path
from threading import Event

from topmast.errors import TopmastError

_TICKS = os.sysconf("SC_CLK_TCK")


def cpu_seconds(pid: int) -> float:
    """Return the processor time of a process so far, without its children's. Raises OSError when there is none."""
    # proc(5): utime and stime are fields 14 and 15, in clock ticks; the name before them may hold anything
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def wait_for(condition: Callable[[], bool], seconds: float) -> None:
    """Return once the condition holds, which is asked twenty times a second. Raises TopmastError after `seconds`."""
    deadline, pause = time.monotonic() + seconds, Event()
    while not condition():
        if time.monotonic() > deadline:
            raise TopmastError(f"not within {seconds:g} s")
        pause.wait(0.05)
