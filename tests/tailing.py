"""A shipper without a sink, for tests of what happens to files."""

import os
import time
from pathlib import Path

from topmast_shipper.checkpoint import Checkpoint
from topmast_shipper.tail.catalogue import Catalogue
from topmast_shipper.tail.follow import Follow
from topmast_shipper.tail.generation import cursor_at

SINK = "sqlite"


class Reader:
    """A shipper without a sink: sweeps, reads everything, moves the checkpoint; can be killed at any moment."""

    def __init__(
        self,
        folder: Path,
        patterns: tuple[str, ...] = ("app.log*",),
        sinks: tuple[str, ...] = (SINK,),
        **options: object,
    ) -> None:
        self.folder = folder
        self.now = 1000.0
        self.wall = time.time
        self.lost: list[tuple[str, int]] = []
        self._patterns = tuple(str(folder / pattern) for pattern in patterns)
        self._options = options
        self._sinks = sinks
        self.start()

    def start(self) -> None:
        self.checkpoint = Checkpoint(self.folder / "state")
        self.follow = Follow("app", self._patterns, **self._options)  # type: ignore[arg-type]  # a test's choice
        self.catalogue = Catalogue(
            self.follow,
            self.checkpoint,
            self._sinks,
            ["app"],
            lost=self.catalogue_lost,
            clock=lambda: self.now,
            wall=lambda: self.wall(),
        )

    def catalogue_lost(self, reason: str, size: int) -> None:
        self.lost.append((reason, size))

    def kill(self) -> None:
        self.catalogue.close()
        self.checkpoint.close()

    def restart(self) -> None:
        self.kill()
        self.start()

    def read(self, most: int = 1_000_000, sink: str = SINK) -> list[str]:
        """Sweep, then return the new lines, settled."""
        self.catalogue.sweep()
        return [line for line, _ in self.read_ids(most, sink)]

    def read_ids(self, most: int = 1_000_000, sink: str = SINK) -> list[tuple[str, str]]:
        found: list[tuple[str, str]] = []
        for source in self.catalogue.sources():
            while len(found) < most:
                cursor = self.checkpoint.cursor(sink, source.stream, source.generation)
                block = source.read(cursor, 65536, most - len(found))
                if block is None:
                    break
                found += [
                    (line.data.decode(), f"{source.stream}-{source.generation}-{line.end}") for line in block.lines
                ]
                self.checkpoint.advance(sink, {(source.stream, source.generation): cursor_at(block, block.end)})
        return found

    def wait(self, seconds: float = 6.0) -> None:
        """Let time go by, with sweeps on the way."""
        for _ in range(3):
            self.now += seconds / 3
            self.catalogue.sweep()


def append(path: Path, text: str) -> None:
    with path.open("a") as file:
        file.write(text)


def copytruncate(path: Path, copy: Path) -> None:
    copy.write_bytes(path.read_bytes())
    os.truncate(path, 0)
