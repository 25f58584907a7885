"""Histograms of OpenTelemetry, exponential or with explicit bounds, and how their counts become those of our bounds.

All that is known of an observation is between which two bounds of the sender's it lies. Where one of ours lies in
between, it is counted as if it were at the upper one: no latency is told shorter than it was. That is no estimate, so
that any sum of data points becomes the same counts, however it is cut into them; how many were moved is told as well.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from topmast_exporter.otlp import attributes as names

# An exponential histogram has 160 by default, one with explicit bounds 15.
MAX_BUCKETS = 400

# opentelemetry-proto, ExponentialHistogramDataPoint: what implementations support.
SCALES = range(-10, 21)
LARGEST_INDEX = 2**31
# 2 to the power of this is the largest double.
LARGEST_POWER = 1023.0


class PointError(ValueError):
    """The data point is refused. `reason` is one of a fixed list."""

    REASONS = (
        "not_a_number",
        "negative_tokens",
        "bad_buckets",
        "no_temporality",
        "no_time",
        "too_many_points",
        "no_sum",
        "in_the_future",
        "too_old",
        "out_of_order",
        "fell",
        "bounds_changed",
        "not_seconds",
    )

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Buckets:
    """What a histogram counted, by place; the empty ones are left out."""

    counts: Mapping[int, int]
    bounds: tuple[float, ...] = ()
    """Explicit ones: place i is above bounds[i - 1], up to bounds[i]."""
    scale: int | None = None
    """Of an exponential one: place i is above base**i, up to base**(i + 1), where base is 2**(2**-scale)."""
    zero: int = 0
    """Of an exponential one: how many are at most `threshold`."""
    threshold: float = 0.0

    def since(self, old: "Buckets") -> "Buckets":
        """Return what was added to `old`. Raises PointError when it does not lead here."""
        if self.scale is not None and old.scale is not None and old.scale != self.scale:
            if old.scale > self.scale:
                old = old.coarser(self.scale)
            elif not old.counts:
                old = replace(old, scale=self.scale)
        if (self.bounds, self.scale, self.threshold) != (old.bounds, old.scale, old.threshold):
            raise PointError("bounds_changed")
        places = sorted({*self.counts, *old.counts})
        added = {place: self.counts.get(place, 0) - old.counts.get(place, 0) for place in places}
        zero = self.zero - old.zero
        if zero < 0 or any(count < 0 for count in added.values()):
            raise PointError("fell")
        return replace(self, counts={place: count for place, count in added.items() if count}, zero=zero)

    def nothing(self) -> "Buckets":
        """Return one of the same bounds that counted nothing."""
        return replace(self, counts={}, zero=0)

    def coarser(self, scale: int) -> "Buckets":
        """Return an exponential one at a smaller scale: each step joins two neighbours, exactly."""
        step = (self.scale or 0) - scale
        joined: dict[int, int] = {}
        for place, count in self.counts.items():
            joined[place >> step] = joined.get(place >> step, 0) + count
        return replace(self, counts=joined, scale=scale)

    def within(self, ours: Sequence[float], divisor: float) -> tuple[list[int], int]:
        """Return (counts by our bounds, how many of them were moved up); `divisor` makes the sender's unit ours."""
        counts, moved = [0] * (len(ours) + 1), 0
        ranges = [(0.0, self.threshold, self.zero)] if self.zero else []
        ranges += [(*self._range(place), count) for place, count in self.counts.items()]
        for low, high, count in ranges:
            place = bisect_left(ours, high / divisor)
            counts[place] += count
            if bisect_right(ours, low / divisor) < place:
                moved += count
        return counts, moved

    def _range(self, place: int) -> tuple[float, float]:
        if self.scale is not None:
            return _power(place, self.scale), _power(place + 1, self.scale)
        low = self.bounds[place - 1] if place else 0.0
        return low, self.bounds[place] if place < len(self.bounds) else float("inf")

    def packed(self) -> list[Any]:
        """Return it as JSON takes it."""
        return [sorted(self.counts.items()), self.bounds, self.scale, self.zero, self.threshold]

    @classmethod
    def unpacked(cls, told: Sequence[Any]) -> "Buckets":
        """Return what was packed."""
        counts, bounds, scale, zero, threshold = told
        return cls(dict(counts), tuple(bounds), scale, zero, threshold)


def _power(index: int, scale: int) -> float:
    power = index * 2.0**-scale
    return 2.0**power if power <= LARGEST_POWER else float("inf")


def explicit(point: Mapping[str, Any]) -> tuple[tuple[int, ...], tuple[float, ...]]:
    """Return (counts, bounds) of a data point with explicit bounds, empty when it has none. Raises PointError."""
    counts, bounds = _counts(point.get("bucketCounts") or []), point.get("explicitBounds") or []
    if not isinstance(bounds, list) or (counts and len(counts) != len(bounds) + 1):
        raise PointError("bad_buckets")
    if any(names.number(one) is None for one in bounds) or sorted(bounds) != bounds:
        raise PointError("bad_buckets")
    return tuple(counts), tuple(float(one) for one in bounds) if counts else ()


def exponential(point: Mapping[str, Any]) -> Buckets:
    """Return the buckets of an exponential data point. Raises PointError."""
    scale, zero = names.integer(point.get("scale", 0)), names.integer(point.get("zeroCount", 0))
    threshold = names.number(point.get("zeroThreshold", 0))
    positive, negative = (point.get(key) or {} for key in ("positive", "negative"))
    if scale not in SCALES or zero is None or zero < 0 or threshold is None or threshold < 0:
        raise PointError("bad_buckets")
    if not isinstance(positive, Mapping) or not isinstance(negative, Mapping):
        raise PointError("bad_buckets")
    if any(_counts(negative.get("bucketCounts") or [])):
        raise PointError("not_a_number")  # what is counted here is never below 0
    offset = names.integer(positive.get("offset", 0))
    counts = _counts(positive.get("bucketCounts") or [])
    if offset is None or abs(offset) > LARGEST_INDEX:
        raise PointError("bad_buckets")
    return Buckets({offset + place: one for place, one in enumerate(counts) if one}, (), scale, zero, threshold)


def _counts(listed: object) -> list[int]:
    if not isinstance(listed, list) or len(listed) > MAX_BUCKETS:
        raise PointError("bad_buckets")
    counts = [names.integer(one) for one in listed]
    if any(one is None or one < 0 for one in counts):
        raise PointError("bad_buckets")
    return [one or 0 for one in counts]
