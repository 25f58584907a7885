"""`topmast postgres grants`: what it prints is enough on a real PostgreSQL."""

import json

import psycopg
from click.testing import CliRunner
from topmast.cli import topmast
from topmast_exporter.collectors.postgres import Config, PostgresSource


def test_the_role_may_read_all_that_is_exported(postgres: str) -> None:
    done = CliRunner().invoke(topmast, ["postgres", "grants", "--role", 'watch "me"'])
    with psycopg.connect(postgres, autocommit=True) as connection:
        connection.execute(done.output)  # type: ignore[call-overload,unused-ignore]  # a text of ours, not a literal

    source = PostgresSource(Config("main", postgres.replace("user=postgres", "user='watch \"me\"'")))
    reading = source.collect()
    source.close()

    assert reading.refused == {}
    assert reading.value("pg_settings_max_connections") is not None


def test_machines_get_a_list() -> None:
    done = CliRunner().invoke(topmast, ["postgres", "grants", "--json"])

    assert json.loads(done.output)["statements"][1] == 'GRANT pg_monitor TO "topmast";'
