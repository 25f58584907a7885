"""Data points of OpenTelemetry's sums and histograms, exponential ones too, whatever their temporality."""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from topmast_exporter.otlp import attributes as names
from topmast_exporter.otlp.attributes import Attributes
from topmast_exporter.otlp.buckets import Buckets, PointError, explicit, exponential

_CUMULATIVE = (2, "AGGREGATION_TEMPORALITY_CUMULATIVE")
_DELTA = (1, "AGGREGATION_TEMPORALITY_DELTA")

# A count beyond it is no count any more, and a sum no exact one.
LARGEST = 2.0**53

# opentelemetry-proto, DataPointFlags: a series ended, there is no value
_NO_VALUE = 1

_KINDS = ("sum", "histogram", "exponentialHistogram")

# The attributes that say which tokens a point counts.
TYPES = ("gen_ai.token.type", "type")


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
    exponential: Buckets | None = None
    summed: bool = True
    """Whether a histogram says its sum."""
    unit: str = ""
    scope: str = ""
    """The instrumentation's name."""
    origin: str = ""
    """What tells one instrumentation of one process from all others: a hash of the resource and the scope."""


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
                data = next((metric[kind] for kind in _KINDS if kind in metric), None)
                if not isinstance(name, str) or name not in wanted or not isinstance(data, Mapping):
                    yield from (None for kind in metric.values() if isinstance(kind, Mapping) for _ in _listed(kind))
                    continue
                for point in _listed(data):
                    if (names.integer(point.get("flags", 0)) or 0) & _NO_VALUE:
                        yield None
                        continue
                    hashes = _hashes(listed, scope.get("scope"), name, point.get("attributes"))
                    told = names.read(point.get("attributes"), wanted[name])
                    try:
                        yield _point(metric, data, point, known, told, _scope_name(scope.get("scope")), hashes)
                    except PointError as error:
                        yield error


def _listed(data: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    return names.each(data.get("dataPoints"))


def _point(
    metric: Mapping[str, Any],
    data: Mapping[str, Any],
    point: Mapping[str, Any],
    resource: Attributes,
    told: Attributes,
    scope: str,
    hashes: "_Hashes",
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
    unit = metric.get("unit")
    buckets, bounds = explicit(point)
    return Point(
        metric=str(metric["name"]),
        resource=resource,
        told=told,
        identity=hashes.identity,
        group=hashes.group,
        cumulative=temporality in _CUMULATIVE,
        start=max(0, names.integer(point.get("startTimeUnixNano", 0)) or 0),
        at=at,
        total=total,
        count=count,
        buckets=buckets,
        bounds=bounds,
        exponential=exponential(point) if "exponentialHistogram" in metric else None,
        summed="sum" in point,
        unit=unit if isinstance(unit, str) else "",
        scope=scope,
        origin=hashes.origin,
    )


class _Hashes(NamedTuple):
    """What tells a point's series from others, as Point has it."""

    identity: str
    group: str
    origin: str


def _hashes(resource: object, scope: object, metric: str, attributes: object) -> _Hashes:
    origin = [_canonical(resource), _scope_name(scope)]
    told = _canonical(attributes)
    alike = [one for one in told if one[0] not in TYPES]
    return _Hashes(_hash([*origin, metric, told]), _hash([*origin, alike]), _hash(origin))


def _scope_name(scope: object) -> str:
    name = scope.get("name") if isinstance(scope, Mapping) else ""
    return name if isinstance(name, str) else ""


def _hash(told: object) -> str:
    return hashlib.sha256(json.dumps(told).encode()).hexdigest()


def _canonical(listed: object) -> list[tuple[str, str]]:
    """Return attributes as both encodings have them: integers as numbers, in order of their names."""
    found = []
    for one in names.each(listed)[: names.MAX_ATTRIBUTES]:
        value = names.plain(one.get("value"))
        found.append((str(one.get("key")), json.dumps(one.get("value") if value is None else value, sort_keys=True)))
    return sorted(found)
