"""The dead man's switch of the inbox: Prometheus and Alertmanager cannot tell that they are dead, so the page does.

The Watchdog alert always fires, and its route tells the receiver `heartbeat` every minute. Who has been heard and
falls silent is told in the inbox, once, and once more when it is heard again. Where the heartbeat leads elsewhere
(`notify:`), none is ever heard here and nothing is told.
"""

import asyncio
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from starlette.concurrency import run_in_threadpool

from topmast.page.inbox import Inbox, Notification, now

RECEIVER = "heartbeat"
ALERT = "HeartbeatMissing"
# alertmanager.yml: repeated every minute. Three missed and a quarter of one for good measure.
SILENT_SECONDS = 195.0
LOOK_SECONDS = 5.0
# One that was heard so recently is expected again after a restart of the page.
_EXPECTED_HOURS = 24
_NEWEST = 500


class Heartbeat:
    """Knows when the heartbeat was heard last. `clock` is monotonic seconds."""

    def __init__(
        self, inbox: Inbox, clock: Callable[[], float] = time.monotonic, silent_seconds: float = SILENT_SECONDS
    ) -> None:
        self._inbox = inbox
        self._clock = clock
        self._silent = silent_seconds
        self._changing = threading.Lock()
        since = datetime.now(UTC) - timedelta(hours=_EXPECTED_HOURS)
        before = any(each.get("receiver") == RECEIVER for each in inbox.newest(_NEWEST, since))
        self._heard: float | None = clock() if before else None
        self._told = False

    def heard(self, receiver: str) -> None:
        """Take a notification of `receiver`; the end of a silence is told. Raises OSError."""
        if receiver != RECEIVER:
            return
        with self._changing:
            ended, self._told = self._told, False
            self._heard = self._clock()
        if ended:
            self._tell("resolved", "The heartbeat is heard again: alerts are evaluated and told.")

    def look(self) -> None:
        """Tell a silence that has lasted too long, once. Raises OSError."""
        with self._changing:
            silent = None if self._heard is None else self._clock() - self._heard
            if silent is None or self._told or silent <= self._silent:
                return
            self._tell(
                "firing",
                f"No heartbeat for {silent / 60:.0f} minutes: Prometheus or Alertmanager is down, or they do not "
                "reach each other. Until it is mended, no alert reaches anybody. `topmast verify` names who.",
            )
            self._told = True

    def _tell(self, status: str, text: str) -> None:
        self._inbox.append(Notification(now(), RECEIVER, "webhook", status, (ALERT,), text))


async def listening(heartbeat: Heartbeat) -> None:
    """Look again and again, until cancelled. A disk that is full is tried again."""
    while True:
        await asyncio.sleep(LOOK_SECONDS)
        try:
            await run_in_threadpool(heartbeat.look)
        except OSError:
            continue
