"""What documents say, as the embedded store wants it: many of one outline at a time.

An application writes few outlines. Which there are is learnt from the documents that were read as JSON; both ways
give the same (SHIPPING.md section 7.2: a window at a time, no value a line).
"""

from collections import Counter
from collections.abc import Sequence

from topmast_shipper.outline import Columns, Outline, read
from topmast_shipper.store import WORDED_CHARACTERS

# An expression is tried after the other; behind so many, JSON is read as quickly.
_MAX_OUTLINES = 16
# To compile an expression takes as long as to read some hundred documents; to find out which it is, as long as two.
_OFTEN = 8
_EVERY = 4
_MAX_SEEN = 512
# An expression holds the interpreter's lock until it is through, and others wait.
_TOGETHER = 256


class Outlines:
    """The outlines that came often. For one thread."""

    def __init__(self) -> None:
        self._outlines: list[Outline] = []
        self._seen: Counter[bytes] = Counter()
        self._strange = 0

    def read(self, documents: Sequence[bytes]) -> Columns:
        """Return what the documents say. Raises ValueError or KeyError for one that is not the shipper's."""
        columns = Columns([], [], [])
        for first in range(0, len(documents), _TOGETHER):
            some = documents[first : first + _TOGETHER]
            statuses, messages, words = self._uniform(some) or self._one_by_one(some)
            columns.statuses.extend(statuses)
            columns.messages.extend(messages)
            columns.words.extend(words)
        return columns

    def _uniform(self, documents: Sequence[bytes]) -> Columns | None:
        """Return the columns when all documents have the outline that most had."""
        if not self._outlines or not self._outlines[0].expression.fullmatch(documents[-1]):
            return None
        raw = b"\n".join(documents)
        if b"\\" in raw or raw.count(b"\n") >= len(documents) or max(map(len, documents)) > WORDED_CHARACTERS:
            return None
        outline = self._outlines[0]
        # neither a document too few nor one that swallowed the next: each match is one
        parts = outline.expression.findall(raw)
        return outline.columns(parts) if len(parts) == len(documents) else None

    def _one_by_one(self, documents: Sequence[bytes]) -> Columns:
        rows: list[tuple[int | None, str, str]] = [(None, "", "")] * len(documents)
        found: dict[Outline, tuple[list[int], list[tuple[bytes, ...]]]] = {}
        for at, document in enumerate(documents):
            usual = b"\\" not in document and len(document) <= WORDED_CHARACTERS
            for outline in self._outlines if usual else ():
                match = outline.expression.fullmatch(document)
                if match is not None:
                    some, parts = found.setdefault(outline, ([], []))
                    some.append(at)
                    parts.append(match.groups())
                    break
            else:
                rows[at] = read(document)
                if usual:
                    self._learn(document)
        for outline, (some, parts) in found.items():
            for at, row in zip(some, zip(*outline.columns(parts), strict=True), strict=True):
                rows[at] = row
        # who had most is tried first; the last one is who was of least use in the last window
        self._outlines.sort(key=lambda outline: -len(found[outline][0]) if outline in found else 0)
        return Columns(*map(list, zip(*rows, strict=True)))

    def _learn(self, document: bytes) -> None:
        """Look at a document without a backslash that no outline fitted."""
        self._strange += 1
        if self._strange % _EVERY:
            return
        outline = Outline(document)
        if len(self._seen) >= _MAX_SEEN:
            self._seen.clear()
        self._seen[outline.source] += 1
        if self._seen[outline.source] == _OFTEN and outline.fits(document):
            self._outlines = [outline, *self._outlines[: _MAX_OUTLINES - 1]]
