"""What a list of episodes comes to: how often, how long, at night, flapping."""

import itertools
import statistics
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, tzinfo
from typing import Any

from topmast.backtest.states import Episode, Labels

FLAP_SECONDS = 900.0
"""The same alert again within a quarter of an hour of its end has flapped."""
SHORT_SECONDS = 600.0
# As the routes' quiet hours.
_NIGHT = (22, 7)
_DAY = 86_400.0


@dataclass(frozen=True)
class Figures:
    """One rule over one span of time."""

    firings: int
    per_week: float
    at_night: int
    """Begun between 22:00 and 07:00."""
    flaps: int
    short: int
    """Over within ten minutes."""
    pending: int
    """Held for a while, but not for long enough."""
    seconds: float
    """In which at least one fired."""
    median_seconds: float
    longest_seconds: float
    series: int
    """Different label sets that fired."""
    ongoing: int

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def figures(episodes: Sequence[Episode], start: float, end: float, zone: tzinfo) -> Figures:
    """Return the figures of the episodes between two times."""
    fired = [each for each in episodes if each.fired is not None]
    lengths = [each.seconds(end) for each in fired]
    return Figures(
        firings=len(fired),
        per_week=round(len(fired) * 7 * _DAY / max(end - start, 1.0), 2),
        at_night=sum(at_night(each.fired or 0.0, zone) for each in fired),
        flaps=flaps(fired),
        short=sum(each.ended is not None and each.seconds(end) < SHORT_SECONDS for each in fired),
        pending=len(episodes) - len(fired),
        seconds=round(covered(fired, end), 3),
        median_seconds=statistics.median(lengths) if lengths else 0.0,
        longest_seconds=max(lengths, default=0.0),
        series=len({each.labels for each in fired}),
        ongoing=sum(each.ended is None for each in fired),
    )


def at_night(seconds: float, zone: tzinfo) -> bool:
    hour = datetime.fromtimestamp(seconds, zone).hour
    return hour >= _NIGHT[0] or hour < _NIGHT[1]


def flaps(fired: Sequence[Episode]) -> int:
    """Return how often the same alert fired again soon after its end."""
    mine: dict[Labels, list[Episode]] = defaultdict(list)
    for each in fired:
        mine[each.labels].append(each)
    return sum(
        after.fired is not None and before.ended is not None and after.fired - before.ended < FLAP_SECONDS
        for listed in mine.values()
        for before, after in itertools.pairwise(listed)
    )


def covered(fired: Sequence[Episode], end: float) -> float:
    """Return the seconds in which at least one fired."""
    total, until = 0.0, float("-inf")
    for each in sorted(fired, key=lambda one: one.fired or 0.0):
        begin = max(each.fired or 0.0, until)
        over = end if each.ended is None else each.ended
        total += max(0.0, over - begin)
        until = max(until, over)
    return total


def lost(before: Sequence[Episode], after: Sequence[Episode]) -> list[float]:
    """Return when the firings began (unix seconds) during which nothing fires in `after`, whatever its labels."""
    told = [(each.fired, each.ended) for each in after if each.fired is not None]
    return [
        each.fired
        for each in before
        if each.fired is not None
        and not any(
            (each.ended is None or fired < each.ended) and (ended is None or each.fired < ended)
            for fired, ended in told
        )
    ]


def noise(found: Figures) -> float:
    """Return the noise score: notifications x (1 + flaps) x the share of them that were over within ten minutes.

    0 is an alert that only spoke when something lasted. A firing and its end are one notification each.
    """
    if not found.firings:
        return 0.0
    return round(2 * found.firings * (1 + found.flaps) * found.short / found.firings, 1)
