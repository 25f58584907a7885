"""Tables of a real PostgreSQL: bounded, partitions under their parent, bloat estimated, the age of it told."""

import psycopg
import pytest
from topmast_exporter.collectors.postgres import STATEMENTS_SECONDS, Config, PostgresSource
from topmast_exporter.postgres_tables import BLOAT_SECONDS, TABLES_SECONDS, TOP_TABLES


@pytest.fixture(scope="module")
def database(postgres):
    """The DSN of a database of its own: 1,000 small tables, one in 50 partitions, one that is mostly bloat."""
    with psycopg.connect(postgres, autocommit=True) as connection:
        connection.execute("DROP DATABASE IF EXISTS many")
        connection.execute("CREATE DATABASE many")
    dsn = postgres.replace("dbname=postgres", "dbname=many")
    with psycopg.connect(dsn, autocommit=True) as connection:
        for part in range(20):  # each in a transaction of its own: a lock a table
            connection.execute(
                f"DO $$ BEGIN FOR i IN {part * 50}..{part * 50 + 49} LOOP"
                " EXECUTE 'CREATE TABLE small' || i || ' (a int)'; END LOOP; END $$"
            )
        connection.execute("CREATE EXTENSION pg_stat_statements")
        connection.execute("CREATE TABLE events (a int) PARTITION BY RANGE (a)")
        connection.execute("CREATE TABLE events_old PARTITION OF events FOR VALUES FROM (-1) TO (0)")
        connection.execute(
            "DO $$ BEGIN FOR i IN 0..48 LOOP EXECUTE 'CREATE TABLE events_' || i ||"
            " ' PARTITION OF events FOR VALUES FROM (' || i || ') TO (' || i + 1 || ')'; END LOOP; END $$"
        )
        connection.execute("INSERT INTO events SELECT g % 49 FROM generate_series(1, 4900) g")
        connection.execute("CREATE TABLE bloated (a int, b text) WITH (autovacuum_enabled = off)")
        connection.execute("CREATE TABLE dense (a int, b text) WITH (autovacuum_enabled = off)")
        for table in ("bloated", "dense"):
            connection.execute(f"INSERT INTO {table} SELECT g, repeat('x', 100) FROM generate_series(1, 20000) g")  # noqa: S608 names of ours
        connection.execute("DELETE FROM bloated WHERE a % 10 <> 0")
        connection.execute("ANALYZE bloated, dense")
        connection.execute("SELECT pg_stat_force_next_flush()")
    yield dsn
    with psycopg.connect(postgres, autocommit=True) as connection:
        connection.execute("DROP DATABASE many WITH (FORCE)")


@pytest.fixture(scope="module")
def reading(database):
    source = PostgresSource(Config(target="main", dsn=database))
    yield source.collect()
    source.close()


def family(reading, name):
    return {one.labels["relname"]: one.value for m in reading.metrics() if m.name == name for one in m.samples}


def test_of_a_thousand_tables_the_top_is_shown(reading):
    assert reading.refused == {}
    assert len(family(reading, "pg_stat_user_tables_n_live_tup")) == TOP_TABLES


def test_partitions_are_rolled_up_into_their_parent(reading):
    inserted = family(reading, "pg_stat_user_tables_n_tup_ins")

    assert inserted["events"] == 4900
    assert not any(name.startswith("events_") for name in inserted)


def test_bloat_is_what_the_rows_do_not_need(reading):
    heap, bloat = family(reading, "topmast_pg_table_heap_bytes"), family(reading, "topmast_pg_table_bloat_bytes")

    assert bloat["bloated"] / heap["bloated"] == pytest.approx(0.9, abs=0.02)
    assert bloat["dense"] / heap["dense"] == pytest.approx(0, abs=0.02)


def test_what_is_read_seldom_tells_its_age(database):
    now = [1000.0]
    source = PostgresSource(Config(target="main", dsn=database), clock=lambda: now[0])
    source.collect()

    now[0] += STATEMENTS_SECONDS - 1
    waited = source.collect()
    now[0] += 1
    statements_again = source.collect()
    now[0] += TABLES_SECONDS - STATEMENTS_SECONDS
    tables_again = source.collect()

    source.close()

    def age(reading, group):
        return reading.value("topmast_pg_group_age_seconds", group=group)

    assert BLOAT_SECONDS > TABLES_SECONDS > STATEMENTS_SECONDS
    assert (age(waited, "statements"), age(waited, "tables")) == (STATEMENTS_SECONDS - 1, STATEMENTS_SECONDS - 1)
    assert (age(statements_again, "statements"), age(statements_again, "tables")) == (0, STATEMENTS_SECONDS)
    assert (age(tables_again, "tables"), age(tables_again, "bloat")) == (0, TABLES_SECONDS)
    assert "pg_stat_statements_calls" in {metric.name for metric in waited.metrics()}
