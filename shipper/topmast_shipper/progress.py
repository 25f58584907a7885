"""How far a shipper is in its backlog: one line on a terminal that is drawn anew, and gone when it has caught up."""

import time
from collections.abc import Callable
from threading import Event, Thread
from typing import TextIO

_INTERVAL_SECONDS = 0.25
# Less is shipped before anybody has read the line.
_LEAST_BYTES = 8 << 20
_WIDTH = 24
CLEAR = "\r\x1b[K"
_MB = 1e6


class Progress:
    """Draws the backlog of a shipper. Its thread ends when there is none left, and with `stop`."""

    def __init__(
        self, stream: TextIO, backlog_bytes: Callable[[], int], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._stream = stream
        self._backlog_bytes = backlog_bytes
        self._clock = clock
        self._began = clock()
        self._most = 0
        self._over = Event()
        self._thread = Thread(target=self._run, name="progress", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._over.set()
        self._thread.join(2)

    def line(self) -> str | None:
        """Return what there is to say now; None when it has caught up, "" when the backlog is not worth a line."""
        left = self._backlog_bytes()
        self._most = max(self._most, left)
        if self._most < _LEAST_BYTES:
            return ""
        done = self._most - left
        seconds = self._clock() - self._began
        if left == 0:
            return None
        share = done / self._most
        bar = "█" * int(share * _WIDTH)
        speed = done / max(seconds, 1e-3)
        rest = f"{left / speed:.0f} s left" if speed > 0 else "waiting for the sink"
        return (
            f"backlog {bar:░<{_WIDTH}} {share:4.0%}  {done / _MB:,.0f} of {self._most / _MB:,.0f} MB"
            f"  {speed / _MB:,.{0 if speed >= 10 * _MB else 1}f} MB/s  {rest}"
        )

    def _run(self) -> None:
        drawn = False
        while not self._over.wait(_INTERVAL_SECONDS):
            said = self.line()
            if said is None:
                seconds = self._clock() - self._began
                self._write(f"{CLEAR}backlog shipped: {self._most / _MB:,.0f} MB in {seconds:.1f} s\n")
                return
            if said:
                # the next line of the log begins where this one does
                self._write(f"{CLEAR}{said}\r")
                drawn = True
        if drawn:
            self._write(CLEAR)

    def _write(self, text: str) -> None:
        self._stream.write(text)
        self._stream.flush()
