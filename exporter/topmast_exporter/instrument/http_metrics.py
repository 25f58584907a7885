"""The families of HTTP requests served, whatever the framework: their names, bounds, classes and zeroes.

METRICS.md has the names and the rules of `route` and `route_class`. An instrument finds a `Record` once for each
(method, route, route_class, status), keeps it, and moves all numbers of a request under one lock.
"""

import os
import platform
import time
from bisect import bisect_left
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

from topmast_exporter.admission import OTHER
from topmast_exporter.registry import CounterFamily, HistogramFamily, Registry
from topmast_exporter.series import CounterSeries, HistogramSeries

# The name under which several workers are one (workers/push.py).
APP_VARIABLE = "TOPMAST_APP"

E = TypeVar("E", bound=Callable[..., Any])

# RFC 9110 and PATCH (RFC 5789). A server that takes any token as a method leaves the door open to a label attack.
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "CONNECT", "TRACE"})

# METRICS.md: the bounds contain 0.2 (the latency objective) and 5.
DURATION_BOUNDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0)

LABELS = ("method", "route", "route_class")

# Each known route starts at 0 for these, the most telling first.
KNOWN_STATUSES = ("200", "500", "404", "422")

MAX_EXCEPTION_TYPES = 50

# So many requests are counted together. At the end of one, whatever a router left of the processor's caches is the
# application's: a request then only notes what it took, and the records are touched once for many.
FOLD_AT = 256

HEALTH_PREFIXES = ("/health", "/ready", "/live")
API, HEALTH, STREAM, LLM = "api", "health", "stream", "llm"

_CLASS_ATTRIBUTE = "__topmast_route_class__"


def route_class(name: str) -> Callable[[E], E]:
    """Decorate an endpoint: its requests have this route_class, whatever they do."""

    def mark(endpoint: E) -> E:
        setattr(endpoint, _CLASS_ATTRIBUTE, name)
        return endpoint

    return mark


class Record:
    """The numbers of one (method, route, route_class, status)."""

    __slots__ = ("duration", "requests", "start")

    def __init__(self, requests: CounterSeries, duration: HistogramSeries, start: HistogramSeries) -> None:
        self.requests = requests
        self.duration = duration
        self.start = start

    def mark(self, took: float, trace_id: str) -> None:
        """Keep a trace as the exemplar of the request that was just counted."""
        self.duration.mark(bisect_left(DURATION_BOUNDS, took), took, trace_id)
        self.requests.mark(trace_id)


class HttpMetrics:
    """The HTTP families of a registry."""

    def __init__(self, registry: Registry, metrics_path: str, route_classes: Mapping[str, str]) -> None:
        self.registry = registry
        self._metrics_path = metrics_path
        self._route_classes = route_classes
        self._exception_types: set[str] = set()
        self._ended: deque[tuple[Record, float, float]] = deque()
        registry.add_pending(self)
        self._requests, self._durations = requests_family(registry), durations_family(registry)
        self._starts = registry.histogram(
            "app_http_response_start_seconds",
            "Time from a request's arrival to the start of its answer.",
            ("route_class",),
            DURATION_BOUNDS,
        )
        self.in_flight = registry.gauge("app_http_requests_in_flight", "HTTP requests under way.").labels()
        self.in_flight.inc(0.0)
        self._exceptions = registry.counter(
            "app_http_exceptions_total",
            "Exceptions that left the application, by route and type.",
            ("route", "type"),
            open_labels=("route", "type"),
        )
        self._start_time = registry.gauge("app_start_time_seconds", "Unix time of the worker's start.").labels()
        self._build_info = registry.gauge(
            "app_build_info",
            "What runs: always 1.",
            ("version", "commit", "python"),
            open_labels=("version", "commit"),
        )

    def began(self) -> None:
        """One more request is in flight."""
        in_flight = self.in_flight
        with in_flight.lock:
            in_flight.value += 1.0  # type: ignore[operator]  # set when it was declared

    def ended(self, record: Record, took: float, answered: float) -> None:
        """Count a request as `answered` does, and that it is no longer in flight."""
        self.answered(record, took, answered)
        self.in_flight.dec()

    def answered(self, record: Record, took: float, answered: float) -> None:
        """Count a request that took so many seconds, and began to be answered after so many."""
        ended = self._ended
        ended.append((record, took, answered))
        if len(ended) >= FOLD_AT:
            self.fold()

    def fold(self) -> None:
        """Move the requests that have ended into their records; a registry asks for it before it is read."""
        ended = self._ended
        with self.registry.lock:
            for _ in range(len(ended)):
                record, took, answered = ended.popleft()
                requests, duration, start = record.requests, record.duration, record.start
                requests.value += 1.0
                duration.counts[bisect_left(DURATION_BOUNDS, took)] += 1
                duration.sum += took
                start.counts[bisect_left(DURATION_BOUNDS, answered)] += 1
                start.sum += answered

    def forget(self) -> None:
        """Drop the requests that have ended: in a forked child, they are the parent's."""
        self._ended.clear()

    def raised(self, template: str, error: Exception) -> None:
        """Count an exception that left the application. The 51st type of exception is `_other`."""
        name = type(error).__name__
        if name not in self._exception_types:
            if len(self._exception_types) >= MAX_EXCEPTION_TYPES:
                name = OTHER
            self._exception_types.add(name)
        self._exceptions.labels(template, name).inc()

    def start(self, version: str, commit: str) -> None:
        """Say that this process starts now, and what it runs; from now on it pushes, when it is one of several."""
        if self.registry.pusher is not None or os.environ.get(APP_VARIABLE):
            from topmast_exporter.workers import push

            push.begin(self.registry)
        self._start_time.set(time.time())
        self._build_info.labels(version, commit, platform.python_version()).set(1)

    def start_routes(self, routes: Iterable[tuple[str, str, Any]]) -> None:
        """Start the known (method, template, endpoint) at 0 for each known status."""
        known = [(method, template, endpoint) for method, template, endpoint in routes if method in METHODS]
        # The other half stays free for what only traffic shows.
        room = self.registry.limits.per_family // 2
        for status in KNOWN_STATUSES:
            for method, template, endpoint in known:
                if len(self._requests) < room:
                    self.record(method, template, self.class_of(template, endpoint, ""), status)

    def record(self, method: str, template: str, name: str, status: str) -> Record:
        """Return the record of a label set, admitted or not: keep it, a second call costs three lookups."""
        return Record(
            self._requests.labels(method, template, name, status),
            self._durations.labels(method, template, name),
            self._starts.labels(name),
        )

    def class_of(self, template: str, endpoint: Any, kind: str) -> str:
        """Return the route_class: what was declared, else what the request did (`kind`), else by the template."""
        declared = self._route_classes.get(template) or getattr(endpoint, _CLASS_ATTRIBUTE, "")
        if declared or kind:
            return str(declared or kind)
        return class_of_template(template, self._metrics_path)


def class_of_template(template: str, metrics_path: str = "") -> str:
    """Return the route_class of a request of which nothing but its route is known."""
    return HEALTH if template.startswith(HEALTH_PREFIXES) or template == (metrics_path or "/metrics") else API


def requests_family(registry: Registry) -> CounterFamily:
    """Return app_http_requests_total, declared when it is new."""
    return registry.counter(
        "app_http_requests_total", "HTTP requests answered.", (*LABELS, "status"), open_labels=("route",)
    )


def durations_family(registry: Registry) -> HistogramFamily:
    """Return app_http_request_duration_seconds, declared when it is new."""
    return registry.histogram(
        "app_http_request_duration_seconds",
        "Time from a request's arrival to the last byte of its answer.",
        LABELS,
        DURATION_BOUNDS,
        open_labels=("route",),
    )
