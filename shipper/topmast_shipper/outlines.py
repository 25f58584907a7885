"""What documents say, as the embedded store wants it: many of one outline at a time.

An application writes few outlines. Which there are is learnt from the documents that were read as JSON; both ways
give the same (SHIPPING.md section 7.2: a window at a time, no value a line).
"""

from collections import Counter, defaultdict
from collections.abc import Sequence

from topmast_shipper.outline import Columns, Outline, read
from topmast_shipper.store import WORDED_CHARACTERS

# To find the outline of a document takes as long as to read twenty: done for the n-th that had none, for n of these.
_LEARNT_AT = frozenset({8, 64, 512, 4096})
# An expression is tried after the other; behind so many, JSON is read as quickly.
_MAX_OUTLINES = 4
_MAX_NUMBERS = 64
# An expression holds the interpreter's lock until it is through, and others wait.
_TOGETHER = 256
# So many times nobody looks for outlines where a look found few.
_REST = 7


class Outlines:
    """The outlines that came often. For one thread."""

    def __init__(self) -> None:
        self._last: Outline | None = None
        """What was found last: mostly, it is the next as well."""
        self._outlines: dict[int, list[Outline]] = {}
        """By the number of quotation marks, which is soon counted."""
        self._seen: Counter[int] = Counter()
        self._rest = 0

    def read(self, documents: Sequence[bytes]) -> Columns:
        """Return what the documents say. Raises ValueError or KeyError for one that is not the shipper's."""
        columns = Columns([], [], [])
        for first in range(0, len(documents), _TOGETHER):
            some = documents[first : first + _TOGETHER]
            statuses, messages, words = self._uniform(some) or self._mixed(some)
            columns.statuses.extend(statuses)
            columns.messages.extend(messages)
            columns.words.extend(words)
        return columns

    def _uniform(self, documents: Sequence[bytes]) -> Columns | None:
        """Return the columns when all documents have the outline that was found last."""
        if self._last is None:
            return None
        fits = self._last.expression.fullmatch
        if not all(map(fits, (documents[0], documents[len(documents) // 2], documents[-1]))):
            return None
        raw = b"\n".join(documents)
        if b"\\" in raw or max(map(len, documents)) > WORDED_CHARACTERS:
            return None
        # neither a document too few nor one that swallowed the next: each match is one
        parts = self._last.expression.findall(raw)
        return self._last.columns(parts) if len(parts) == len(documents) else None

    def _mixed(self, documents: Sequence[bytes]) -> Columns:
        if self._rest:
            self._rest -= 1
            return _columns(list(map(read, documents)))
        rows: list[_Row] = [(None, "", "")] * len(documents)
        found: defaultdict[Outline, tuple[list[int], list[tuple[bytes, ...]]]] = defaultdict(lambda: ([], []))
        learnt = 0
        for at, document in enumerate(documents):
            usual = b"\\" not in document and len(document) <= WORDED_CHARACTERS
            marks = document.count(b'"') if usual else 0
            for outline in self._outlines.get(marks, ()):
                match = outline.expression.fullmatch(document)
                if match is not None:
                    places, parts = found[outline]
                    places.append(at)
                    parts.append(match.groups())
                    break
            else:
                rows[at] = read(document)
                learnt += usual and self._learn(marks, document)
        for outline, (places, parts) in found.items():
            for at, row in zip(places, zip(*outline.columns(parts), strict=True), strict=True):
                rows[at] = row
        self._last = max(found, key=lambda outline: len(found[outline][0]), default=self._last)
        if not learnt and sum(len(places) for places, _ in found.values()) < len(documents) // 4:
            self._rest = _REST
        return _columns(rows)

    def _learn(self, marks: int, document: bytes) -> bool:
        """Count a document that no outline fitted; return whether it gave one."""
        if len(self._outlines) >= _MAX_NUMBERS:
            self._outlines.clear()
            self._seen.clear()
        self._seen[marks] += 1
        if self._seen[marks] not in _LEARNT_AT:
            return False
        outline = Outline(document)
        if outline.fits(document):
            self._outlines[marks] = [outline, *self._outlines.get(marks, ())][:_MAX_OUTLINES]
        return True


_Row = tuple[int | None, str, str]


def _columns(rows: Sequence[_Row]) -> Columns:
    return Columns(*map(list, zip(*rows, strict=True)))
