"""Real engines: psycopg and asyncpg on a real PostgreSQL, and SQLite."""

import asyncio
import re
from pathlib import Path

import pytest
from sqlalchemy import Engine, create_engine, text
from sqlalchemy.exc import DBAPIError, TimeoutError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column
from sqlalchemy.pool import NullPool
from topmast_exporter.instrument.sqlalchemy import instrument_engine
from topmast_exporter.registry import Registry
from topmast_exporter.testing import samples, value


class Base(DeclarativeBase):
    """Of the tests' tables."""


class Item(Base):
    """A table."""

    __tablename__ = "sqlalchemy_items"
    number: Mapped[int] = mapped_column(primary_key=True)


def url(dsn: str, driver: str) -> str:
    found = re.search(r"port=(\d+)", dsn)
    assert found
    return f"postgresql+{driver}://postgres@127.0.0.1:{found.group(1)}/postgres"


def queries(registry: Registry) -> dict[tuple[str, str], float]:
    found = samples(registry, "db_query_duration_seconds_count")
    return {(labels["database"], labels["operation"]): count for labels, count in found if count}


def errors(registry: Registry) -> dict[str, float]:
    return {labels["reason"]: count for labels, count in samples(registry, "db_query_errors_total") if count}


def test_statements_of_the_orm_are_measured(postgres: str) -> None:
    registry = Registry()
    engine = instrument_engine(create_engine(url(postgres, "psycopg"), pool_size=2, max_overflow=3), "", registry)

    with Session(engine) as session, session.begin():
        session.execute(text("CREATE TEMP TABLE sqlalchemy_items (number int PRIMARY KEY)"))
        session.add_all([Item(number=1), Item(number=2)])
        session.flush()
        found = session.query(Item).filter(Item.number > 1).count()
        in_use = value(registry, "db_pool_connections_in_use", pool="postgresql")
        session.execute(text("UPDATE sqlalchemy_items SET number = 3 WHERE number = 2"))

    assert found == 1
    counted = queries(registry)
    assert {key: counted[key] for key in counted if key[1] in ("insert", "update")} == {
        ("postgres", "insert"): 1,
        ("postgres", "update"): 1,
    }
    assert (in_use, value(registry, "db_pool_connections_in_use", pool="postgresql")) == (1, 0)
    assert value(registry, "db_pool_connections_max", pool="postgresql") == 5
    assert value(registry, "db_pool_wait_seconds_count", pool="postgresql") == 1
    assert value(registry, "exporter_internal_errors_total") is None
    engine.dispose()


def test_an_asyncio_engine_is_measured_alike(postgres: str) -> None:
    registry = Registry()

    async def use() -> AsyncEngine:
        engine = create_async_engine(url(postgres, "asyncpg"), pool_size=1, max_overflow=0)
        instrument_engine(engine, "shop", registry)
        async with engine.connect() as connection:
            await connection.execute(text("SELECT 1"))
            with pytest.raises(DBAPIError):
                await connection.execute(text("SELEKT"))
        await engine.dispose()
        async with engine.connect() as connection:
            await connection.execute(text("SET statement_timeout = 100"))
            with pytest.raises(DBAPIError):
                await connection.execute(text("SELECT pg_sleep(10)"))
        await engine.dispose()
        return engine

    # a pool is told of as long as somebody has its engine
    engine = asyncio.run(use())

    assert queries(registry) == {("postgres", "select"): 2, ("postgres", "other"): 2}
    assert errors(registry) == {"syntax": 1, "timeout": 1}
    assert value(registry, "db_pool_wait_seconds_count", pool="shop") == 2
    assert (engine.pool.size(), value(registry, "db_pool_connections_max", pool="shop")) == (1, 1)


def test_a_cancelled_statement_is_a_timeout(postgres: str) -> None:
    registry = Registry()

    async def use() -> None:
        engine = instrument_engine(create_async_engine(url(postgres, "asyncpg")), "shop", registry)
        async with engine.connect() as connection:
            with pytest.raises(asyncio.TimeoutError):
                await asyncio.wait_for(connection.execute(text("SELECT pg_sleep(10)")), 0.2)
        await engine.dispose()

    asyncio.run(use())

    assert errors(registry) == {"timeout": 1}


@pytest.fixture
def sqlite(tmp_path: Path) -> Engine:
    return create_engine(f"sqlite:///{tmp_path}/shop.db", pool_size=1, max_overflow=0, pool_timeout=0.05)


def test_sqlite_is_named_by_its_file(sqlite: Engine) -> None:
    registry = Registry()

    with instrument_engine(sqlite, "", registry).begin() as connection:
        connection.execute(text("CREATE TABLE t (n int UNIQUE)"))
        connection.execute(text("INSERT INTO t VALUES (:n)"), [{"n": 1}, {"n": 2}])

    assert queries(registry) == {("shop.db", "other"): 1, ("shop.db", "insert"): 1}
    assert value(registry, "db_query_errors_total", database="shop.db", reason="deadlock") == 0


@pytest.mark.parametrize(
    ("statement", "reason"),
    [
        pytest.param("SELEKT", "syntax", id="syntax"),
        pytest.param("INSERT INTO t VALUES (1)", "constraint", id="constraint"),
    ],
)
def test_errors_of_sqlite_have_reasons(sqlite: Engine, statement: str, reason: str) -> None:
    registry = Registry()

    with instrument_engine(sqlite, "", registry).begin() as connection:
        connection.execute(text("CREATE TABLE t (n int UNIQUE)"))
        connection.execute(text("INSERT INTO t VALUES (1)"))
        with pytest.raises(DBAPIError):
            connection.execute(text(statement))

    assert errors(registry) == {reason: 1}


def test_an_empty_pool_is_waited_for(sqlite: Engine) -> None:
    registry = Registry()
    engine = instrument_engine(sqlite, "", registry)

    with engine.connect(), pytest.raises(TimeoutError):
        engine.connect()

    assert value(registry, "db_pool_wait_seconds_count", pool="sqlite") == 2


def test_a_server_that_is_not_there_is_a_connection_error(port: int) -> None:
    registry = Registry()
    engine = instrument_engine(create_engine(url(f"port={port}", "psycopg")), "", registry)

    with pytest.raises(DBAPIError):
        engine.connect()

    assert errors(registry) == {"connection": 1}
    assert queries(registry) == {}


def test_a_constraint_that_only_the_commit_sees_is_an_error(postgres: str) -> None:
    registry = Registry()
    engine = instrument_engine(create_engine(url(postgres, "psycopg")), "", registry)

    with engine.connect() as connection:
        connection.execute(text("CREATE TEMP TABLE late (n int UNIQUE DEFERRABLE INITIALLY DEFERRED)"))
        connection.execute(text("INSERT INTO late VALUES (1), (1)"))
        with pytest.raises(DBAPIError):
            connection.commit()

    assert errors(registry) == {"constraint": 1}
    engine.dispose()


def test_a_pool_that_does_not_count_has_no_numbers(tmp_path: Path) -> None:
    registry = Registry()
    engine = create_engine(f"sqlite:///{tmp_path}/shop.db", poolclass=NullPool)

    with instrument_engine(engine, "", registry).connect():
        assert value(registry, "db_pool_connections_in_use") is None
        assert value(registry, "db_pool_connections_max") is None
    assert value(registry, "exporter_internal_errors_total") is None


def test_an_engine_that_is_gone_does_not_break_the_scrape(tmp_path: Path) -> None:
    registry = Registry()

    instrument_engine(create_engine(f"sqlite:///{tmp_path}/shop.db"), "", registry).dispose()

    assert value(registry, "exporter_internal_errors_total") is None
