"""psycopg 3: the connections of a psycopg_pool, and the statements run on them.

    pool = instrument_pool(AsyncConnectionPool(dsn, open=False), name="shop")

`getconn` and `putconn` of the pool are listened to (`pool.connection()` calls them), and each connection that is
handed out makes cursors of a measuring subclass of its own cursor class, so that `connection.execute`,
`cursor.execute`, `executemany`, `stream` and `copy` are all seen. A connection without a pool:
`instrument_connection(connection)`.
"""

import weakref
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from functools import lru_cache
from inspect import iscoroutinefunction
from time import perf_counter
from typing import Any, TypeVar

from topmast_exporter.instrument.sql import OTHER_OPERATION, DatabaseMetrics, operation_of, reason_of
from topmast_exporter.registry import Registry
from topmast_exporter.series import GaugeSeries

P = TypeVar("P")
C = TypeVar("C")

_METRICS = "_topmast_metrics"


def instrument_pool(pool: P, name: str = "postgresql", registry: Registry | None = None) -> P:
    """Return the same pool (sync or async), with its connections and their statements measured."""
    metrics = DatabaseMetrics(registry)
    target: Any = pool
    getconn, putconn = target.getconn, target.putconn
    known = weakref.ref(target)

    def maximum() -> float | None:
        one = known()
        return None if one is None else float(one.max_size)

    # Not from get_stats(): its pool_size counts connections that are still being made.
    in_use = metrics.pool(name, maximum)

    async def getconn_async(*args: Any, **options: Any) -> Any:
        with _waiting(metrics, name):
            connection = await getconn(*args, **options)
        in_use.inc()
        return _watch(connection, metrics)

    def getconn_sync(*args: Any, **options: Any) -> Any:
        with _waiting(metrics, name):
            connection = getconn(*args, **options)
        in_use.inc()
        return _watch(connection, metrics)

    async def putconn_async(connection: Any) -> None:
        with _returning(in_use):
            await putconn(connection)

    def putconn_sync(connection: Any) -> None:
        with _returning(in_use):
            putconn(connection)

    asynchronous = iscoroutinefunction(getconn)
    target.getconn = getconn_async if asynchronous else getconn_sync
    target.putconn = putconn_async if asynchronous else putconn_sync
    return pool


@contextmanager
def _waiting(metrics: DatabaseMetrics, name: str) -> Iterator[None]:
    started = perf_counter()
    try:
        yield
    finally:
        metrics.waited(name, perf_counter() - started)


@contextmanager
def _returning(in_use: GaugeSeries) -> Iterator[None]:
    try:
        yield
    except ValueError:
        raise  # the connection is not one of this pool
    except BaseException:
        in_use.dec()
        raise
    in_use.dec()


def instrument_connection(connection: C, registry: Registry | None = None) -> C:
    """Return the same connection (sync or async), with its statements measured."""
    return _watch(connection, DatabaseMetrics(registry))


def _watch(connection: C, metrics: DatabaseMetrics) -> C:
    """Make the connection's cursors measuring ones. Never raises."""
    try:
        target: Any = connection
        if getattr(target, _METRICS, None) is None:
            setattr(target, _METRICS, metrics)
            metrics.declare(target.info.dbname)
        factory = target.cursor_factory
        if isinstance(factory, type) and not issubclass(factory, _Measured | _AsyncMeasured):
            target.cursor_factory = _measuring(factory)  # type: ignore[arg-type]  # classes hash
    except Exception:  # noqa: BLE001 a guard: an instrument never raises into the application
        metrics.registry.count_internal_error("psycopg")
    return connection


@lru_cache(maxsize=32)
def _measuring(factory: type) -> type:
    mixin = _AsyncMeasured if iscoroutinefunction(getattr(factory, "execute", None)) else _Measured
    return type(f"Measured{factory.__name__}", (mixin, factory), {})


class _Timed:
    """What both kinds of cursors do."""

    connection: Any

    @contextmanager
    def _timing(self, query: Any) -> Iterator[None]:
        reason, started = "", perf_counter()
        try:
            yield
        except GeneratorExit:
            raise
        except BaseException as error:
            names = [kind.__name__ for kind in type(error).__mro__]
            reason = reason_of(getattr(error, "sqlstate", None), names)
            raise
        finally:
            metrics: DatabaseMetrics | None = getattr(self.connection, _METRICS, None)
            if metrics is not None:
                seconds = perf_counter() - started
                metrics.queried(self._database(), self._operation(query), seconds, reason)

    def _database(self) -> str:
        try:
            return str(self.connection.info.dbname)
        except Exception:  # noqa: BLE001 a guard: libpq refuses to say it of a broken connection
            return "_unknown"

    def _operation(self, query: Any) -> str:
        try:
            if isinstance(query, bytes):
                query = query[:200].decode("latin-1")
            # A psycopg.sql.Composable is written out by the driver as well.
            return operation_of(query if isinstance(query, str) else query.as_string(None))
        except Exception:  # noqa: BLE001 a guard: whatever a query is made of
            return OTHER_OPERATION


class _Measured(_Timed):
    """Before a synchronous cursor class."""

    def execute(self, query: Any, *args: Any, **options: Any) -> Any:
        with self._timing(query):
            return super().execute(query, *args, **options)  # type: ignore[misc]  # of the class it is mixed into

    def executemany(self, query: Any, *args: Any, **options: Any) -> Any:
        with self._timing(query):
            return super().executemany(query, *args, **options)  # type: ignore[misc]  # of the class it is mixed into

    def stream(self, query: Any, *args: Any, **options: Any) -> Iterator[Any]:
        with self._timing(query):
            yield from super().stream(query, *args, **options)  # type: ignore[misc]  # of the class it is mixed into

    @contextmanager
    def copy(self, statement: Any, *args: Any, **options: Any) -> Iterator[Any]:
        with self._timing(statement), super().copy(statement, *args, **options) as copy:  # type: ignore[misc]  # as in stream
            yield copy


class _AsyncMeasured(_Timed):
    """Before an asynchronous cursor class."""

    async def execute(self, query: Any, *args: Any, **options: Any) -> Any:
        with self._timing(query):
            return await super().execute(query, *args, **options)  # type: ignore[misc]  # of its other base

    async def executemany(self, query: Any, *args: Any, **options: Any) -> Any:
        with self._timing(query):
            return await super().executemany(query, *args, **options)  # type: ignore[misc]  # of its other base

    async def stream(self, query: Any, *args: Any, **options: Any) -> AsyncIterator[Any]:
        with self._timing(query):
            async for row in super().stream(query, *args, **options):  # type: ignore[misc]  # of its other base
                yield row

    @asynccontextmanager
    async def copy(self, statement: Any, *args: Any, **options: Any) -> AsyncIterator[Any]:
        with self._timing(statement):
            async with super().copy(statement, *args, **options) as copy:  # type: ignore[misc]  # of its other base
                yield copy
