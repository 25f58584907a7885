"""Deleted files that some sink has not got: kept open, for a bounded time and within bounded space only.

What is given up unread is told and counted.
"""

import logging
from collections.abc import Callable, Mapping

from topmast_shipper.tail.discovery import whereabouts
from topmast_shipper.tail.follow import Follow
from topmast_shipper.tail.generation import Generation

_log = logging.getLogger(__name__)

Key = tuple[int, int]


class Deleted:
    """Remembers since when files have no name any more; belongs to one thread."""

    def __init__(
        self,
        unread: Callable[[Generation], int],
        copied: Callable[[Generation], bool],
        lost: Callable[[str, int], None],
        clock: Callable[[], float],
    ) -> None:
        self._unread = unread
        self._copied = copied
        self._lost = lost
        self._clock = clock
        self._since: dict[Key, float] = {}

    def note(self, file: Generation) -> bool:
        """Take note of a file that is open and has no name; return whether it is one."""
        status = file.status()
        if status is None or status.st_nlink > 0:
            return False
        self._since.setdefault(file.key, self._clock())
        return True

    def forget(self, key: Key) -> None:
        self._since.pop(key, None)

    def give_up(self, files: Mapping[Key, Generation], follow: Follow) -> list[Generation]:
        """Return those held too long or, the oldest first, that take too much space; what is unread is counted."""
        now, kept, given_up = self._clock(), 0, []
        for key, since in sorted(self._since.items(), key=lambda each: -each[1]):
            file = files.get(key)
            if file is None:
                self.forget(key)
                continue
            kept += self._unread(file)
            if now - since >= follow.hold_deleted_seconds or kept > follow.hold_deleted_bytes:
                self._count(file)
                given_up.append(file)
        return given_up

    def leave(self, file: Generation) -> None:
        """Count what is unread in a file that is closed now, if no later run can find it."""
        if self._unread(file) and whereabouts(file.where, file.target, file.key) is None:
            self._count(file)

    def _count(self, file: Generation) -> None:
        unread = self._unread(file)
        if unread and not self._copied(file):
            _log.error("a deleted file is given up before every sink has it: %s: %d bytes", file.shown, unread)
            self._lost("held", unread)
