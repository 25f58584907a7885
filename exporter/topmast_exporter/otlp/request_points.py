"""Metrics of HTTP requests served, `http.server.request.duration`, as what app_http_* counts.

https://opentelemetry.io/docs/specs/semconv/http/http-metrics/ and, as `http.server.duration` in milliseconds, what it
was called before. Method, route and status keep to the same limits as those that an instrument of ours sees.
"""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from topmast_exporter.admission import OTHER, UNMATCHED
from topmast_exporter.instrument.http_metrics import API, HEALTH, LLM, METHODS, STREAM, class_of_template
from topmast_exporter.otlp import attributes as names
from topmast_exporter.otlp.buckets import Buckets, PointError
from topmast_exporter.otlp.points import Point

DURATION, DURATION_BEFORE = "http.server.request.duration", "http.server.duration"

_METHOD = ("http.request.method", "http.method")
_STATUS = ("http.response.status_code", "http.status_code")
_ROUTE = ("http.route",)
# A raw address elsewhere; of these instrumentations it is the route, which they name no other way in the old metric.
_TARGET = ("http.target",)
_TARGET_IS_ROUTE = ("opentelemetry.instrumentation.fastapi", "opentelemetry.instrumentation.asgi")

_NAMES = frozenset((*_METHOD, *_STATUS, *_ROUTE, *_TARGET, *names.ERROR, *names.ROUTE_CLASS))
WANTED: Mapping[str, frozenset[str]] = {DURATION: _NAMES, DURATION_BEFORE: _NAMES}

_CLASSES = frozenset((API, HEALTH, LLM, STREAM))
_DIVISORS = {"s": 1, "ms": 1_000}


class Labels(NamedTuple):
    """A label set of app_http_requests_total."""

    method: str
    route: str
    route_class: str
    status: str


def is_counted(resource: names.Attributes) -> bool:
    """Return whether this service's requests are counted from here: one that is scraped as well says it is not."""
    return names.text(resource, names.REQUESTS) != "off"


def without_twins(points: Iterable[Point], renamed: frozenset[str]) -> list[Point]:
    """Return the points without those under the old name that are told under the new one too, by the same origin.

    `renamed` are the origins that told it under the new name before.
    """
    listed = list(points)
    both = renamed | {point.origin for point in listed if point.metric == DURATION}
    return [point for point in listed if point.metric == DURATION or point.origin not in both]


def labels_of(point: Point) -> Labels:
    """Return the label set of a data point."""
    method = names.text(point.told, _METHOD)
    route = names.text(point.told, _ROUTE)
    if not route and point.scope.startswith(_TARGET_IS_ROUTE):
        route = names.text(point.told, _TARGET)
    told = names.text(point.told, names.ROUTE_CLASS) or names.text(point.resource, names.ROUTE_CLASS)
    return Labels(
        method if method in METHODS else OTHER,
        route or UNMATCHED,
        told if told in _CLASSES else class_of_template(route),
        _status(point),
    )


def _status(point: Point) -> str:
    told = names.first(point.told, _STATUS)
    code = names.integer(told) if isinstance(told, str | int) else None
    if code is None:
        # an exception left the application: a server answers 500 for it
        return "500" if names.first(point.told, names.ERROR) is not None else OTHER
    return str(code) if 100 <= code <= 599 else OTHER


def divisor_of(point: Point) -> int:
    """Return what makes the point's unit seconds. Raises PointError for a unit that is none of time."""
    try:
        return _DIVISORS[point.unit or ("s" if point.metric == DURATION else "ms")]
    except KeyError:
        raise PointError("not_seconds") from None


def buckets_of(point: Point) -> Buckets:
    """Return the point's buckets. Raises PointError when it is no histogram, or its numbers contradict each other."""
    if point.exponential is not None:
        found = point.exponential
        counted = found.zero + sum(found.counts.values())
    elif point.buckets:
        found = Buckets({place: one for place, one in enumerate(point.buckets) if one}, point.bounds)
        counted = sum(point.buckets)
    else:
        # a histogram may leave its buckets out; then all that is known is how many there were
        found, counted = Buckets({0: point.count} if point.count else {}), point.count
    if counted != point.count:
        raise PointError("bad_buckets")
    if point.count and not point.summed:
        raise PointError("no_sum")
    return found
