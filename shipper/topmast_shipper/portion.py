"""The part of a window that belongs to one day, as rows for the tables of its file.

Everything that can be known beforehand is: while it is written, only the numbers of the rows are filled in.
"""

from collections.abc import Collection, Sequence
from itertools import chain, repeat
from typing import Any

from topmast_shipper import timestamps
from topmast_shipper.outlines import Outlines
from topmast_shipper.window import Window

EVENT_COLUMNS = 7
WORDS_COLUMNS = 3


class Portion:
    """Rows, one behind the other, and their ids."""

    def __init__(self, day: str, columns: Sequence[Sequence[Any]]) -> None:
        """`columns`: ids, times, levels, services, statuses, texts, messages, words."""
        self.day = day
        self.ids: Sequence[str] = columns[0]
        ordered = sorted(self.ids)
        self.least = {key[:20]: key for key in reversed(ordered)}
        """Least id of each stream and generation."""
        self.greatest = {key[:20]: key for key in ordered}
        self._columns = columns
        # the numbers come later
        self.events: list[object] = list(chain.from_iterable(zip(repeat(None), *columns[:6], strict=False)))
        self.words: list[object] = list(chain.from_iterable(zip(repeat(None), *columns[6:], strict=False)))

    def without(self, ids: Collection[str]) -> "Portion":
        """Return the rows that have other ids."""
        kept = [at for at, key in enumerate(self.ids) if key not in ids]
        return Portion(self.day, [[column[at] for at in kept] for column in self._columns])

    def number(self, first: int) -> None:
        """Number the rows from `first` on."""
        numbers = range(first, first + len(self.ids))
        self.events[::EVENT_COLUMNS] = numbers
        self.words[::WORDS_COLUMNS] = numbers


def portions(window: Window, outlines: Outlines) -> list[Portion]:
    """Return the window's days in their order, each id once."""
    told = outlines.read(window.documents)
    texts = list(map(bytes.decode, window.documents))
    columns = [
        window.ids, window.times, window.levels, window.services, told.statuses, texts, told.messages, told.words
    ]  # fmt: skip
    places = _by_day(window)
    if [len(chosen) for chosen in places.values()] == [len(window)]:  # nearly always
        return [Portion(day, columns) for day in places]
    return [
        Portion(day, [[column[at] for at in chosen.values()] for column in columns])
        for day, chosen in sorted(places.items())
    ]


def _by_day(window: Window) -> dict[str, dict[str, int]]:
    """Return the ids of each day, with their places in the window."""
    ids, times = window.ids, window.times
    first, last = timestamps.day(min(times, default=0)), timestamps.day(max(times, default=0))
    if first == last:  # nearly always
        return {first: dict(zip(ids, range(len(ids)), strict=True))} if ids else {}
    days: dict[str, dict[str, int]] = {}
    for at, (key, moment) in enumerate(zip(ids, times, strict=True)):
        days.setdefault(timestamps.day(moment), {})[key] = at
    return days
