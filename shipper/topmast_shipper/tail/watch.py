"""When to look again: at once where inotify tells, every second in any case.

inotify is asked about folders, and only *that* something happened is used, never what: a queue overflow, a
missed event or a network file system costs at most a second (SHIPPING.md section 5).
Constants: inotify(7), <sys/inotify.h>.
"""

import ctypes
import os
import select
import struct
from collections.abc import Iterable

_IN_MODIFY = 0x2
_IN_MOVED = 0xC0
_IN_CREATE = 0x100
_IN_DELETE = 0x200
_IN_IGNORED = 0x8000
_IN_ONLYDIR = 0x01000000
_MASK = _IN_MODIFY | _IN_MOVED | _IN_CREATE | _IN_DELETE | _IN_ONLYDIR
# struct inotify_event: int wd; uint32_t mask, cookie, len; char name[len]
_HEADER = struct.Struct("iIII")


class Watch:
    """Wakes its waiter when a watched folder changes, when it is told to, or when the time is up."""

    def __init__(self) -> None:
        self._reader, self._writer = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._poll = select.poll()
        self._poll.register(self._reader, select.POLLIN)
        self._folders: dict[str, int] = {}
        self._library, self._notifier = _open_notifier()
        if self._notifier >= 0:
            self._poll.register(self._notifier, select.POLLIN)

    @property
    def notifies(self) -> bool:
        """Whether changes are announced; where not, look more often."""
        return self._notifier >= 0

    def follow(self, folders: Iterable[str]) -> None:
        """Watch exactly these folders; one that is not there yet is tried again at the next call."""
        wanted = set(folders)
        if self._notifier < 0 or self._library is None:
            return
        for gone in self._folders.keys() - wanted:
            self._library.inotify_rm_watch(self._notifier, self._folders.pop(gone))
        for folder in wanted - self._folders.keys():
            watch = self._library.inotify_add_watch(self._notifier, os.fsencode(folder), _MASK)
            if watch >= 0:
                self._folders[folder] = watch

    def wait(self, seconds: float) -> None:
        """Return after a change or a wake, or after `seconds`."""
        for descriptor, _ in self._poll.poll(seconds * 1000):
            data = os.read(descriptor, 65536)
            if descriptor == self._notifier:
                self._forget_ignored(data)

    def wake(self) -> None:
        """Return the waiter at once; from any thread, and from a signal handler."""
        os.write(self._writer, b"!")

    def close(self) -> None:
        for descriptor in (self._reader, self._writer, self._notifier):
            if descriptor >= 0:
                os.close(descriptor)

    def _forget_ignored(self, data: bytes) -> None:
        """A folder that went away is watched again once it is back."""
        position = 0
        while position + _HEADER.size <= len(data):
            watch, mask, _, length = _HEADER.unpack_from(data, position)
            position += _HEADER.size + length
            if mask & _IN_IGNORED:
                self._folders = {folder: each for folder, each in self._folders.items() if each != watch}


def _open_notifier() -> tuple[ctypes.CDLL | None, int]:
    """Return the C library and an inotify descriptor, or (None, -1) where there is none."""
    try:
        library = ctypes.CDLL(None, use_errno=True)
        return library, int(library.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC))
    except (OSError, AttributeError):
        return None, -1
