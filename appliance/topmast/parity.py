"""What the field's own exporter says of a server, held against what ours says of it: equal, explained, or neither.

Ours reads before and after theirs: a value that moves meanwhile must lie between, and one that stands must be the
same. What differs for a reason is in EXPLAINED of parity_explained.py, with the version and the reason.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

# What an exporter says of itself and not of its server.
OF_ITSELF = re.compile(
    r"(go|process|promhttp|redis_exporter|pg_exporter|mysql_exporter|mysqld_exporter|elasticsearch_exporter"
    r"|postgres_exporter|pg_scrape_collector)_.*"
)

# `(a|b)`, and not `(a)?`
_ALTERNATIVES = re.compile(r"\(([^()]*)\)(?![?*+])")

# Two clocks and two moments: what moves may move a little more than between our two readings.
SLACK = 0.02

Series = tuple[str, frozenset[tuple[str, str]]]
Values = Mapping[Series, float]


@dataclass(frozen=True)
class Explanation:
    """A difference with its reason. `names` is a pattern of whole metric names."""

    server: str
    names: str
    why: str
    """Which version of which exporter does what."""
    labels: tuple[tuple[str, str], ...] = ()
    """The labels that a series must have for this to explain it."""
    sometimes: bool = False
    """Whether the difference hangs on the moment: else a run without it says that the explanation is stale."""

    def covers(self, series: Series) -> bool:
        """Return whether it explains a difference in this series."""
        return bool(re.fullmatch(self.names, series[0])) and set(self.labels) <= series[1]

    def alternatives(self) -> list[str]:
        """Return the patterns that `names` is made of: `a_(b|c)` is `a_b` and `a_c`."""
        return _alternatives(self.names)


def _alternatives(names: str) -> list[str]:
    group = _ALTERNATIVES.search(names)
    if group is None:
        return [names]
    before, after = names[: group.start()], names[group.end() :]
    return [one for choice in group[1].split("|") for one in _alternatives(before + choice + after)]


@dataclass(frozen=True)
class Difference:
    """One series of theirs that ours has not, or has with another value."""

    series: Series
    theirs: float
    ours: float | None
    """None: no such series."""

    def __str__(self) -> str:
        name, labels = self.series
        told = ",".join(f'{key}="{value}"' for key, value in sorted(labels))
        return f"{name}{{{told}}}: theirs {self.theirs:g}, ours {'absent' if self.ours is None else f'{self.ours:g}'}"


@dataclass(frozen=True)
class Compared:
    """The series of one server's exporter, in three heaps."""

    equal: Sequence[Series]
    explained: Sequence[tuple[Difference, Explanation]]
    unexplained: Sequence[Difference]
    stale: Sequence[str] = ()
    """The patterns of explanations that explained nothing, and are not of the moment."""


def compare(
    server: str, before: Values, theirs: Values, after: Values, explanations: Iterable[Explanation]
) -> Compared:
    """Return what became of each of their series."""
    known = [one for one in explanations if one.server == server]
    equal: list[Series] = []
    explained: list[tuple[Difference, Explanation]] = []
    unexplained: list[Difference] = []
    for series, value in theirs.items():
        if OF_ITSELF.fullmatch(series[0]):
            continue
        first, second = before.get(series), after.get(series)
        if first is not None and second is not None and _same(first, value, second):
            equal.append(series)
            continue
        difference = Difference(series, value, second if second is not None else first)
        reason = next((one for one in known if one.covers(series)), None)
        if reason is None:
            unexplained.append(difference)
        else:
            explained.append((difference, reason))
    return Compared(equal, explained, unexplained, _stale(known, explained))


def _stale(known: Sequence[Explanation], explained: Sequence[tuple[Difference, Explanation]]) -> list[str]:
    return [
        pattern
        for one in known
        if not one.sometimes
        for pattern in one.alternatives()
        if not any(why is one and re.fullmatch(pattern, difference.series[0]) for difference, why in explained)
    ]


def _same(first: float, theirs: float, second: float) -> bool:
    low, high = min(first, second), max(first, second)
    if low == high:
        return abs(theirs - low) <= 1e-9 * max(1.0, abs(low))
    slack = SLACK * max(abs(low), abs(high), high - low)
    return low - slack <= theirs <= high + slack


def read(text: str) -> dict[Series, float]:
    """Return the samples of an exposition in text format, under the names that stand there."""
    from prometheus_client.parser import text_string_to_metric_families

    # without its types: the parser would add the `_total` that an older exporter's counters lack
    text = "".join(f"{line}\n" for line in text.splitlines() if not line.startswith("#"))
    return {
        (sample.name, frozenset(sample.labels.items())): float(sample.value)
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }
