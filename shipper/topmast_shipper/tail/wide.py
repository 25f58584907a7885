"""UTF-16 into lines, told by the byte order mark that such a file begins with. Pure.

What comes out is UTF-8; positions are those of the file's own bytes. Half a pair of surrogates becomes bytes that
are no UTF-8, and the line is flagged as such further on.
"""

import codecs
from collections.abc import Sequence

from topmast_shipper.component import Line

_ORDERS = {codecs.BOM_UTF16_LE: "utf-16-le", codecs.BOM_UTF16_BE: "utf-16-be"}
_UNIT = 2
_NUL = "\0"


def encoding_of(head: bytes) -> str:
    """Return `utf-16-le` or `utf-16-be` for the first bytes of such a file, empty for every other."""
    # UTF-32 begins with the same two bytes and goes on with a NUL that no text has
    return "" if head[:4] == codecs.BOM_UTF32_LE else _ORDERS.get(head[:_UNIT], "")


def continues(tail: bytes, encoding: str) -> bool:
    """Return whether what follows the bytes `tail` is the rest of a line."""
    return bool(tail) and tail[-_UNIT:] not in ("\n".encode(encoding), _NUL.encode(encoding))


def split(
    data: bytes, start: int, encoding: str, *, max_line_bytes: int, max_lines: int, continued: bool, final: bool
) -> tuple[Sequence[Line], int]:
    """Return what `lines.split` does, of UTF-16. `start` is even: a unit is never torn."""
    newline, nul = "\n".encode(encoding), _NUL.encode(encoding)
    lines: list[Line] = []
    position = _UNIT if start == 0 and encoding_of(data) else 0
    length = len(data) - len(data) % _UNIT
    while position < length and len(lines) < max_lines:
        if data[position : position + _UNIT] == nul:
            position += _UNIT
            continue
        end = _find(data, newline, position, min(length, position + max_line_bytes + _UNIT))
        flags = ("split",) if continued else ()
        if end >= 0:
            after, continued = end + _UNIT, False
        elif length - position > max_line_bytes:
            end = after = _character_start(data, position + max_line_bytes - max_line_bytes % _UNIT, encoding)
            flags, continued = ("split",), True
        elif final:
            end = after = length
            flags, continued = (*flags, "unterminated"), False
        else:
            break
        text = data[position:end].decode(encoding, "surrogatepass").removesuffix("\r")
        if text and not text.isspace():
            lines.append(Line(text.encode("utf-8", "surrogatepass"), start + position, start + after, flags))
        position = after
    return lines, start + position


def _find(data: bytes, unit: bytes, position: int, end: int) -> int:
    """Return where the unit stands, at an even distance from the beginning; -1 when it does not."""
    while (position := data.find(unit, position, end)) >= 0 and position % _UNIT:
        position += 1
    return position


def _character_start(data: bytes, position: int, encoding: str) -> int:
    """Return the last place at or before `position` that is not inside a pair of surrogates."""
    high = data[position - 1] if encoding == "utf-16-le" else data[position - 2]
    return position - _UNIT if 0xD8 <= high <= 0xDB else position
