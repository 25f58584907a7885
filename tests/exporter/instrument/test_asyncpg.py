"""A real PostgreSQL, pools and connections of asyncpg."""

import asyncio
import re
from collections.abc import Awaitable, Callable
from typing import Any

import asyncpg
import pytest
from topmast_exporter.instrument.asyncpg import instrument_connection, instrument_pool
from topmast_exporter.registry import Registry
from topmast_exporter.testing import samples, value


def url(dsn: str) -> str:
    found = re.search(r"port=(\d+)", dsn)
    assert found
    return f"postgresql://postgres@127.0.0.1:{found.group(1)}/postgres"


def queries(registry: Registry) -> dict[str, float]:
    found = samples(registry, "db_query_duration_seconds_count")
    assert {labels["database"] for labels, _ in found} <= {"postgres"}
    return {labels["operation"]: count for labels, count in found if count}


def errors(registry: Registry) -> dict[str, float]:
    return {labels["reason"]: count for labels, count in samples(registry, "db_query_errors_total") if count}


def in_a_pool(dsn: str, registry: Registry, use: Callable[[Any], Awaitable[None]], **options: Any) -> None:
    async def run() -> None:
        pool = asyncpg.create_pool(url(dsn), **{"min_size": 1, "max_size": 2, **options})
        async with instrument_pool(pool, "shop", registry) as opened:
            await use(opened)

    asyncio.run(run())


def test_statements_of_a_pool_are_measured(postgres: str) -> None:
    registry = Registry()
    seen: list[Any] = []

    async def use(pool: Any) -> None:
        async with pool.acquire() as connection:
            await connection.execute("CREATE TEMP TABLE t (n int)")
            await connection.copy_records_to_table("t", records=[(0,)])
            await connection.executemany("INSERT INTO t VALUES ($1)", [(1,), (2,)])
            await connection.execute("UPDATE t SET n = $1 WHERE n = 2", 3)
            seen.append(await connection.fetchval("SELECT max(n) FROM t"))
            seen.append(value(registry, "db_pool_connections_in_use", pool="shop"))
        connection = await pool.acquire()
        await connection.fetchrow("DELETE FROM t RETURNING n")
        await pool.release(connection)
        seen.append(await pool.fetch("SELECT 1"))
        seen.append(value(registry, "db_pool_connections_in_use", pool="shop"))
        seen.append(value(registry, "db_pool_connections_max", pool="shop"))

    in_a_pool(postgres, registry, use)

    assert seen == [3, 1, [(1,)], 0, 2]
    # And nothing of what the pool runs on a connection that is given back.
    assert queries(registry) == {"other": 2, "insert": 1, "update": 1, "select": 2, "delete": 1}
    assert value(registry, "db_pool_wait_seconds_count", pool="shop") == 3
    assert value(registry, "db_query_errors_total", database="postgres", reason="deadlock") == 0
    assert value(registry, "exporter_internal_errors_total") is None


@pytest.mark.parametrize(
    ("statement", "error", "reason"),
    [
        pytest.param("SELEKT", asyncpg.PostgresSyntaxError, "syntax", id="syntax"),
        pytest.param("SELECT pg_sleep(10)", asyncpg.QueryCanceledError, "timeout", id="timeout"),
        pytest.param("INSERT INTO u VALUES (1), (1)", asyncpg.UniqueViolationError, "constraint", id="constraint"),
        pytest.param(
            "SELECT pg_terminate_backend(pg_backend_pid())",
            asyncpg.ConnectionDoesNotExistError,
            "connection",
            id="killed",
        ),
    ],
)
def test_a_failure_is_counted_by_reason_and_reaches_the_caller(
    statement: str, error: type[Exception], reason: str, postgres: str
) -> None:
    registry = Registry()

    async def use() -> None:
        connection = instrument_connection(await asyncpg.connect(url(postgres)), registry)
        await connection.execute("CREATE TEMP TABLE u (n int UNIQUE)")
        await connection.execute("SET statement_timeout = 100")
        with pytest.raises(error):
            await connection.execute(statement)
        await connection.close()

    asyncio.run(use())

    assert errors(registry) == {reason: 1}


def test_an_empty_pool_is_waited_for(postgres: str) -> None:
    registry = Registry()

    async def use(pool: Any) -> None:
        async with pool.acquire():
            with pytest.raises(TimeoutError):
                await pool.acquire(timeout=0.05)

    in_a_pool(postgres, registry, use, max_size=1)

    assert value(registry, "db_pool_wait_seconds_count", pool="shop") == 2


def test_a_pool_that_is_closed_has_no_numbers(postgres: str) -> None:
    registry = Registry()

    async def use(pool: Any) -> None:
        await pool.fetch("SELECT 1")

    in_a_pool(postgres, registry, use)

    assert value(registry, "db_pool_connections_in_use") is None
    assert value(registry, "db_pool_connections_max") is None


def test_a_server_that_hangs_is_a_timeout(start_postgres: Callable[..., Any]) -> None:
    server = start_postgres()
    registry = Registry()

    async def use() -> None:
        connection = instrument_connection(await asyncpg.connect(url(server.url)), registry)
        await connection.execute("SELECT 1")
        with server.frozen():
            with pytest.raises(TimeoutError):
                await connection.execute("SELECT 1", timeout=0.3)
            connection.terminate()

    asyncio.run(use())

    assert errors(registry) == {"timeout": 1}
