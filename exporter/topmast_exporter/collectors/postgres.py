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

from topmast_exporter import postgres_statements
from topmast_exporter.collector import Collector, Reading, secret, secret_properties
from topmast_exporter.errors import CollectError
from topmast_exporter.postgres_group import Row
from topmast_exporter.postgres_queries import GROUPS, parse

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
        self._session: Any = None
        self._rows: dict[str, Sequence[Row]] = {}
        self._read_at: dict[str, float] = {}
        # What is read seldom is parsed as seldom: 250 settings are half of a refresh's own work.
        self._seldom: dict[str, list[Metric]] = {}
        self._statements = postgres_statements.Statements()
        self._statements_schema: str | None = None

    def collect(self) -> Reading:
        import psycopg

        deadline = time.monotonic() + self._config.timeout_seconds
        try:
            if self._session is None:
                self._session = self._connect(deadline)
            self._session.connection.deadline = deadline
            refused: dict[str, psycopg.Error] = {}
            self._read_groups(refused)
            if self._statements_schema is not None:
                self._read_statements(self._statements_schema, refused)
            reading = parse(self._rows)
            for metrics in self._seldom.values():
                reading.include(metrics)
            now = self._clock()
            for name, at in self._read_at.items():
                text = "Age of what is read less often than the rest."
                reading.gauge("topmast_pg_group_age_seconds", text, now - at, group=name)
        except (psycopg.Error, OSError, TimeoutError) as error:
            self.close()
            raise CollectError(f"{self._config.target}: {_one_line(error)}", _reason(error)) from error
        for what, why in refused.items():
            reading.leave_out(what, _one_line(why), _reason(why))
        return reading

    def close(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            session.connection.close()

    def _read_groups(self, refused: dict[str, Any]) -> None:
        now, version = self._clock(), self._session.connection.info.server_version
        due = {group.name: group for group in GROUPS if self._is_due(group.name, group.every_seconds, now)}
        for name, rows in self._session.ask({name: group.sql(version) for name, group in due.items()}).items():
            if isinstance(rows, Exception):
                refused[name] = rows
                self._forget(name)
            elif due[name].every_seconds:
                self._read_at[name] = now
                self._seldom[name] = parse({name: rows}).metrics()
            else:
                self._rows[name] = rows

    def _read_statements(self, schema: str, refused: dict[str, Any]) -> None:
        from psycopg import errors

        now, name = self._clock(), "statements"
        if not self._is_due(name, STATEMENTS_SECONDS, now):
            return
        version = self._session.connection.info.server_version
        try:
            statements, query = self._statements, self._session.query
            if statements.least_ms is None:
                statements.rank(query(postgres_statements.rank_sql(schema, version))[0])
            ((row,),) = query(
                postgres_statements.sql(schema, version, statements.known(), statements.least_ms or 0.0)
            )
        except (
            errors.InsufficientPrivilege,
            errors.ObjectNotInPrerequisiteState,  # created, but not in shared_preload_libraries
            errors.UndefinedFunction,
            errors.UndefinedColumn,
        ) as error:
            refused["pg_stat_statements"] = error
            self._forget(name)
            return
        part = Reading()
        statements.read_into(part, row)
        self._read_at[name], self._seldom[name] = now, part.metrics()

    def _is_due(self, name: str, every_seconds: float, now: float) -> bool:
        return name not in self._read_at or now - self._read_at[name] >= every_seconds

    def _forget(self, name: str) -> None:
        for kept in (self._rows, self._seldom, self._read_at):
            kept.pop(name, None)

    def _connect(self, deadline: float) -> Any:
        from psycopg.conninfo import make_conninfo
        from psycopg.rows import dict_row

        from topmast_exporter import postgres_connection, postgres_session

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
        return postgres_session.Session(connection)


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
