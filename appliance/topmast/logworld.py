"""A world of log files that knows what was written into it and what of it can still be read: for proofs of shippers.

Numbered lines, written, torn in two, rotated by rename, by copytruncate and by a link that leads elsewhere,
compressed, deleted and truncated, as applications and logrotate do it: while a shipper is at work, and while none is.
"""

import gzip
import json
import random
from collections import Counter
from collections.abc import Callable, Set
from pathlib import Path

_MANY = 30
Numbers = Callable[[], Set[int]]


class LogWorld:
    """One application's logs and their rotations in a folder."""

    def __init__(self, folder: Path, chance: random.Random) -> None:
        self.path = folder / "app.log"
        self.link = folder / "current.log"
        self.patterns = (str(folder / "app.log*"), str(self.link))
        self.written = 0
        """Lines so far; their numbers are 0 up to this."""
        self.unreadable: set[int] = set()
        """Numbers of lines that were gone before any shipper could read them."""
        self.happened = Counter[str]()
        """What was done to the files, and how often."""
        self.diary: list[str] = []
        """The same in its order: what was done to which file, behind how many lines."""
        self.chance = chance
        self._rotations = 0
        self._files: dict[Path, list[int]] = {}
        """The numbers of the whole lines in each file."""
        self._held: list[list[int]] = []
        """The same of files that were deleted while the shipper had them open."""
        self._rest = b""
        """What is still missing of the last line of `path`."""
        (folder / "pods").mkdir(parents=True)
        self._lead_elsewhere()

    def write(self, lines: int) -> None:
        """Write so many lines, one in ten in two parts, the last one perhaps not to its end."""
        self.finish_line()
        for left in reversed(range(lines)):
            path = self.link.resolve() if self.chance.random() < 0.1 else self.path
            line = self._line()
            cut = self.chance.randrange(1, len(line)) if self.chance.random() < 0.1 else len(line)
            with path.open("ab", buffering=0) as file:
                file.write(line[:cut])
                if cut < len(line) and left == 0 and path == self.path:
                    self._rest = line[cut:]
                    self._note("partial_line", path)
                    return
                if cut < len(line):
                    file.write(line[cut:])
            self._wrote(path)

    def finish_line(self) -> None:
        """Write what is missing of an unfinished line."""
        if self._rest:
            with self.path.open("ab", buffering=0) as file:
                file.write(self._rest)
            self._rest = b""
            self._wrote(self.path)

    def disturb(self, holds: Callable[[Path], bool] | None, stored: Numbers) -> None:
        """Do perhaps one of the things that happen to logs.

        `holds` tells whether the shipper has a file open, None that there is none; `stored` is what has arrived.
        """
        chosen = self.chance.random()
        if chosen < 0.12:
            self._rename()
        elif chosen < 0.24:
            self._copy_and_truncate()
        elif chosen < 0.36:
            self._compress()
        elif chosen < 0.44:
            self._delete(holds, stored)
        elif chosen < 0.48 and self._files.keys() & {self.link.resolve()} and holds is None:
            self._swap(stored)
        elif chosen < 0.52 and holds is None:
            self._truncate(stored)
        if holds is None and len(self._files) > _MANY:
            self._tidy(stored)

    def killed(self, stored: Numbers) -> None:
        """The shipper is dead: what only it could read can be read by nobody any more."""
        self.diary.append(f"{self.written} kill")
        held, self._held = self._held, []
        for numbers in held:
            self._lose(numbers, stored)

    def _line(self) -> bytes:
        words = "x" * self.chance.randrange(400)
        said = {"message": f"number {self.written}", "n": self.written, "words": words}
        return json.dumps(said).encode() + b"\n"

    def _note(self, what: str, path: Path) -> None:
        self.happened[what] += 1
        self.diary.append(f"{self.written} {what} {path.name}")

    def _wrote(self, path: Path) -> None:
        self._files.setdefault(path, []).append(self.written)
        self.written += 1

    def _rename(self) -> None:
        if self.path.exists() and not self._rest:
            rotated = self._next_name()
            self._note("rename", rotated)
            self.path.rename(rotated)
            self._files[rotated] = self._files.pop(self.path, [])

    def _copy_and_truncate(self) -> None:
        if self.path.exists() and not self._rest:
            copy = self._next_name()
            self._note("copytruncate", copy)
            copy.write_bytes(self.path.read_bytes())
            with self.path.open("r+b") as opened:
                opened.truncate(0)
            self._files[copy] = self._files.pop(self.path, [])

    def _compress(self) -> None:
        """The compressed file grows beside the plain one, which goes when it is whole."""
        plain = [each for each in self._rotated() if each.suffix != ".gz"]
        if plain:
            path = self.chance.choice(plain)
            self._note("gz", path)
            packed, data = path.with_name(path.name + ".gz"), gzip.compress(path.read_bytes())
            with packed.open("wb", buffering=0) as file:
                file.write(data[: len(data) // 2])
                file.write(data[len(data) // 2 :])
            path.unlink()
            self._files[packed] = self._files.pop(path)

    def _delete(self, holds: Callable[[Path], bool] | None, stored: Numbers) -> None:
        """Delete a file; while a shipper is at work, one that it has open."""
        there = [*self._rotated(), *([self.path] if self.path.exists() and not self._rest else [])]
        if holds is not None:
            there = [each for each in there if each.suffix != ".gz" and holds(each)]
        if not there:
            return
        path = self.chance.choice(there)
        self._note("delete" if holds is None else "delete_open", path)
        path.unlink()
        numbers = self._files.pop(path, [])
        if holds is not None:
            self._held.append(numbers)
        else:
            self._lose(numbers, stored)
        if path == self.path and self.chance.random() < 0.5:
            self._note("recreate", path)
            path.touch()

    def _swap(self, stored: Numbers) -> None:
        """Let the link lead elsewhere, if a shipper knows where it leads: no pattern matches that any more."""
        if stored() & set(self._files[self.link.resolve()]):
            self._note("symlink_swap", self.link)
            self._lead_elsewhere()

    def _truncate(self, stored: Numbers) -> None:
        if self.path.exists() and not self._rest:
            self._note("truncate", self.path)
            with self.path.open("r+b") as opened:
                opened.truncate(0)
            self._lose(self._files.pop(self.path, []), stored)

    def _tidy(self, stored: Numbers) -> None:
        """Delete what has arrived, as a rotation does with the oldest."""
        arrived = stored()
        for path in self._rotated():
            if arrived >= set(self._files[path]):
                path.unlink()
                del self._files[path]

    def _lose(self, numbers: list[int], stored: Numbers) -> None:
        left = set(numbers).difference(*self._files.values(), *self._held)
        if left:
            self.unreadable |= left - stored()

    def _rotated(self) -> list[Path]:
        return [each for each in self._files if each not in (self.path, self.link.resolve())]

    def _lead_elsewhere(self) -> None:
        self._rotations += 1
        target = self.link.parent / "pods" / f"{self._rotations}.log"
        target.touch()
        leading = self.link.with_name("leading")
        leading.symlink_to(target)
        leading.rename(self.link)

    def _next_name(self) -> Path:
        self._rotations += 1
        return self.path.with_name(f"app.log.{self._rotations}")
