"""SQLAlchemy 2: the connections of an engine's pool, and the statements run on them, synchronous and asyncio.

    engine = instrument_engine(create_engine(url))          # or create_async_engine(url)

Statements are measured between SQLAlchemy's own events before and after the driver's cursor executes, so that the
ORM's are seen as well; a failed one is counted by its `handle_error` event. The pool's numbers are read from the pool
at every scrape; a pool that does not count (NullPool, StaticPool) has none. The wait is the time of `pool.connect()`,
a new connection included.
"""

import weakref
from collections.abc import Callable
from pathlib import PurePath
from time import perf_counter
from typing import Any, TypeVar

from topmast_exporter.admission import UNKNOWN
from topmast_exporter.instrument.sql import DatabaseMetrics, operation_of, reason_of_error
from topmast_exporter.registry import Registry

E = TypeVar("E")

_STARTED = "_topmast_started"


def instrument_engine(engine: E, name: str = "", registry: Registry | None = None) -> E:
    """Return the same engine (Engine or AsyncEngine), measured.

    `name` is the pool's; by default what kind of database it is (postgresql, mysql, sqlite).
    """
    from sqlalchemy import event

    metrics = DatabaseMetrics(registry)
    target: Any = getattr(engine, "sync_engine", engine)
    name = name or target.url.get_backend_name()
    statements = _Statements(metrics, database_of(target.url.database))
    event.listen(target, "before_cursor_execute", statements.begun)
    event.listen(target, "after_cursor_execute", statements.ended)
    event.listen(target, "handle_error", statements.failed)

    known = weakref.ref(target)
    metrics.pool(name, lambda: _maximum(known())).set_function(lambda: _in_use(known()))
    _time_connects(target.pool, name, metrics)
    # dispose() makes a new pool, as a forked worker must.
    event.listen(target, "engine_disposed", lambda disposed: _time_connects(disposed.pool, name, metrics))
    return engine


def database_of(database: str | None) -> str:
    """Return the label of a URL's database: its name, of SQLite's the file's without the folder."""
    return PurePath(database).name if database else UNKNOWN


class _Statements:
    """Listens to one engine."""

    def __init__(self, metrics: DatabaseMetrics, database: str) -> None:
        self._metrics = metrics
        self._database = database
        metrics.declare(database)

    def begun(
        self, _connection: Any, _cursor: Any, _statement: str, _parameters: Any, context: Any, _many: bool
    ) -> None:
        if context is not None:
            setattr(context, _STARTED, perf_counter())

    def ended(
        self, _connection: Any, _cursor: Any, statement: str, _parameters: Any, context: Any, _many: bool
    ) -> None:
        self._count(statement, context, "")

    def failed(self, about: Any) -> None:
        try:
            error = about.original_exception
            reason = "connection" if about.is_disconnect and isinstance(error, Exception) else reason_of_error(error)
        except Exception:  # noqa: BLE001 a guard: an instrument never raises into the application
            self._metrics.registry.count_internal_error("sqlalchemy")
            return
        if not self._count(about.statement, about.execution_context, reason):
            self._metrics.failed(self._database, reason)

    def _count(self, statement: str | None, context: Any, reason: str) -> bool:
        """Count a statement that has begun; False when none has."""
        started = getattr(context, _STARTED, None)
        if started is None:
            return False
        setattr(context, _STARTED, None)
        self._metrics.queried(self._database, operation_of(statement or ""), perf_counter() - started, reason)
        return True


def _time_connects(pool: Any, name: str, metrics: DatabaseMetrics) -> None:
    connect: Callable[[], Any] = pool.connect

    def timed() -> Any:
        started = perf_counter()
        try:
            return connect()
        finally:
            metrics.waited(name, perf_counter() - started)

    pool.connect = timed


def _in_use(engine: Any) -> float | None:
    count = getattr(getattr(engine, "pool", None), "checkedout", None)
    return None if count is None else float(count())


def _maximum(engine: Any) -> float | None:
    """Return the pool's size and what may go beyond it; None when there is no limit."""
    pool = getattr(engine, "pool", None)
    size, overflow = getattr(pool, "size", None), getattr(pool, "_max_overflow", -1)
    return float(size() + overflow) if callable(size) and overflow >= 0 else None
