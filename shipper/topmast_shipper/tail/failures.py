"""What cannot be looked at just now: no permission, a bad disk, a stale handle of a network file system.

It is counted, told once in a while, tried again at the next look, and holds up nothing else.
"""

import errno
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from topmast_shipper.tail.discovery import legible

_log = logging.getLogger(__name__)
_TELL_AGAIN_SECONDS = 600.0
_PATHS = 1000
# No reading ends so: it is the checkpoint that cannot be written, and that holds up everything.
_OF_WRITING = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS})


class Failures:
    """Keeps who failed when; belongs to one thread."""

    def __init__(
        self, failed: Callable[[], None], clock: Callable[[], float], *, passed_on: frozenset[int] = _OF_WRITING
    ) -> None:
        self._failed = failed
        self._passed_on = passed_on
        self._clock = clock
        self._told: dict[str, float] = {}

    @contextmanager
    def at(self, path: str) -> Iterator[None]:
        """Do something with a file; what the system refuses ends it here. Raises OSError of `passed_on`."""
        try:
            yield
        except OSError as error:
            if error.errno in self._passed_on:
                raise
            self._failed()
            now = self._clock()
            if now - self._told.get(path, -_TELL_AGAIN_SECONDS) >= _TELL_AGAIN_SECONDS:
                if len(self._told) >= _PATHS:
                    self._told.clear()
                self._told[path] = now
                shown = legible(path)
                _log.warning("a file cannot be followed just now, trying again: %s: %s", shown, error.strerror)
