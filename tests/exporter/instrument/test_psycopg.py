"""A real PostgreSQL, synchronous and asynchronous pools and connections of psycopg 3."""

import asyncio
from collections.abc import Callable
from typing import Any

import psycopg
import pytest
from psycopg import sql
from psycopg.rows import dict_row
from psycopg_pool import AsyncConnectionPool, ConnectionPool, PoolTimeout
from topmast_exporter.instrument.psycopg import instrument_connection, instrument_pool
from topmast_exporter.registry import Registry
from topmast_exporter.testing import samples, value


def queries(registry: Registry) -> dict[str, float]:
    found = samples(registry, "db_query_duration_seconds_count")
    assert {labels["database"] for labels, _ in found} <= {"postgres"}
    return {labels["operation"]: count for labels, count in found if count}


def errors(registry: Registry) -> dict[str, float]:
    return {labels["reason"]: count for labels, count in samples(registry, "db_query_errors_total") if count}


def test_statements_of_a_pool_are_measured(postgres: str) -> None:
    registry = Registry()

    pool = instrument_pool(ConnectionPool(postgres, min_size=1, max_size=3, open=False), "shop", registry)
    with pool, pool.connection() as connection:
        in_use = value(registry, "db_pool_connections_in_use", pool="shop")
        connection.execute("CREATE TEMP TABLE t (n int)")
        connection.execute(sql.SQL("INSERT INTO {} VALUES (%s)").format(sql.Identifier("t")), (1,))
        with connection.cursor(row_factory=dict_row) as cursor:
            cursor.executemany("UPDATE t SET n = %s", [(2,), (3,)])
            rows = cursor.execute(b"SELECT n FROM t").fetchall()
            streamed = list(cursor.stream("SELECT n FROM t"))
            with cursor.copy("COPY t TO STDOUT") as copy:
                copied = b"".join(bytes(chunk) for chunk in copy)

    assert (rows, streamed, copied) == ([{"n": 3}], [{"n": 3}], b"3\n")
    assert queries(registry) == {"other": 2, "insert": 1, "update": 1, "select": 2}
    assert (in_use, value(registry, "db_pool_connections_in_use", pool="shop")) == (1, 0)
    assert value(registry, "db_pool_connections_max", pool="shop") == 3
    assert value(registry, "db_pool_wait_seconds_count", pool="shop") == 1
    assert value(registry, "exporter_internal_errors_total") is None


def test_a_database_starts_at_zero_with_its_first_connection(postgres: str) -> None:
    registry = Registry()

    with (
        instrument_pool(ConnectionPool(postgres, min_size=1, open=False), "shop", registry) as pool,
        pool.connection(),
    ):
        pass

    assert value(registry, "db_query_errors_total", database="postgres", reason="timeout") == 0
    assert value(registry, "db_query_duration_seconds_count", database="postgres", operation="select") == 0


@pytest.mark.parametrize(
    ("statement", "error", "reason"),
    [
        pytest.param("SELEKT", psycopg.errors.SyntaxError, "syntax", id="syntax"),
        pytest.param("SELECT pg_sleep(10)", psycopg.errors.QueryCanceled, "timeout", id="timeout"),
        pytest.param("INSERT INTO u VALUES (1), (1)", psycopg.errors.UniqueViolation, "constraint", id="constraint"),
        pytest.param(
            "SELECT pg_terminate_backend(pg_backend_pid())", psycopg.errors.AdminShutdown, "connection", id="killed"
        ),
    ],
)
def test_a_failure_is_counted_by_reason_and_reaches_the_caller(
    statement: str, error: type[Exception], reason: str, postgres: str
) -> None:
    registry = Registry()
    connection: Any = instrument_connection(psycopg.connect(postgres, autocommit=True), registry)
    connection.execute("CREATE TEMP TABLE u (n int UNIQUE)")
    connection.execute("SET statement_timeout = 100")

    with pytest.raises(error):
        connection.execute(statement)

    assert errors(registry) == {reason: 1}
    connection.close()


def test_an_empty_pool_is_waited_for(postgres: str) -> None:
    registry = Registry()
    pool = ConnectionPool(postgres, min_size=1, max_size=1, open=False)

    with instrument_pool(pool, "shop", registry), pool.connection(), pytest.raises(PoolTimeout):
        pool.getconn(timeout=0.05)

    assert value(registry, "db_pool_wait_seconds_count", pool="shop") == 2


def test_a_pool_that_was_never_opened_does_not_break_the_scrape(postgres: str) -> None:
    registry = Registry()
    pool = instrument_pool(ConnectionPool(postgres, min_size=1, open=False), "shop", registry)

    assert value(registry, "db_pool_connections_in_use", pool="shop") == 0
    del pool


def test_a_foreign_connection_given_back_changes_nothing(postgres: str) -> None:
    registry = Registry()
    pool = instrument_pool(ConnectionPool(postgres, min_size=1, open=False), "shop", registry)

    with pool, psycopg.connect(postgres) as foreign, pool.connection():
        with pytest.raises(ValueError, match="can't return connection"):
            pool.putconn(foreign)
        in_use = value(registry, "db_pool_connections_in_use")

    assert in_use == 1


def test_a_cursor_class_of_the_users_own_stays(postgres: str) -> None:
    class Loud(psycopg.ClientCursor[Any]):
        """A cursor of the user's own."""

    registry = Registry()
    connection = instrument_connection(psycopg.connect(postgres, cursor_factory=Loud), registry)

    cursor = connection.execute("SELECT %s", ("x",))

    assert isinstance(cursor, Loud)
    assert queries(registry) == {"select": 1}
    connection.close()


def test_asynchronous_pools_are_measured_alike(postgres: str) -> None:
    registry = Registry()

    async def use() -> tuple[Any, Any, bytes]:
        pool = instrument_pool(AsyncConnectionPool(postgres, min_size=1, open=False), "shop", registry)
        async with pool, pool.connection() as connection:
            await connection.execute("CREATE TEMP TABLE t (n int)")
            async with connection.cursor(row_factory=dict_row) as cursor:
                await cursor.executemany("INSERT INTO t VALUES (%s)", [(1,), (2,)])
                await cursor.execute("SELECT n FROM t ORDER BY n")
                rows = await cursor.fetchall()
                streamed = [row async for row in cursor.stream("SELECT n FROM t ORDER BY n")]
                async with cursor.copy("COPY t TO STDOUT") as copy:
                    copied = b"".join([bytes(chunk) async for chunk in copy])
            with pytest.raises(psycopg.errors.UndefinedTable):
                await connection.execute("DELETE FROM nowhere")
        return rows, streamed, copied

    rows, streamed, copied = asyncio.run(use())

    assert (rows, streamed, copied) == ([{"n": 1}, {"n": 2}], [{"n": 1}, {"n": 2}], b"1\n2\n")
    assert queries(registry) == {"other": 2, "insert": 1, "select": 2, "delete": 1}
    assert errors(registry) == {"syntax": 1}
    assert value(registry, "db_pool_wait_seconds_count", pool="shop") == 1


def test_a_server_that_hangs_is_a_timeout(start_postgres: Callable[..., Any]) -> None:
    server = start_postgres()
    registry = Registry()

    async def ask() -> None:
        connection = await psycopg.AsyncConnection.connect(server.url)
        instrument_connection(connection, registry)
        await connection.execute("SELECT 1")
        with server.frozen():
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(connection.execute("SELECT 1"), 0.3)
            await connection.close()

    asyncio.run(ask())

    assert errors(registry) == {"timeout": 1}
