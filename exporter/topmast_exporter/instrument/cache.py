"""A cache in Redis, as the application sees it: hits and misses by namespace, latency, errors, what a hit saved.

    cache = CacheMetrics()
    redis = cache.wrap(Redis(...))          # redis.Redis or redis.asyncio.Redis: the same object, measured
    ...
    cache.saved("llm_response", "openai", "gpt-4o-mini", usd=0.0004, tokens=812)

The families are METRICS.md's. Namespaces are told by key prefix (`namespaces.py`); what each command means stands in
`cache_commands.py`.
"""

import time
import weakref
from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from time import perf_counter
from typing import Any, TypeVar

from topmast_exporter.admission import OTHER
from topmast_exporter.families import CounterFamily
from topmast_exporter.instrument.cache_client import watch_client
from topmast_exporter.instrument.cache_commands import (
    COMMANDS,
    DELETE,
    LOOKUP,
    LOOKUPS,
    REASONS,
    WRITE_OPERATIONS,
    Command,
    is_miss,
    reason_of,
    size_of,
)
from topmast_exporter.namespaces import DEFAULT_NAMESPACES, Namespaces
from topmast_exporter.registry import Registry, default_registry
from topmast_exporter.series import CounterSeries, HistogramSeries

R = TypeVar("R")

# METRICS.md: the bounds contain 0.005, what a cache must answer in.
DURATION_BOUNDS = (0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1.0)
WAIT_BOUNDS = (0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0, 30.0)

# redis-py before 8 says "no limit" as 2**31.
NO_LIMIT = 1_000_000

RESULTS = ("hit", "miss", "stale", "error")
HTTP_RESULTS = ("hit", "miss", "stale", "bypass")

_COUNTED = WRITE_OPERATIONS.keys()


def http_responses(registry: Registry) -> CounterFamily:
    """Return the family of what a response cache answered."""
    return registry.counter(
        "cache_http_responses_total",
        "Answers of a response cache (hit, miss, stale, bypass).",
        ("route", "result"),
        ("route",),
    )


class _Record:
    """The numbers of one (namespace, operation)."""

    __slots__ = ("duration", "hits", "misses", "read", "writes", "written")

    def __init__(
        self,
        duration: HistogramSeries,
        hits: CounterSeries | None,
        misses: CounterSeries | None,
        writes: CounterSeries | None,
        read: CounterSeries,
        written: CounterSeries,
    ) -> None:
        self.duration = duration
        self.hits = hits
        self.misses = misses
        self.writes = writes
        self.read = read
        self.written = written

    def hit(self, took: float, read: int) -> None:
        """Count a lookup that found so many bytes."""
        duration = self.duration
        place = bisect_left(DURATION_BOUNDS, took)
        lock = duration.lock
        lock.acquire()  # not `with`, which takes twice as long
        try:
            duration.counts[place] += 1
            duration.sum += took
            self.hits.value += 1.0  # type: ignore[union-attr]  # a lookup's record has it
            self.read.value += read
        finally:
            lock.release()


class CacheMetrics:
    """The cache families of one backend."""

    def __init__(
        self,
        registry: Registry | None = None,
        namespaces: Mapping[str, str] = DEFAULT_NAMESPACES,
        backend: str = "redis",
    ) -> None:
        self.registry = registry or default_registry()
        self._namespaces = Namespaces(namespaces)
        self._backend = backend
        self._records: dict[tuple[str, str], _Record] = {}
        # by command and prefix: what a hit, the most frequent of all answers, is counted in
        self._hits: dict[str, dict[str, _Record]] = {}
        self._declare()
        self._start_at_zero()

    def _declare(self) -> None:
        registry = self.registry
        self._requests = registry.counter(
            "cache_requests_total", "Lookups, by result.", ("namespace", "operation", "result"), ("namespace",)
        )
        self._durations = registry.histogram(
            "cache_operation_duration_seconds",
            "Time that a cache operation took, as the application sees it.",
            ("namespace", "operation"),
            DURATION_BOUNDS,
            ("namespace",),
        )
        self._errors = registry.counter(
            "cache_errors_total", "Cache operations that failed.", ("namespace", "reason"), ("namespace",)
        )
        self._writes = registry.counter(
            "cache_writes_total", "Cache writes (set, expire, touch).", ("namespace", "operation"), ("namespace",)
        )
        self._invalidations = registry.counter(
            "cache_invalidations_total", "Entries that were made invalid.", ("namespace", "reason"), ("namespace",)
        )
        self._bytes = registry.counter(
            "cache_value_bytes_total", "Bytes of values read and written.", ("namespace", "direction"), ("namespace",)
        )
        self._lock_waits = registry.histogram(
            "cache_lock_wait_seconds", "Time waited for a lock.", ("namespace",), WAIT_BOUNDS, ("namespace",)
        )
        self._stampedes = registry.counter(
            "cache_stampede_waits_total",
            "Lookups that waited for another one to make the same value.",
            ("namespace",),
            ("namespace",),
        )
        saved = ("namespace", "provider", "model")
        self._saved_usd = registry.counter(
            "cache_saved_usd_total", "What hits did not cost, in USD.", saved, ("namespace", "provider", "model")
        )
        self._saved_tokens = registry.counter(
            "cache_saved_tokens_total", "Tokens that hits did not use.", saved, ("namespace", "provider", "model")
        )
        self._http_responses = http_responses(registry)
        self._up = registry.gauge(
            "cache_backend_up", "Whether the backend answered last time, as the application sees it.", ("backend",)
        ).labels(self._backend)
        self._success = registry.gauge(
            "cache_last_success_timestamp_seconds", "Unix time of the backend's last answer.", ("backend",)
        ).labels(self._backend)
        self._pool_in_use = registry.gauge(
            "cache_pool_connections_in_use", "Connections of the client's pool that are in use.", ("pool",)
        )
        self._pool_max = registry.gauge(
            "cache_pool_connections_max", "Connections that the client's pool may have.", ("pool",)
        )

    def _start_at_zero(self) -> None:
        for namespace in self._namespaces.names:
            for result in RESULTS:
                self._requests.labels(namespace, "get", result)
            for reason in REASONS:
                self._errors.labels(namespace, reason)
            self._writes.labels(namespace, "set")
            self._invalidations.labels(namespace, "explicit")
            self._stampedes.labels(namespace)

    # --- what the application says ---------------------------------------------------------------------------

    def saved(self, namespace: str, provider: str, model: str, *, usd: float = 0.0, tokens: float = 0) -> None:
        """Say what a hit did not cost: USD and tokens of the model call that was not made."""
        with self.guard():
            self._saved_usd.labels(namespace, provider, model).inc(usd)
            self._saved_tokens.labels(namespace, provider, model).inc(tokens)

    def lookup(self, namespace: str, result: str, operation: str = "get") -> None:
        """Count a lookup that no client sees: of a cache in the process, or a stale value that was served."""
        with self.guard():
            self._requests.labels(namespace, operation, result if result in RESULTS else OTHER).inc()

    def invalidated(self, namespace: str, reason: str = "explicit", count: int = 1) -> None:
        """Count entries made invalid, by reason: ttl, explicit, pattern or version. DEL is counted already."""
        with self.guard():
            known = reason in ("ttl", "explicit", "pattern", "version")
            self._invalidations.labels(namespace, reason if known else OTHER).inc(count)

    def stampede_wait(self, namespace: str) -> None:
        """Count a lookup that waits while another one makes the same value."""
        with self.guard():
            self._stampedes.labels(namespace).inc()

    def http_response(self, route: str, result: str) -> None:
        """Count an answer of a response cache: hit, miss, stale or bypass."""
        with self.guard():
            self._http_responses.labels(route, result if result in HTTP_RESULTS else OTHER).inc()

    @contextmanager
    def lock_wait(self, namespace: str) -> Iterator[None]:
        """Measure the block as time waited for a lock (also around an `await`)."""
        started = perf_counter()
        try:
            yield
        finally:
            with self.guard():
                self._lock_waits.labels(namespace).observe(perf_counter() - started)

    # --- what the client does --------------------------------------------------------------------------------

    def wrap(self, client: R, pool: str = "redis") -> R:
        """Return the same redis-py client, measured: its commands, pipelines, locks and connection pool."""
        watch_client(client, self)
        with self.guard():
            self._watch_pool(client, pool)
        return client

    def namespace_of(self, key: object) -> str:
        """Return the namespace of a key."""
        return self._namespaces.of(key)

    def _watch_pool(self, client: Any, name: str) -> None:
        pool = getattr(client, "connection_pool", None)  # a cluster client has one for each node
        if pool is None:
            return
        known = weakref.ref(pool)
        limit = getattr(pool, "max_connections", NO_LIMIT)
        if limit < NO_LIMIT:
            self._pool_max.labels(name).set(limit)

        def in_use() -> float | None:
            one = known()
            busy = None if one is None else getattr(one, "_in_use_connections", None)
            return None if busy is None else float(len(busy))

        self._pool_in_use.labels(name).set_function(in_use)

    # --- counting --------------------------------------------------------------------------------------------

    def answered(self, args: Sequence[Any], answer: Any, took: float) -> None:
        """Count a command that was answered after `took` seconds."""
        try:  # not guard(): this is the hot path, and a context manager costs a microsecond
            self._up.value = 1.0
            self._success.value = time.time()
            if type(answer) is bytes:
                known = self._hits.get(args[0])
                if known is not None:
                    key = args[1]
                    record = known.get(key[: key.find(":") + 1]) if type(key) is str else None
                    if record is not None:
                        record.hit(took, len(answer))
                        return
            command = COMMANDS.get(args[0])
            if command is not None:
                self._count(command, args, answer, took)
        except Exception:  # noqa: BLE001 a guard: an instrument never raises into the application
            self.registry.count_internal_error("cache")

    def _count(self, command: Command, args: Sequence[Any], answer: Any, took: float | None) -> None:
        """Count one command; `took` is None in a pipeline, where a command has no time of its own."""
        kind = command.kind
        namespace = self._namespaces.of(args[command.key]) if len(args) > command.key else OTHER
        record = self._records.get((namespace, command.operation)) or self._record(namespace, command)
        duration = record.duration
        place = 0 if took is None else bisect_left(DURATION_BOUNDS, took)
        if kind is LOOKUP:
            found, read = record.misses if is_miss(answer) else record.hits, size_of(answer)
            if type(args[1]) is str and self._namespaces.end_at_colon and namespace != OTHER:
                self._hits.setdefault(args[0], {})[args[1][: args[1].find(":") + 1]] = record
            with duration.lock:
                if took is not None:
                    duration.counts[place] += 1
                    duration.sum += took
                if found is not None:
                    found.value += 1.0
                record.read.value += read
            return
        if kind is LOOKUPS:
            self._count_lookups(command, args, answer)
        elif kind is DELETE and isinstance(answer, int):
            self._invalidations.labels(namespace, "explicit").inc(answer)
        written = size_of(args[command.value]) if command.value and len(args) > command.value else 0
        with duration.lock:
            if took is not None:
                duration.counts[place] += 1
                duration.sum += took
            if record.writes is not None:
                record.writes.value += 1.0
                record.written.value += written

    def _count_lookups(self, command: Command, args: Sequence[Any], answer: Any) -> None:
        for key, value in zip(_flat(args[1:]), answer, strict=False):
            namespace = self._namespaces.of(key)
            result = "miss" if value is None else "hit"
            self._requests.labels(namespace, command.operation, result).inc()
            self._bytes.labels(namespace, "read").inc(size_of(value))

    def failed(self, args: Sequence[Any], error: Exception) -> None:
        """Count a command that raised."""
        with self.guard():
            reason = reason_of(error)
            if reason in ("timeout", "connection"):
                self._up.value = 0.0
            command = COMMANDS.get(args[0])
            known = command is not None and len(args) > command.key
            namespace = self._namespaces.of(args[command.key]) if command is not None and known else OTHER
            self._errors.labels(namespace, reason).inc()
            if command is not None and command.kind in (LOOKUP, LOOKUPS):
                self._requests.labels(namespace, command.operation, "error").inc()

    def pipeline_answered(self, commands: list[Sequence[Any]], answers: Any, took: float) -> None:
        """Count the commands of a pipeline that was answered after `took` seconds."""
        with self.guard():
            self._up.value = 1.0
            self._success.value = time.time()
            namespaces = set()
            for args, answer in zip(commands, answers, strict=False):
                command = COMMANDS.get(args[0])
                if isinstance(answer, Exception):
                    self.failed(args, answer)
                elif command is not None:
                    self._count(command, args, answer, None)
                if command is not None and len(args) > command.key:
                    namespaces.add(self._namespaces.of(args[command.key]))
            namespace = namespaces.pop() if len(namespaces) == 1 else OTHER
            self._durations.labels(namespace, "pipeline").observe(took)

    def pipeline_failed(self, commands: list[Sequence[Any]], error: Exception) -> None:
        """Count a pipeline that raised: one failure, for its commands travelled together."""
        self.failed(commands[0] if commands else ("PIPELINE",), error)

    def _record(self, namespace: str, command: Command) -> _Record:
        operation, kind = command.operation, command.kind
        lookup = kind is LOOKUP
        record = _Record(
            self._durations.labels(namespace, operation),
            self._requests.labels(namespace, operation, "hit") if lookup else None,
            self._requests.labels(namespace, operation, "miss") if lookup else None,
            self._writes.labels(namespace, WRITE_OPERATIONS[kind]) if kind in _COUNTED else None,
            self._bytes.labels(namespace, "read"),
            self._bytes.labels(namespace, "written"),
        )
        self._records[(namespace, operation)] = record
        return record

    @contextmanager
    def guard(self) -> Iterator[None]:
        """Swallow and count what the block raises: an instrument never raises into the application."""
        try:
            yield
        except Exception:  # noqa: BLE001 a guard: an instrument never raises into the application
            self.registry.count_internal_error("cache")


def wrap(client: R, registry: Registry | None = None, namespaces: Mapping[str, str] = DEFAULT_NAMESPACES) -> R:
    """Return the same redis-py client, measured: `CacheMetrics(registry, namespaces).wrap(client)` in one line."""
    return CacheMetrics(registry, namespaces).wrap(client)


def _flat(keys: Sequence[Any]) -> Sequence[Any]:
    return keys[0] if len(keys) == 1 and isinstance(keys[0], list | tuple) else keys
