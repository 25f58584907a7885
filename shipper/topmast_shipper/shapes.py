"""The shortest road: lines of the shapes that an application writes become documents as bytes, many at a time.

Which shapes there are is learnt from the lines that took the road of `swift` (SHIPPING.md section 7.2: a window at a
time, no value a line).
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

import orjson

from topmast_shipper.event import Origin
from topmast_shipper.shape import Shape, skeleton
from topmast_shipper.template import Columns, Memory, Place

# An expression is tried after the other; behind so many the road of `swift` is no longer.
_MAX_SHAPES = 16
# To compile an expression takes as long as some hundred lines: only what comes again and again is worth it.
_OFTEN = 8
_EVERY = 4
_MAX_SEEN = 512
_CONTROL = [bytes([byte]) for byte in range(32) if byte != 10]


class Shapes:
    """The shapes of one input. Threads may share it: the worst is to learn twice."""

    def __init__(self) -> None:
        self._shapes: list[Shape] = []
        self._seen: Counter[object] = Counter()
        self._lines = 0
        self._memory = Memory()

    def read(self, lines: Sequence[bytes], place: Place) -> Iterator[Columns]:
        """Yield the documents of the lines that have a shape."""
        shapes = self._shapes
        raw = b"\n".join(lines)
        if not shapes or not _harmless(raw):
            return
        found = self._uniform(lines, raw, shapes[0]) or self._one_by_one(lines, raw, shapes)
        for shape, (at, parts) in found.items():
            template = shape.template(place.origin)
            if template is None or not parts:
                continue
            some = place if len(at) == len(lines) else place.of(at)
            yield template.columns(at, parts, some, self._memory)
        if len(found) > 1:
            # who had most is tried first
            self._shapes = sorted(shapes, key=lambda shape: len(found[shape][1]), reverse=True)

    def learn(self, line: bytes, origin: Origin) -> bool:
        """Look at a line that no shape fitted, and `swift` did; return whether there is a new shape."""
        self._lines += 1
        if self._lines % _EVERY:
            return False
        try:
            kinds = skeleton(orjson.loads(line))
        except ValueError:
            return False  # NaN, or a number of hundreds of digits: `swift` takes what JSON has not
        if len(self._seen) >= _MAX_SEEN:
            self._seen.clear()
        self._seen[kinds] += 1
        if self._seen[kinds] != _OFTEN:
            return False
        try:
            shape = Shape(line, origin)
        except (ValueError, RecursionError):
            return False  # it is counted on, and not tried again
        # the last one is who was of least use in the last window of several shapes
        self._shapes = [shape, *self._shapes[: _MAX_SHAPES - 1]]
        return True

    def _uniform(self, lines: Sequence[bytes], raw: bytes, shape: Shape) -> "_Found | None":
        """Return the parts of the lines when all have this shape."""
        if b"\\" in raw or not all(shape.plain.fullmatch(each) for each in (lines[0], lines[-1])):
            return None
        # neither a line too few nor one that swallowed the next: each match is one line
        parts = shape.plain.findall(raw)
        return {shape: (range(len(lines)), parts)} if len(parts) == len(lines) else None

    def _one_by_one(self, lines: Sequence[bytes], raw: bytes, shapes: Sequence[Shape]) -> "_Found":
        columns: list[tuple[list[int], list[tuple[bytes, ...]]]] = [([], []) for _ in shapes]
        tried = list(zip(shapes, columns, strict=True))
        plain = [(shape.plain.fullmatch, *each) for shape, each in tried]
        escaped = [(shape.escaped.fullmatch, *each) for shape, each in tried] if b"\\" in raw else plain
        for number, line in enumerate(lines):
            for fits, at, parts in escaped if b"\\" in line else plain:
                match = fits(line)
                if match is not None:
                    at.append(number)
                    parts.append(match.groups())
                    break
        return dict(tried)


_Found = Mapping[Shape, tuple[Sequence[int], Sequence[tuple[bytes, ...]]]]


def _harmless(raw: bytes) -> bool:
    """Return whether the bytes are UTF-8 without control characters, which JSON has none of."""
    if not raw.isascii():
        try:
            raw.decode()
        except UnicodeDecodeError:
            return False
    # thirty-one searches for a byte are quicker than one for a set of bytes
    return not any(byte in raw for byte in _CONTROL)
