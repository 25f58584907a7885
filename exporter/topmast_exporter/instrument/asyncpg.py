"""asyncpg: the connections of a pool, and the statements run on them.

    pool = instrument_pool(asyncpg.create_pool(dsn), name="shop")

A connection becomes one of a measuring subclass of its own class as the pool hands it out: `execute`, `executemany`,
every `fetch` and every `copy` is seen; a prepared statement's own methods and cursors are not. (asyncpg's own query
loggers are silent when a connection breaks, the one time that matters.) The pool's numbers are read from the pool at
every scrape. A connection without a pool: `instrument_connection(connection)`.
"""

from collections.abc import Awaitable, Callable, Generator
from functools import partial
from time import perf_counter
from typing import Any, TypeVar

from topmast_exporter.admission import UNKNOWN
from topmast_exporter.instrument.sql import OTHER_OPERATION, DatabaseMetrics, operation_of, reason_of_error
from topmast_exporter.registry import Registry

# Where the first argument is a statement; a COPY is of kind `other`.
STATEMENTS = ("execute", "executemany", "fetch", "fetchmany", "fetchrow", "fetchval")
COPIES = ("copy_from_query", "copy_from_table", "copy_records_to_table", "copy_to_table")

P = TypeVar("P")
C = TypeVar("C")


def instrument_pool(pool: P, name: str = "postgresql", registry: Registry | None = None) -> P:
    """Return the same pool, with its connections and their statements measured."""
    metrics = DatabaseMetrics(registry)
    target: Any = pool
    kind = type(target)
    watch = _Watch(metrics)

    def acquire(self: Any, **options: Any) -> "_Acquiring":
        return _Acquiring(kind.acquire(self, **options), watch, partial(metrics.waited, name))

    # The pool has slots: its class is the one thing that can be another.
    target.__class__ = type(f"Measured{kind.__name__}", (kind,), {"__slots__": (), "acquire": acquire})
    in_use = metrics.pool(name, lambda: None if target.is_closing() else float(target.get_max_size()))
    in_use.set_function(lambda: None if target.is_closing() else float(target.get_size() - target.get_idle_size()))
    return pool


def instrument_connection(connection: C, registry: Registry | None = None) -> C:
    """Return the same connection, with its statements measured."""
    _Watch(DatabaseMetrics(registry))(connection)
    return connection


class _Watch:
    """Makes measuring connections of the connections of one pool."""

    def __init__(self, metrics: DatabaseMetrics) -> None:
        self._metrics = metrics
        self._kinds: dict[type, type] = {}
        self._made: set[type] = set()
        self._declared: set[str] = set()

    def __call__(self, connection: Any) -> None:
        """Measure a connection from now on; one that is measured already stays as it is. Never raises."""
        try:
            target = getattr(connection, "_con", connection)  # what a pool hands out stands before the real one
            kind = type(target)
            if kind not in self._made:
                target.__class__ = self._kinds.get(kind) or self._measuring(kind)
        except Exception:  # noqa: BLE001 a guard: an instrument never raises into the application
            self._metrics.registry.count_internal_error("asyncpg")

    def _measuring(self, kind: type) -> type:
        methods = {
            name: self._measured(getattr(kind, name), name) for name in STATEMENTS + COPIES if hasattr(kind, name)
        }
        # Connections have slots: without new ones the class of a living connection can be another.
        made = self._kinds[kind] = type(f"Measured{kind.__name__}", (kind,), {"__slots__": (), **methods})
        self._made.add(made)
        return made

    def _measured(self, method: Callable[..., Awaitable[Any]], name: str) -> Callable[..., Awaitable[Any]]:
        async def measured(connection: Any, statement: Any, *args: Any, **options: Any) -> Any:
            started, reason = perf_counter(), ""
            try:
                return await method(connection, statement, *args, **options)
            except BaseException as error:
                reason = reason_of_error(error)
                raise
            finally:
                operation = statement if name in STATEMENTS else ""
                self._count(connection, operation, perf_counter() - started, reason)

        measured.__name__ = name
        return measured

    def _count(self, connection: Any, statement: Any, seconds: float, reason: str) -> None:
        try:
            # What the pool itself runs on a connection that is given back.
            if not reason and statement == connection.get_reset_query():
                return
            database = connection._params.database or UNKNOWN
            if database not in self._declared:
                self._declared.add(database)
                self._metrics.declare(database)
            operation = operation_of(statement) if isinstance(statement, str) else OTHER_OPERATION
            self._metrics.queried(database, operation, seconds, reason)
        except Exception:  # noqa: BLE001 a guard: an instrument never raises into the application
            self._metrics.registry.count_internal_error("asyncpg")


class _Acquiring:
    """What `pool.acquire()` returns: to be awaited, or entered."""

    def __init__(self, acquiring: Any, watch: Callable[[Any], None], waited: Callable[[float], None]) -> None:
        self._acquiring = acquiring
        self._watch = watch
        self._waited = waited

    def __await__(self) -> Generator[Any, Any, Any]:
        return self._acquired(self._acquiring).__await__()

    async def __aenter__(self) -> Any:
        return await self._acquired(self._acquiring.__aenter__())

    async def __aexit__(self, *exception: Any) -> Any:
        return await self._acquiring.__aexit__(*exception)

    async def _acquired(self, acquiring: Any) -> Any:
        started = perf_counter()
        try:
            connection = await acquiring
        finally:
            self._waited(perf_counter() - started)
        self._watch(connection)
        return connection
