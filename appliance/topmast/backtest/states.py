"""From the moments in which an expression held to the times in which its alert fired, as Prometheus' rules do it.

Source: prometheus/rules/alerting.go (Eval): a series that is returned is active; it fires once it has been active for
`for`; one that is no longer returned ends at once, or, when it fires, after `keep_firing_for`.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

Labels = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Episode:
    """One alert from its first true evaluation to its end. Times are unix seconds."""

    labels: Labels
    active: float
    fired: float | None
    """None: it was pending and never fired."""
    ended: float | None
    """The first evaluation at which it was over; None while it lasts."""

    def seconds(self, now: float) -> float:
        """Return how long it fired."""
        return 0.0 if self.fired is None else (now if self.ended is None else self.ended) - self.fired


def episodes(
    held: Mapping[Labels, Iterable[float]], moments: Sequence[float], wait: float, keep: float = 0.0
) -> list[Episode]:
    """Return the episodes in order of time. `held` are the evaluations at which each series was returned."""
    found: list[Episode] = []
    for labels, times in held.items():
        found += _of_one(labels, set(times), moments, wait, keep)
    return sorted(found, key=lambda each: (each.active, each.labels))


def _of_one(labels: Labels, times: set[float], moments: Sequence[float], wait: float, keep: float) -> list[Episode]:
    found = []
    active = fired = gone = None
    for moment in moments:
        if moment in times:
            active = moment if active is None else active
            gone = None
            if fired is None and moment - active >= wait:
                fired = moment
        elif active is not None:
            if fired is not None and keep > 0:
                gone = moment if gone is None else gone
                if moment - gone < keep:
                    continue
            found.append(Episode(labels, active, fired, moment))
            active = fired = gone = None
    if active is not None:
        found.append(Episode(labels, active, fired, None))
    return found
