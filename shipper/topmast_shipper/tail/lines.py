"""Bytes into lines: CR LF, byte order mark, holes of NUL, lines without end. Pure.

Facts: SHIPPING.md section 5 (partial last line, CRLF/NUL/BOM, 1 MB+ lines, invalid UTF-8).
"""

import re
from collections.abc import Sequence
from itertools import accumulate, repeat
from operator import add
from typing import overload

from topmast_shipper.component import Line

_NOT_NUL = re.compile(rb"[^\0]")
BOM = b"\xef\xbb\xbf"


class Lines(Sequence[Line]):
    """Lines without flags as columns: most files have no others, and few are asked for one by one."""

    __slots__ = ("data", "ends", "starts")

    def __init__(self, data: Sequence[bytes], starts: Sequence[int], ends: Sequence[int]) -> None:
        self.data = data
        self.starts = starts
        self.ends = ends

    def __len__(self) -> int:
        return len(self.data)

    @overload
    def __getitem__(self, at: int) -> Line: ...
    @overload
    def __getitem__(self, at: slice) -> "Lines": ...
    def __getitem__(self, at: int | slice) -> "Line | Lines":
        if isinstance(at, slice):
            return Lines(self.data[at], self.starts[at], self.ends[at])
        return Line(self.data[at], self.starts[at], self.ends[at])

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and list(self) == list(other)

    __hash__ = None  # type: ignore[assignment] # it compares as a list of lines does


def split(
    data: bytes, start: int, *, max_line_bytes: int, max_lines: int, continued: bool, final: bool
) -> tuple[Sequence[Line], int]:
    """Return the whole lines in `data`, which begins at byte `start`, and the offset behind them.

    Blank lines are passed over. A line longer than `max_line_bytes` comes in parts flagged `split`; so is the
    rest of one, which `continued` announces. The unfinished last line is left alone, unless the file is `final`
    (nobody will finish it): then it comes flagged `unterminated`.
    """
    usual = None if continued or final else _usual(data, start, max_line_bytes, max_lines)
    if usual is not None:
        return usual
    lines: list[Line] = []
    position = 0
    length = len(data)
    if start == 0 and data.startswith(BOM):
        position = len(BOM)
    while position < length and len(lines) < max_lines:
        if data[position] == 0:
            # the hole that a writer leaves who goes on at its old offset after a truncation
            position = _hole_end(data, position)
            continue
        newline = data.find(b"\n", position, position + max_line_bytes + 1)
        flags = ("split",) if continued else ()
        if newline >= 0:
            line, after, continued = data[position:newline], newline + 1, False
        elif length - position > max_line_bytes:
            after = _character_start(data, position + max_line_bytes)
            line, flags, continued = data[position:after], ("split",), True
        elif final:
            line, after, continued = data[position:], length, False
            flags = (*flags, "unterminated")
        else:
            break  # an unfinished line: the writer is not done with it
        if line.endswith(b"\r"):
            line = line[:-1]
        if line and not line.isspace():
            lines.append(Line(line, start + position, start + after, flags))
        position = after
    return lines, start + position


def _usual(data: bytes, start: int, max_line_bytes: int, max_lines: int) -> tuple[Lines, int] | None:
    """Return what `split` returns, at a third of its time, when all lines are usual; None when one is not."""
    whole = data.rfind(b"\n") + 1
    if not whole or b"\0" in data or b"\r" in data or (start == 0 and data.startswith(BOM)):
        return None
    parts = data[:whole].split(b"\n", max_lines)
    parts.pop()
    lengths = list(map(len, parts))
    if not all(lengths) or max(lengths) > max_line_bytes:
        return None
    # blanks sort before everything that is to be seen
    if min(parts)[0] <= 32 and any(map(bytes.isspace, parts)):
        return None
    ends = list(accumulate(map(add, lengths, repeat(1)), initial=start))
    return Lines(parts, ends[:-1], ends[1:]), ends[-1]


def _hole_end(data: bytes, position: int) -> int:
    """Return where the run of NUL that begins at `position` ends."""
    found = _NOT_NUL.search(data, position)
    return found.start() if found else len(data)


def _character_start(data: bytes, position: int) -> int:
    """Return the last place at or before `position` where a UTF-8 character begins."""
    for back in range(4):
        if data[position - back] & 0xC0 != 0x80:
            return position - back
    return position


def text(data: bytes) -> tuple[str, bool]:
    """Return the line as text and whether it was valid UTF-8; other bytes stay readable as `\\xff`."""
    try:
        return data.decode("utf-8"), True
    except UnicodeDecodeError:
        return data.decode("utf-8", "backslashreplace"), False
