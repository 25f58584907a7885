"""Bounds how many files are open at once: who was opened first gives its descriptor back, and asks again."""

from collections import deque
from threading import Lock
from typing import Protocol


class Holder(Protocol):
    """Somebody who has a file open."""

    @property
    def opened(self) -> bool: ...

    def give_back(self) -> bool:
        """Close the file, if it can be opened again; return whether it is closed."""


class Descriptors:
    """Keeps at most so many holders open, but for those that cannot open their file again. Thread-safe."""

    def __init__(self, most: int) -> None:
        self.most = most
        self._mutex = Lock()
        self._open: deque[Holder] = deque()

    def opened(self, holder: Holder) -> None:
        """Take note of a file that was opened; close others if they are too many now."""
        suspects: list[Holder] = []
        with self._mutex:
            if holder not in self._open:
                self._open.append(holder)
            if len(self._open) > self.most:
                self._open = deque(each for each in self._open if each.opened or each is holder)
            while len(self._open) > self.most and self._open[0] is not holder:
                suspects.append(self._open.popleft())
        kept = [each for each in suspects if not each.give_back()]
        if kept:
            with self._mutex:
                self._open.extend(kept)
