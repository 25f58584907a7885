"""Data points of OpenTelemetry's sums and histograms with explicit bounds, whatever their temporality."""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from topmast_exporter.otlp import attributes as names
from topmast_exporter.otlp.attributes import Attributes

_CUMULATIVE = (2, "AGGREGATION_TEMPORALITY_CUMULATIVE")
_DELTA = (1, "AGGREGATION_TEMPORALITY_DELTA")

# A count beyond it is no count any more, and a sum no exact one.
LARGEST = 2.0**53
MAX_BUCKETS = 200

# The attributes that say which tokens a point counts.
TYPES = ("gen_ai.token.type", "type")


class PointError(ValueError):
    """The data point is refused. `reason` is one of a fixed list."""

    REASONS = ("not_a_number", "negative_tokens", "bad_buckets", "no_temporality", "no_time", "too_many_points")

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Point:
    """One data point."""

    metric: str
    resource: Attributes
    told: Attributes
    """Of its attributes, those that are wanted."""
    identity: str
    """What tells its series from all others: a hash of the resource, the scope, the metric and all attributes."""
    group: str
    """The same without the metric and the type of the tokens: what one request says in several points."""
    cumulative: bool
    start: int
    """Unix time in ns since when it counts, 0 when it does not say."""
    at: int
    total: float
    count: int = 0
    """How many observations, of a histogram."""
    buckets: tuple[int, ...] = ()
    bounds: tuple[float, ...] = ()


def points_of(
    request: Mapping[str, Any], wanted: Mapping[str, frozenset[str]]
) -> Iterator[Point | PointError | None]:
    """Yield each data point of the wanted metrics (name -> attributes to read), or why it is refused; None for each
    of another metric."""
    for resource in names.each(request.get("resourceMetrics")):
        told = resource.get("resource")
        listed = told.get("attributes") if isinstance(told, Mapping) else None
        known = names.read(listed, names.RESOURCE)
        for scope in names.each(resource.get("scopeMetrics")):
            for metric in names.each(scope.get("metrics")):
                name = metric.get("name")
                data = next((metric[kind] for kind in ("sum", "histogram") if kind in metric), None)
                if not isinstance(name, str) or name not in wanted or not isinstance(data, Mapping):
                    yield from (None for kind in metric.values() if isinstance(kind, Mapping) for _ in _listed(kind))
                    continue
                for point in _listed(data):
                    try:
                        hashes = _hashes(listed, scope.get("scope"), name, point.get("attributes"))
                        yield _point(
                            name, data, point, known, names.read(point.get("attributes"), wanted[name]), *hashes
                        )
                    except PointError as error:
                        yield error


def _listed(data: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    return names.each(data.get("dataPoints"))


def _point(
    metric: str,
    data: Mapping[str, Any],
    point: Mapping[str, Any],
    resource: Attributes,
    told: Attributes,
    identity: str,
    group: str,
) -> Point:
    temporality = data.get("aggregationTemporality")
    at = names.integer(point.get("timeUnixNano")) or 0
    if temporality not in (*_CUMULATIVE, *_DELTA):
        raise PointError("no_temporality")
    if at <= 0:
        raise PointError("no_time")
    value = next((point[kind] for kind in ("asInt", "asDouble", "sum") if kind in point), 0)
    total = names.number(value)
    count = names.integer(point.get("count", 0))
    if total is None or count is None or total > LARGEST or count > LARGEST:
        raise PointError("not_a_number")
    if total < 0 or count < 0:
        raise PointError("negative_tokens")
    start = max(0, names.integer(point.get("startTimeUnixNano", 0)) or 0)
    buckets, bounds = _buckets(point)
    return Point(
        metric, resource, told, identity, group, temporality in _CUMULATIVE, start, at, total, count, buckets, bounds
    )


def _buckets(point: Mapping[str, Any]) -> tuple[tuple[int, ...], tuple[float, ...]]:
    listed, bounds = point.get("bucketCounts") or [], point.get("explicitBounds") or []
    if not isinstance(listed, list) or not isinstance(bounds, list) or len(listed) > MAX_BUCKETS:
        raise PointError("bad_buckets")
    counts = [names.integer(one) for one in listed]
    if listed and (len(listed) != len(bounds) + 1 or any(one is None or one < 0 for one in counts)):
        raise PointError("bad_buckets")
    if any(names.number(one) is None for one in bounds) or sorted(bounds) != bounds:
        raise PointError("bad_buckets")
    return tuple(one or 0 for one in counts), tuple(float(one) for one in bounds) if listed else ()


def _hashes(resource: object, scope: object, metric: str, attributes: object) -> tuple[str, str]:
    """Return a point's (identity, group)."""
    scoped = scope.get("name") if isinstance(scope, Mapping) else ""
    origin = [_canonical(resource), scoped if isinstance(scoped, str) else ""]
    told = _canonical(attributes)
    alike = [one for one in told if one[0] not in TYPES]
    identity, group = ([*origin, metric, told], [*origin, alike])
    return _hash(identity), _hash(group)


def _hash(told: object) -> str:
    return hashlib.sha256(json.dumps(told).encode()).hexdigest()


def _canonical(listed: object) -> list[tuple[str, str]]:
    """Return attributes as both encodings have them: integers as numbers, in order of their names."""
    found = []
    for one in names.each(listed)[: names.MAX_ATTRIBUTES]:
        value = names.plain(one.get("value"))
        found.append((str(one.get("key")), json.dumps(one.get("value") if value is None else value, sort_keys=True)))
    return sorted(found)
