"""A worker's side: once a second, what it counted goes to the standalone exporter, and is forgotten when it is kept.

One line switches it on: `instrument(app, workers="shop")`, or TOPMAST_APP=shop in the environment. While the exporter
is away nothing piles up: there is one delta under way, and everything after it stays in the registry, which is
bounded by admission, until that one is acknowledged.
"""

import atexit
import os
import random
import socket
import threading
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

from topmast_exporter.registry import Registry
from topmast_exporter.workers.delta import Reading, take
from topmast_exporter.workers.wire import (
    APP_NAME,
    APP_VARIABLE,
    SOCKET_VARIABLE,
    VERSION,
    WireError,
    ask,
    default_socket,
    is_private,
)

INTERVAL_SECONDS = 1.0
TIMEOUT_SECONDS = 5.0
AT_EXIT_SECONDS = 2.0

# Well below the 15 s after which an application counts as gone.
LONGEST_WAIT_SECONDS = 5.0

REASONS = ("unreachable", "refused", "internal")


class Pusher:
    """Sends the deltas of one registry. Starts anew in a forked child, which is a worker of its own."""

    def __init__(
        self,
        registry: Registry,
        app: str,
        path: Path | None = None,
        *,
        interval_seconds: float = INTERVAL_SECONDS,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        if not APP_NAME.fullmatch(app):
            raise ValueError(f"the name of an application has letters, digits, _ . and -, at most 64: {app[:80]!r}")
        self.app = app
        self._registry = registry
        self._path = path or Path(os.environ.get(SOCKET_VARIABLE) or default_socket())
        self._interval = interval_seconds
        self._jitter = jitter
        self._failures = registry.counter(
            "exporter_push_failures_total", "Deltas of this worker that could not be handed over yet.", ("reason",)
        )
        for reason in REASONS:
            self._failures.labels(reason)
        registry.gauge(
            "exporter_push_age_seconds", "How long ago the exporter last acknowledged what this worker counted."
        ).labels().set_function(lambda: time.monotonic() - self._acknowledged_at)
        self._start_over()

    def _start_over(self) -> None:
        self._pid = os.getpid()
        self._worker = uuid.uuid4().hex
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._connection: socket.socket | None = None
        self._hurry = self._closing = False
        self._epoch = ""
        self._before = Reading()
        self._under_way: tuple[dict[str, Any], dict[str, Any], Reading] | None = None
        self._told: set[str] = set()
        # the numbers of the last delta taken, acknowledged, and waited for
        self._failed_in_a_row = 0
        self._taken = self._kept = self._wanted = 0
        self._acknowledged_at = time.monotonic()

    def begin(self) -> None:
        """Push from this process from now on; a second call changes nothing."""
        if self._pid != os.getpid():
            self._start_over()
        with self._changed:
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="topmast-workers", daemon=True)
                self._thread.start()
                atexit.register(self._at_exit, os.getpid())

    def flush(self, timeout_seconds: float = AT_EXIT_SECONDS) -> bool:
        """Send now; return whether everything counted before this call was acknowledged in time."""
        with self._changed:
            if self._thread is None:
                return False
            # the delta under way was taken before; the one after it has everything
            wanted = self._wanted = self._taken + 1
            self._hurry = True
            self._changed.notify_all()
            return self._changed.wait_for(lambda: self._kept >= wanted, timeout_seconds)

    def close(self, timeout_seconds: float = AT_EXIT_SECONDS) -> bool:
        """Send what is left and end; return whether it was acknowledged."""
        settled = self.flush(timeout_seconds)
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        return settled

    def _at_exit(self, pid: int) -> None:
        if pid == os.getpid():
            self.close()

    # --- the thread ------------------------------------------------------------------------------------------

    def _run(self) -> None:
        wait = 0.0
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._closing or self._is_urgent(), wait)
                if self._closing:
                    self._hang_up()
                    return
                self._hurry = False
            reason = self._round()
            if reason:
                self._failures.labels(reason).inc()
                self._failed_in_a_row += 1
                self._hang_up()
                backoff = min(LONGEST_WAIT_SECONDS, self._interval * 2 ** min(self._failed_in_a_row, 10))
                wait = backoff * (0.5 + self._jitter() / 2)
            else:
                self._failed_in_a_row = 0
                wait = self._interval

    def _is_urgent(self) -> bool:
        # who waits for the delta after this one is not kept waiting for a second
        return self._hurry or (not self._failed_in_a_row and self._kept < self._wanted)

    def _round(self) -> str:
        """Hand over one delta; return why not, or ""."""
        try:
            connection = self._connected()
            if self._under_way is None:
                with self._changed:
                    self._taken += 1
                self._under_way = take(self._registry, self._before)
            declared, delta, reading = self._under_way
            families = {name: told for name, told in declared.items() if name not in self._told}
            answer = ask(connection, {"sequence": self._taken, "families": families, **delta})
            if answer.get("acknowledged") != self._taken:
                raise WireError("another delta was acknowledged")
            self._told.update(families)
            self._settle(reading)
        except OSError:
            return "unreachable"
        except WireError:
            return "refused"
        except Exception:  # noqa: BLE001 a guard: the thread outlives whatever a collector does
            self._registry.count_internal_error("workers")
            return "internal"
        return ""

    def _settle(self, reading: Reading) -> None:
        self._before, self._under_way = reading, None
        self._acknowledged_at = time.monotonic()
        with self._changed:
            self._kept = self._taken
            self._changed.notify_all()

    def _connected(self) -> socket.socket:
        if self._connection is not None:
            return self._connection
        if not is_private(self._path.parent):
            raise WireError(f"{self._path.parent}: belongs to somebody else, or is open to others")
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            connection.settimeout(TIMEOUT_SECONDS)
            connection.connect(str(self._path))
            answer = ask(connection, {"version": VERSION, "app": self.app, "worker": self._worker})
        except BaseException:
            connection.close()
            raise
        self._connection = connection
        self._told = set()
        epoch, sequence = str(answer.get("epoch", "")), int(answer.get("sequence", 0))
        if self._epoch and epoch != self._epoch:
            # The exporter lost what it had kept: everything that this worker ever counted is told again.
            self._before, self._under_way = Reading(), None
        elif self._under_way is not None and sequence >= self._taken:
            # It was kept, and only the answer was lost.
            self._settle(self._under_way[2])
        self._epoch = epoch
        return connection

    def _hang_up(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def begin(registry: Registry) -> None:
    """Push for this process when a name was given (`declare`), or the environment has one."""
    pusher = registry.pusher
    if pusher is None:
        name = os.environ.get(APP_VARIABLE, "")
        pusher = declare(registry, name) if name else None
    if pusher is not None:
        pusher.begin()


def declare(registry: Registry, app: str) -> "Pusher":
    """Say that this registry is a worker's, of that application. Nothing runs before `begin`."""
    if registry.pusher is None:
        registry.pusher = Pusher(registry, app)
    return registry.pusher
