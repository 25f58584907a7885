"""What is the same for every SQL driver: the database families, and what kind of statement a text is."""

import re
from collections.abc import Callable, Sequence
from functools import lru_cache

from topmast_exporter.registry import Registry, default_registry
from topmast_exporter.series import GaugeSeries

# METRICS.md: the bounds contain 0.01, 0.1, 1 and 5.
QUERY_BOUNDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
WAIT_BOUNDS = (0.0005, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 30.0)

OPERATIONS = ("select", "insert", "update", "delete")
OTHER_OPERATION = "other"
REASONS = ("timeout", "connection", "deadlock", "serialization", "constraint", "syntax", "permission", "other")

# What may stand before the first word: blanks, brackets and comments.
_LEADING = re.compile(r"(?:\s+|\(|--[^\n]*(?:\n|$)|/\*.*?\*/)*", re.DOTALL)
_WORD = re.compile(r"[a-zA-Z]+")
_WRITES = re.compile(r"\b(insert\s+into|update|delete\s+from)\b", re.IGNORECASE)

# https://www.sqlite.org/rescode.html, by the part of the name that all extended codes share.
_SQLITE = {
    "SQLITE_BUSY": "timeout",
    "SQLITE_LOCKED": "timeout",
    "SQLITE_INTERRUPT": "timeout",
    "SQLITE_CONSTRAINT": "constraint",
    "SQLITE_ERROR": "syntax",
    "SQLITE_PERM": "permission",
    "SQLITE_AUTH": "permission",
    "SQLITE_READONLY": "permission",
    "SQLITE_CANTOPEN": "connection",
    "SQLITE_IOERR": "connection",
}

# https://dev.mysql.com/doc/mysql-errors/8.4/en/ and MariaDB's 1969 (max_statement_time).
_MYSQL = {
    **dict.fromkeys((1205, 1969, 3024), "timeout"),
    1213: "deadlock",
    **dict.fromkeys((1044, 1045, 1142, 1143, 1227), "permission"),
    **dict.fromkeys((1048, 1062, 1451, 1452, 3819), "constraint"),
    **dict.fromkeys((1049, 1054, 1064, 1146), "syntax"),
    **dict.fromkeys((1040, 2002, 2003, 2006, 2013), "connection"),
}

# Of a statement: as much of it as may say what it is.
MAX_CHARACTERS = 2_000


class DatabaseMetrics:
    """The database families of a registry."""

    def __init__(self, registry: Registry | None = None) -> None:
        self.registry = registry = registry or default_registry()
        self._in_use = registry.gauge(
            "db_pool_connections_in_use", "Connections of a pool that are in use.", ("pool",), ("pool",)
        )
        self._max = registry.gauge(
            "db_pool_connections_max", "Connections that a pool may have.", ("pool",), ("pool",)
        )
        self._waits = registry.histogram(
            "db_pool_wait_seconds", "Time waited for a connection of the pool.", ("pool",), WAIT_BOUNDS, ("pool",)
        )
        self._durations = registry.histogram(
            "db_query_duration_seconds",
            "Time that statements took, as the application sees it.",
            ("database", "operation"),
            QUERY_BOUNDS,
            ("database",),
        )
        self._errors = registry.counter(
            "db_query_errors_total", "Statements that failed.", ("database", "reason"), ("database",)
        )

    def declare(self, database: str) -> None:
        """Start a database's families at 0, so that its first error is visible as an increase."""
        for operation in (*OPERATIONS, OTHER_OPERATION):
            self._durations.labels(database, operation)
        for reason in REASONS:
            self._errors.labels(database, reason)

    def pool(self, name: str, maximum: Callable[[], float | None]) -> GaugeSeries:
        """Return the gauge of a pool's connections in use, at 0; `maximum` is asked at every scrape."""
        self._max.labels(name).set_function(maximum)
        self._waits.labels(name)
        in_use = self._in_use.labels(name)
        in_use.inc(0)
        return in_use

    def waited(self, pool: str, seconds: float) -> None:
        """Count a wait for a connection. Never raises."""
        try:
            self._waits.labels(pool).observe(seconds)
        except Exception:  # noqa: BLE001 a guard: an instrument never raises into the application
            self.registry.count_internal_error("database")

    def failed(self, database: str, reason: str) -> None:
        """Count an error that no statement took time for: of a commit, of a new connection. Never raises."""
        try:
            self._errors.labels(database, reason).inc()
        except Exception:  # noqa: BLE001 a guard: an instrument never raises into the application
            self.registry.count_internal_error("database")

    def queried(self, database: str, operation: str, seconds: float, reason: str = "") -> None:
        """Count a statement, with the reason when it failed. Never raises."""
        try:
            self._durations.labels(database, operation).observe(seconds)
            if reason:
                self._errors.labels(database, reason).inc()
        except Exception:  # noqa: BLE001 a guard: an instrument never raises into the application
            self.registry.count_internal_error("database")


@lru_cache(maxsize=1_024)
def _operation_of(statement: str) -> str:
    start = _LEADING.match(statement)
    word = _WORD.match(statement, start.end() if start else 0)
    first = word.group().lower() if word else ""
    if first in OPERATIONS:
        return first
    if first == "with":
        # A common table expression: the writing one names the statement, wherever it stands.
        write = _WRITES.search(statement)
        return write.group().split()[0].lower() if write else "select"
    return "select" if first in ("values", "table") else OTHER_OPERATION


def operation_of(statement: str) -> str:
    """Return select, insert, update, delete or other. Looks at the first 2,000 characters."""
    return _operation_of(statement[:MAX_CHARACTERS])


def reason_of(sqlstate: str | None, names: Sequence[str]) -> str:
    """Return why a statement failed: one of REASONS, by its SQLSTATE, else by its exception's class names.

    https://www.postgresql.org/docs/current/errcodes-appendix.html
    """
    code = sqlstate or ""
    if code in ("57014", "55P03", "25P03"):  # query_canceled (statement_timeout), lock_not_available, idle timeout
        return "timeout"
    if code == "40P01":
        return "deadlock"
    if code == "42501":
        return "permission"
    by_class = {"08": "connection", "57": "connection", "40": "serialization", "23": "constraint", "42": "syntax"}
    if code:
        return by_class.get(code[:2], "other")
    if "TimeoutError" in names or "PoolTimeout" in names or "CancelledError" in names:
        return "timeout"
    if "IntegrityError" in names:
        return "constraint"
    if "OperationalError" in names or "InterfaceError" in names or "OSError" in names:
        return "connection"
    return "syntax" if "ProgrammingError" in names else "other"


def reason_of_error(error: BaseException) -> str:
    """Return why a statement failed, of any driver's exception: PostgreSQL's, MySQL's, SQLite's."""
    sqlstate = getattr(error, "sqlstate", None) or getattr(error, "pgcode", None)
    number = error.args[0] if error.args and not isinstance(error, OSError) else None
    if isinstance(number, int) and number in _MYSQL:
        return _MYSQL[number]
    if isinstance(sqlstate, str):
        return reason_of(sqlstate, ())
    named = getattr(error, "sqlite_errorname", None)
    if isinstance(named, str):
        return next((reason for name, reason in _SQLITE.items() if named.startswith(name)), "other")
    return reason_of(None, [kind.__name__ for kind in type(error).__mro__])
