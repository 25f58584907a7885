"""Dead letters on their way again: by the normal road, under the ids they had, so that nothing is stored twice.

`hand_over` puts letters into `replay/SINK/` of the data folder, whoever is at work there; the shipper of that folder
follows those files as it follows logs, each sink its own, and deletes one that is settled. What is refused again is a
dead letter again; a file with a line that is no letter is kept and told.
"""

import logging
import os
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import orjson

from topmast_shipper.component import Block, Cursor, Input, Line, Source
from topmast_shipper.dead_letters import CURRENT, OLDER, opened
from topmast_shipper.event import Event, Origin
from topmast_shipper.intake import Intake
from topmast_shipper.parsers import plain
from topmast_shipper.rooms import Setting
from topmast_shipper.tail.catalogue import Catalogue
from topmast_shipper.tail.follow import Follow
from topmast_shipper.tail.generation import Generation

_log = logging.getLogger(__name__)
FOLDER = "replay"
# What the file input's schema allows: a line of 16 MiB that ends an event of 8 MiB, the line itself joined from parts
# of 8 MiB; in JSON a byte has six at the most (\u0001). The rest is for what is said about it.
_LETTER_BYTES = 6 * (32 << 20) + (64 << 20)
_PIECE_BYTES = 16 << 10
_UNREADABLE = ".unreadable"


class HandedOver(NamedTuple):
    """How many letters go to which sink, and what was left where it is."""

    sinks: dict[str, int]
    kept: dict[str, int]
    """Letters to sinks that are not configured (any more)."""
    unreadable: int
    """Lines that are no letters."""


def hand_over(data: Path, sinks: Sequence[str], saved: Path | None = None) -> HandedOver:
    """Let the shipper of a data folder send its dead letters again, or those of a `saved` file. Raises OSError.

    The shipper's own are taken out of their files, but for what nobody can send; a saved file is left as it is.
    """
    if saved is not None:
        return _spread(data, sinks, saved.read_bytes())[0]
    total = HandedOver({}, {}, 0)
    for name in (OLDER, CURRENT):
        path = data / name
        if not path.exists():
            continue
        with opened(path):
            found, rest = _spread(data, sinks, path.read_bytes())
            # a kill before this hands them over twice: the ids are the same
            _leave(path, rest)
        total = HandedOver(
            dict(Counter(total.sinks) + Counter(found.sinks)),
            dict(Counter(total.kept) + Counter(found.kept)),
            total.unreadable + found.unreadable,
        )
    return total


def _leave(path: Path, rest: bytes) -> None:
    """Let a file have this content alone; at no moment does it lack it, nor is room needed for it."""
    with path.open("r+b") as file:
        file.write(rest)
        file.flush()
        file.truncate()


def _spread(data: Path, sinks: Sequence[str], letters: bytes) -> tuple[HandedOver, bytes]:
    """Write letters to the folders of their sinks; return what went where, and the lines that went nowhere."""
    chosen: dict[str, list[bytes]] = {}
    rest: list[bytes] = []
    kept: Counter[str] = Counter()
    unreadable = 0
    for line in filter(None, letters.split(b"\n")):
        letter = letter_of(line)
        if letter is None:
            unreadable += 1
            rest.append(line)
        elif letter["sink"] not in sinks:
            kept[letter["sink"]] += 1
            rest.append(line)
        else:
            chosen.setdefault(letter["sink"], []).append(line)
    for sink, lines in chosen.items():
        folder = data / FOLDER / sink
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{time.time_ns()}.ndjson"
        making = path.with_suffix(".making")
        with making.open("wb") as file:
            # the first line is no letter: no two of these files begin alike, and none is taken for another's copy
            file.write(b"\n".join([path.name.encode(), *lines, b""]))
            file.flush()
            os.fsync(file.fileno())
        making.replace(path)
    sent = {sink: len(lines) for sink, lines in chosen.items()}
    return HandedOver(sent, dict(kept), unreadable), b"".join(line + b"\n" for line in rest)


def letter_of(line: bytes) -> dict[str, Any] | None:
    """Return a letter with its parts as they must be; None for a line that is none."""
    try:
        found = orjson.loads(line)
    except orjson.JSONDecodeError:
        return None
    texts = ("sink", "id", "input", "path", "message")
    if not isinstance(found, dict) or not all(isinstance(found.get(each), str) for each in texts):
        return None
    if not isinstance(found.get("offset"), int) or len(found["id"]) != 32 or "/" in found["sink"]:
        return None
    try:
        int(found["id"][16:], 16)
    except ValueError:
        return None
    return found


class _OneByOne:
    """A file of letters as a source: each letter is of a place of its own."""

    def __init__(self, file: Generation) -> None:
        self._file = file
        self.stream = file.stream
        self.generation = file.generation
        self.origin = file.origin
        self.size = file.size

    def read(self, cursor: Cursor, max_bytes: int, max_lines: int) -> Block | None:
        del max_bytes, max_lines
        block = self._file.read(cursor, self._length(cursor.offset), 1)
        if block is None or (block.lines and letter_of(block.lines[0].data) is not None):
            return block
        return block._replace(lines=[])

    def _length(self, offset: int) -> int:
        """Return how many bytes the line there has, with its newline: a block for the longest would cost each one."""
        length = 0
        while piece := self._file.bytes_at(offset + length, _PIECE_BYTES):
            newline = piece.find(b"\n")
            if newline >= 0:
                return length + newline + 1
            length += len(piece)
        return max(length, 1)


class _Place(NamedTuple):
    """Where a letter's line was: all that an input asks a source for."""

    stream: str
    generation: int
    origin: Origin
    size: int = 0

    def read(self, cursor: Cursor, max_bytes: int, max_lines: int) -> Block | None:
        del cursor, max_bytes, max_lines
        return None


def _unreadable(path: Path) -> tuple[int, int]:
    """Return how many lines of a file of letters, but for its first one, are none, and their bytes."""
    with path.open("rb") as file:
        next(file, b"")
        sizes = [
            len(line) for line in file if len(line) > _LETTER_BYTES or (line.strip() and letter_of(line) is None)
        ]
    return len(sizes), sum(sizes)


class ReplayInput:
    """The letters handed over to one sink. `sweep` belongs to one thread."""

    service = ""

    def __init__(self, sink: str, inputs: Mapping[str, Input], setting: Setting) -> None:
        self.name = f"replay.{sink}"
        self._inputs = inputs
        self._folder = setting.data / FOLDER / sink
        self._lost = setting.lost
        self._unknown = Intake(plain.parse)
        # a letter is whole when it is there, and the name of its file no one's else
        follow = Follow(self.name, (str(self._folder / "*.ndjson"),), max_line_bytes=_LETTER_BYTES)
        self._catalogue = Catalogue(
            follow, setting.checkpoint, (sink,), (*setting.inputs, self.name), lost=setting.lost, clock=setting.clock
        )  # fmt: skip

    @property
    def open_files(self) -> int:
        return self._catalogue.open_files

    def sweep(self) -> bool:
        grew = self._catalogue.sweep()
        for file in self._catalogue.sources():
            if file.size and self._catalogue.settled(file):
                self._put_away(Path(file.path))
        return grew

    def _put_away(self, path: Path) -> None:
        """Delete a settled file, unless something in it was not sent because it is no letter."""
        try:
            lines, size = _unreadable(path)
        except FileNotFoundError:
            return  # put away before: the catalogue follows it for a while
        if not lines:
            path.unlink(missing_ok=True)
            return
        kept = path.with_suffix(_UNREADABLE)
        path.replace(kept)
        _log.error("not every line of a file of dead letters is a letter, it is kept: %s: %d lines", kept, lines)
        self._lost("damaged", size)

    def sources(self) -> Sequence[Source]:
        return [_OneByOne(file) for file in self._catalogue.sources()]

    def folders(self) -> Iterable[str]:
        return (str(self._folder),)

    def events(self, source: Source, lines: Sequence[Line], now: float) -> Sequence[Event]:
        """Return the one letter as the event that it was; its line is parsed anew. Never raises."""
        del source
        letter = letter_of(lines[0].data)
        if letter is None:
            return ()
        key = letter["id"]
        input = self._inputs.get(letter["input"])
        service = input.service if input is not None else ""
        place = _Place(key[:16], int(key[16:20], 16), Origin(letter["input"], letter["path"], service))
        line = Line(letter["message"].encode("utf-8", "replace"), letter["offset"], int(key[20:], 16))
        if input is None:
            return self._unknown.events(place, [line], now)
        return input.events(place, [line], now)

    def close(self) -> None:
        self._catalogue.close()
