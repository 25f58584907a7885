"""A million messages as the hundred shapes they have: what is the same is kept, what differs becomes `<*>`.

First what is surely a value is masked (numbers, ids, quoted text); then messages of so many words and the same
beginning join the template that they share most words with. The second step is Drain's (He et al., "Drain: An Online
Log Parsing Approach with Fixed Depth Tree", ICWS 2017); nothing but counts and templates is kept.
"""

import re
from collections import Counter
from dataclasses import dataclass, field

ANY = "<*>"
_VALUES = re.compile(
    r"\"[^\"\n]{0,512}\"|'[^'\n]{0,512}'"
    r"|\b[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F-]{22}\b"
    r"|\b0x[0-9a-fA-F]+\b|\b(?=[a-fA-F]*[0-9])[0-9a-fA-F]{8,}\b|[0-9]+(?:[.,:/][0-9]+)*"
)
# A word of a message joins where so many of the others are the same (Drain's usual threshold).
_SIMILAR = 0.5
_MAX_CHARACTERS = 512
_MAX_FAMILIAR = 100_000
# Beyond so many shapes a message of another is counted as such.
MAX_CLUSTERS = 5_000


@dataclass
class Cluster:
    """One shape."""

    words: list[str]
    count: int = 0
    levels: Counter[str] = field(default_factory=Counter)
    services: Counter[str] = field(default_factory=Counter)
    example: str = ""

    @property
    def template(self) -> str:
        return " ".join(self.words)


class Clusters:
    """The shapes of the messages so far."""

    def __init__(self) -> None:
        self._familiar: dict[str, Cluster] = {}
        self._by_shape: dict[tuple[int, str], list[Cluster]] = {}
        self._count = 0
        self.other = 0
        """Messages of shapes beyond MAX_CLUSTERS."""

    def add(self, level: str, service: str, message: str) -> None:
        masked = _VALUES.sub(ANY, message[:_MAX_CHARACTERS].partition("\n")[0])
        cluster = self._familiar.get(masked)
        if cluster is None:
            cluster = self._join(masked, message)
            if cluster is None:
                self.other += 1
                return
            if len(self._familiar) >= _MAX_FAMILIAR:
                self._familiar.clear()
            self._familiar[masked] = cluster
        cluster.count += 1
        cluster.levels[level] += 1
        cluster.services[service] += 1

    def largest(self, limit: int) -> list[Cluster]:
        """Return the shapes, the most frequent first."""
        found = [each for some in self._by_shape.values() for each in some]
        return sorted(found, key=lambda each: (-each.count, each.template))[:limit]

    def __len__(self) -> int:
        return self._count

    def _join(self, masked: str, message: str) -> Cluster | None:
        words = masked.split()
        # a first word with a value in it tells nothing
        first = words[0] if words and ANY not in words[0] else ANY
        group = self._by_shape.setdefault((len(words), first), [])
        best, shared = None, -1.0
        for each in group:
            same = sum(one == other for one, other in zip(each.words, words, strict=True))
            if same > shared:
                best, shared = each, same
        if best is not None and shared >= _SIMILAR * len(words):
            best.words = [one if one == other else ANY for one, other in zip(best.words, words, strict=True)]
            return best
        if self._count >= MAX_CLUSTERS:
            return None
        self._count += 1
        group.append(Cluster(words, example=message[:_MAX_CHARACTERS]))
        return group[-1]
