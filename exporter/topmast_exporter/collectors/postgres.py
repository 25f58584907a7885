"""PostgreSQL: postgres_exporter's names over one kept, read-only, deadline-guarded connection.

Role that is enough: GRANTS below, no superuser (`topmast postgres grants` prints it).
What a lesser role may not read is left out and said once. What is asked, and what it costs: postgres_queries.py.
"""

import importlib
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from prometheus_client.core import Metric

from topmast_exporter.collector import Collector, Reading, secret, secret_properties
from topmast_exporter.errors import CollectError
from topmast_exporter.postgres_group import Group, Row
from topmast_exporter.postgres_queries import GROUPS, parse
from topmast_exporter.postgres_statements import Statements
from topmast_exporter.postgres_statements import sql as statements_sql

GRANTS = (
    "CREATE ROLE {role} LOGIN CONNECTION LIMIT 2;",
    "GRANT pg_monitor TO {role};",
    "-- statements by time: shared_preload_libraries = 'pg_stat_statements', and in the database of the dsn",
    "CREATE EXTENSION IF NOT EXISTS pg_stat_statements;",
)

# No query of ours may hold up the server's own work: set in every session, before anything is asked.
SESSION = (
    "SET application_name = 'topmast-exporter'; SET default_transaction_read_only = on;"
    " SET statement_timeout = '2s'; SET lock_timeout = '100ms'; SET idle_in_transaction_session_timeout = '5s';"
    " SET jit = off"
)
MAX_ROWS = 10_000
# Reading 5,000 statements is half of what a whole refresh costs the server.
STATEMENTS_SECONDS = 30.0


@dataclass(frozen=True)
class Config:
    """One PostgreSQL server, seen from one of its databases (tables are that database's)."""

    target: str
    dsn: str = field(repr=False)
    """libpq: `host=… port=… user=… dbname=…` or `postgresql://…`."""
    password_file: str = ""
    password_env: str = ""
    """The name of a variable, in place of a file."""
    interval_seconds: float = 15.0
    timeout_seconds: float = 5.0
    statements: bool = True
    """Read pg_stat_statements where the extension is."""


PROPERTIES: Mapping[str, Any] = {
    "dsn": {"type": "string", "minLength": 1},
    **secret_properties("password"),
    "statements": {"type": "boolean"},
}

__all__ = ["COLLECTOR", "Config", "parse"]


class PostgresSource:
    """One server, one kept connection."""

    def __init__(self, config: Config, clock: Callable[[], float] = time.monotonic) -> None:
        # here, in one thread: two that import it at the same time meet it half made
        importlib.import_module("psycopg")
        self._config = config
        self._clock = clock
        """Says when a slow group is due again; deadlines are real time."""
        self._connection: Any = None
        self._rows: dict[str, Sequence[Row]] = {}
        self._read_at: dict[str, float] = {}
        # What is read seldom is parsed as seldom: 250 settings are half of a refresh's own work.
        self._seldom: dict[str, list[Metric]] = {}
        self._statements = Statements()
        self._statement_rows: Sequence[Row] = ()
        self._statements_schema: str | None = None

    def collect(self) -> Reading:
        import psycopg

        deadline = time.monotonic() + self._config.timeout_seconds
        try:
            if self._connection is None:
                self._connection = self._connect(deadline)
            self._connection.deadline = deadline
            refused: dict[str, tuple[str, str]] = {}
            for group in GROUPS:
                self._read(group, refused)
            reading = parse(self._rows)
            for metrics in self._seldom.values():
                reading.include(metrics)
            if self._statements_schema is not None:
                self._read_statements(reading, refused)
            now = self._clock()
            for name, at in self._read_at.items():
                text = "Age of what is read less often than the rest."
                reading.gauge("topmast_pg_group_age_seconds", text, now - at, group=name)
        except (psycopg.Error, OSError, TimeoutError) as error:
            self.close()
            raise CollectError(f"{self._config.target}: {_one_line(error)}", _reason(error)) from error
        for what, (reason, message) in refused.items():
            reading.leave_out(what, message, reason)
        return reading

    def close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def _read(self, group: Group, refused: dict[str, tuple[str, str]]) -> None:
        import psycopg

        now = self._clock()
        if group.name in self._seldom and now - self._read_at[group.name] < group.every_seconds:
            return
        try:
            rows = self._query(group.sql(self._connection.info.server_version))
        except (psycopg.errors.InsufficientPrivilege, psycopg.errors.LockNotAvailable) as error:
            # this group only: the connection is good, and the other groups are not the poorer for it
            refused[group.name] = (_reason(error), _one_line(error))
            self._rows.pop(group.name, None)
            self._seldom.pop(group.name, None)
            self._read_at.pop(group.name, None)
            return
        if group.every_seconds:
            self._read_at[group.name] = now
            self._seldom[group.name] = parse({group.name: rows}).metrics()
        else:
            self._rows[group.name] = rows

    def _read_statements(self, reading: Reading, refused: dict[str, tuple[str, str]]) -> None:
        import psycopg

        version = self._connection.info.server_version
        schema = self._statements_schema or ""
        now = self._clock()
        due = self._read_at.get("statements", float("-inf")) + STATEMENTS_SECONDS
        if now < due:
            self._statements.read_into(reading, self._statement_rows)
            return
        try:
            rows = self._query(statements_sql(schema, version, self._statements.known()))
        except (
            psycopg.errors.InsufficientPrivilege,
            psycopg.errors.ObjectNotInPrerequisiteState,  # created, but not in shared_preload_libraries
            psycopg.errors.UndefinedFunction,
            psycopg.errors.UndefinedColumn,
        ) as error:
            refused["pg_stat_statements"] = (_reason(error), _one_line(error))
            self._read_at.pop("statements", None)
            return
        self._read_at["statements"], self._statement_rows = now, rows
        self._statements.read_into(reading, rows)

    def _query(self, sql: str) -> list[Row]:
        with self._connection.cursor() as cursor:
            return list(cursor.execute(sql).fetchmany(MAX_ROWS))

    def _connect(self, deadline: float) -> Any:
        from psycopg.conninfo import make_conninfo
        from psycopg.rows import dict_row

        from topmast_exporter import postgres_connection

        options: dict[str, Any] = {
            "keepalives_idle": 10,
            "tcp_user_timeout": 5000,
            "application_name": "topmast-exporter",
        }
        if password := secret(self._config.password_file, self._config.password_env):
            options["password"] = password
        connection = postgres_connection.connect(make_conninfo(self._config.dsn, **options), deadline)
        try:
            connection.autocommit = True
            connection.row_factory = dict_row
            connection.prepare_threshold = None
            connection.execute(SESSION)
            found = connection.execute(
                "SELECT quote_ident(n.nspname) AS schema FROM pg_extension e JOIN pg_namespace n"
                " ON n.oid = e.extnamespace WHERE e.extname = 'pg_stat_statements'"
            ).fetchone()
        except BaseException:
            connection.close()
            raise
        self._statements_schema = found["schema"] if found and self._config.statements else None
        return connection


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__


def _reason(error: BaseException) -> str:
    from psycopg import errors

    if isinstance(error, (TimeoutError, errors.QueryCanceled, errors.LockNotAvailable, errors.ConnectionTimeout)):
        return "timeout"
    text = str(error)
    if isinstance(error, errors.InvalidAuthorizationSpecification) or "authentication failed" in text:
        return "authentication"
    if "no password supplied" in text or ("role " in text and "does not exist" in text):
        return "authentication"
    if isinstance(error, errors.InsufficientPrivilege):
        return "permission"
    if isinstance(error, (errors.OperationalError, OSError)):
        return "connection"
    return "protocol" if isinstance(error, errors.Error) else "other"


COLLECTOR = Collector(
    name="postgres",
    summary="PostgreSQL: postgres_exporter's names, bounded statements with exact sums, one read-only connection.",
    config=Config,
    properties=PROPERTIES,
    required=("dsn",),
    build=PostgresSource,
    up="pg_up",
    up_documentation="Whether the last refresh of this server succeeded.",
)
