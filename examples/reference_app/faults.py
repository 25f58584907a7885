"""What is broken on purpose right now. `topmast demo inject` writes the file, the demo's processes read it.

The file is one JSON object: `{"errors": {"since": 1700000000.0, "until": 1700000120.0}, …}`, in unix time.
"""

import json
import os
import time
from collections.abc import Callable
from pathlib import Path

# A look at the file costs a stat; a fault is seen by every process within this time.
LOOK_SECONDS = 0.25


class Faults:
    """The faults of one demo. Without a path they live in this process alone."""

    def __init__(self, path: Path | None = None, clock: Callable[[], float] = time.time) -> None:
        self._path = path
        self._clock = clock
        self._until: dict[str, float] = {}
        self._looked = float("-inf")
        self._stamp: tuple[int, int] | None = None

    def active(self, name: str) -> bool:
        """Return whether the fault is on now."""
        self._look()
        return self._until.get(name, 0.0) > self._clock()

    def all_active(self) -> dict[str, float]:
        """Return the faults that are on, with the seconds that each still lasts."""
        self._look()
        now = self._clock()
        return {name: round(until - now, 1) for name, until in self._until.items() if until > now}

    def start(self, name: str, seconds: float) -> None:
        now = self._clock()
        self._look()
        self._until[name] = now + seconds
        self._write(now)

    def clear(self) -> None:
        self._until = {}
        self._write(self._clock())

    def _look(self) -> None:
        now = time.monotonic()
        if self._path is None or now - self._looked < LOOK_SECONDS:
            return
        self._looked = now
        try:
            found = self._path.stat()
            stamp = (found.st_mtime_ns, found.st_ino)
            if stamp == self._stamp:
                return
            listed = json.loads(self._path.read_text(encoding="utf-8"))
            self._until = {name: float(entry["until"]) for name, entry in listed.items()}
            self._stamp = stamp
        except FileNotFoundError:
            self._until, self._stamp = {}, None
        except (OSError, ValueError, TypeError, KeyError, AttributeError):
            # Written by hand and wrong: keep what was known, the next version is read again.
            return

    def _write(self, now: float) -> None:
        if self._path is None:
            return
        listed = {name: {"since": now, "until": until} for name, until in self._until.items() if until > now}
        self._path.parent.mkdir(parents=True, exist_ok=True)
        beside = self._path.with_name(f"{self._path.name}.{os.getpid()}")
        beside.write_text(json.dumps(listed), encoding="utf-8")
        beside.replace(self._path)
        self._stamp = None
