"""A world of log files that knows what was written into it: for proofs of what ships them.

Numbered lines, written, torn in two, rotated by rename and by copytruncate, as applications and logrotate do it.
"""

import json
import random
from pathlib import Path


class LogWorld:
    """One application's log and its rotations in a folder."""

    def __init__(self, folder: Path, chance: random.Random) -> None:
        folder.mkdir(parents=True)
        self.path = folder / "app.log"
        self.pattern = str(folder / "app.log*")
        self.written = 0
        """Lines so far; their numbers are 0 up to this. Each of them can still be read in some file."""
        self._chance = chance
        self._rotations = 0

    def write(self, lines: int) -> None:
        """Write so many lines, one in ten in two parts, and then perhaps rotate."""
        with self.path.open("ab", buffering=0) as file:
            for _ in range(lines):
                line = self._line()
                cut = self._chance.randrange(1, len(line)) if self._chance.random() < 0.1 else len(line)
                file.write(line[:cut])
                if cut < len(line):
                    file.write(line[cut:])
        chosen = self._chance.random()
        if chosen < 0.15:
            self.path.rename(self._next_name())
        elif chosen < 0.3:
            self._next_name().write_bytes(self.path.read_bytes())
            with self.path.open("r+b") as opened:
                opened.truncate(0)

    def _line(self) -> bytes:
        number, self.written = self.written, self.written + 1
        words = "x" * self._chance.randrange(400)
        return json.dumps({"message": f"number {number}", "n": number, "words": words}).encode() + b"\n"

    def _next_name(self) -> Path:
        self._rotations += 1
        return self.path.with_name(f"app.log.{self._rotations}")
