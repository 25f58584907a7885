"""What the shipper writes itself and an input never reads: each line of it would make another one, without end."""

import glob
import logging
import os
import stat
from collections.abc import Sequence
from fnmatch import fnmatchcase
from pathlib import Path

from topmast_shipper.component import Written
from topmast_shipper.tail.discovery import Found

_log = logging.getLogger(__name__)
# What a rotation makes of a sink's file: out.json.1, out.json-20261122, out.json.2.gz.
_ROTATED = ("[.-][0-9]*", ".gz")

# The folders that are written to, as they are once links are followed, each with the names that are ours.
_Places = tuple[tuple[str, tuple[str, ...]], ...]


class Own:
    """Tells files that this shipper writes from those of others, by any name of theirs."""

    def __init__(self, input_name: str, written: Sequence[Written]) -> None:
        self._input = input_name
        self._written = tuple(written)
        self._places: _Places = ()
        self._keys: frozenset[tuple[int, int]] = frozenset()
        self._verdicts: dict[tuple[str, int, int], bool] = {}
        """Of the files that were there at the last look."""
        self._told: set[str] = set()

    def without(self, found: list[Found]) -> list[Found]:
        """Return the files that others write. The first of each folder that is left out is told."""
        if not self._written:
            return found
        self._look()
        known, self._verdicts = self._verdicts, {}
        kept = []
        for each in found:
            place = (each.path, *each.key)
            verdict = known.get(place)
            self._verdicts[place] = ours = self._holds(each.path) if verdict is None else verdict
            if ours or each.key in self._keys:
                self._tell(each.path)
            else:
                kept.append(each)
        return kept

    def _look(self) -> None:
        """Take note of where the links lead now, and of which files there are: a sink makes them when it must."""
        places, keys = list[tuple[str, tuple[str, ...]]](), set[tuple[int, int]]()
        for path, names in self._written:
            real = os.path.realpath(path)
            if names:
                places.append((real, names))
                continue
            folder, name = os.path.split(real)
            places.append((folder, tuple(glob.escape(name) + suffix for suffix in ("", *_ROTATED))))
            try:
                status = Path(real).stat()
            except OSError:
                continue  # not made yet
            if stat.S_ISREG(status.st_mode):
                keys.add((status.st_dev, status.st_ino))
        if tuple(places) != self._places:
            self._places = tuple(places)
            self._verdicts.clear()
        self._keys = frozenset(keys)

    def holds(self, path: str) -> bool:
        """Return whether one file is the shipper's own now."""
        self._look()
        return self._holds(path)

    def _holds(self, path: str) -> bool:
        real = os.path.realpath(path)
        for folder, names in self._places:
            if real.startswith(folder + os.sep):
                name = real[len(folder) + 1 :].partition(os.sep)[0]
                if any(fnmatchcase(name, each) for each in names):
                    return True
        return False

    def _tell(self, path: str) -> None:
        folder = os.path.dirname(path)  # noqa: PTH120 - as in discovery
        if folder not in self._told:
            self._told.add(folder)
            _log.warning("input %s: %s is written by this shipper, and is not read", self._input, path)
