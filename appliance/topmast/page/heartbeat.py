"""The dead man's switch of the inbox: Prometheus and Alertmanager cannot tell that they are dead, so the page does.

The Watchdog alert always fires, and its route tells the receiver `heartbeat` every minute. Who has been heard and
falls silent is told in the inbox, once, and once more when it is heard again. Where the heartbeat leads elsewhere
(`notify:`), none is ever heard here and nothing is told.

A dead Prometheus falls silent only minutes later: Alertmanager goes on with what it was told last, until that ends
(four minutes). So a heartbeat counts from the moment at which its alert was evaluated, which it carries.
"""

import asyncio
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from starlette.concurrency import run_in_threadpool

from topmast.page.inbox import Inbox, Notification, now

RECEIVER = "heartbeat"
ALERT = "HeartbeatMissing"
# alertmanager.yml: repeated every minute, and told to it every minute. One of each missed, and a good minute.
SILENT_SECONDS = 195.0
LOOK_SECONDS = 5.0
# One that was heard so recently is expected again after a restart of the page.
_EXPECTED_HOURS = 24
_NEWEST = 500


class Heartbeat:
    """Knows when the heartbeat was heard last. `clock` is monotonic seconds, `wall` Unix seconds."""

    def __init__(
        self,
        inbox: Inbox,
        clock: Callable[[], float] = time.monotonic,
        silent_seconds: float = SILENT_SECONDS,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._inbox = inbox
        self._clock = clock
        self._wall = wall
        self._silent = silent_seconds
        self._changing = threading.Lock()
        since = datetime.now(UTC) - timedelta(hours=_EXPECTED_HOURS)
        before = any(each.get("receiver") == RECEIVER for each in inbox.newest(_NEWEST, since))
        self._heard: float | None = clock() if before else None
        self._told = False

    def heard(self, receiver: str, body: Any = None) -> None:
        """Take a notification of `receiver` as it came; the end of a silence is told. Raises OSError."""
        if receiver != RECEIVER:
            return
        with self._changing:
            at = self._clock() - _age(body, self._wall())
            # One that is older than what was heard before tells nothing new.
            self._heard = at if self._heard is None else max(at, self._heard)
            ended = self._told and self._clock() - at <= self._silent
            self._told = self._told and not ended
        if ended:
            self._tell("resolved", "The heartbeat is heard again: alerts are evaluated and told.")

    def age_seconds(self) -> float | None:
        """Return how long ago the alert was evaluated that was heard last; None when none was heard."""
        with self._changing:
            return None if self._heard is None else self._clock() - self._heard

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


def _age(body: Any, now: float) -> float:
    """Return how many seconds ago the alert of a webhook's body was evaluated; 0 when it does not say."""
    try:
        stamps = [float(each["annotations"]["evaluated"]) for each in body["alerts"]]
        # A clock that is behind makes nothing younger than now.
        return max(0.0, now - max(stamps))
    except (KeyError, TypeError, ValueError):
        return 0.0


async def listening(heartbeat: Heartbeat) -> None:
    """Look again and again, until cancelled. A disk that is full is tried again."""
    while True:
        await asyncio.sleep(LOOK_SECONDS)
        try:
            await run_in_threadpool(heartbeat.look)
        except OSError:
            continue
