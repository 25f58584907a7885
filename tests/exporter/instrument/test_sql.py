import sqlite3

import pytest
from topmast_exporter.instrument.sql import operation_of, reason_of, reason_of_error


@pytest.mark.parametrize(
    ("statement", "operation"),
    [
        ("SELECT 1", "select"),
        ("  \n -- a comment\n /* another\n one */ (select 1)", "select"),
        ("insert into a values (1)", "insert"),
        ("Update a set b = 1", "update"),
        ("DELETE FROM a", "delete"),
        ("WITH x AS (SELECT 1) SELECT * FROM x", "select"),
        ("WITH x AS (DELETE FROM a RETURNING *) SELECT * FROM x", "delete"),
        ("with x as (select 1) insert into a select * from x", "insert"),
        ("VALUES (1)", "select"),
        ("BEGIN", "other"),
        ("", "other"),
        ("/* never closed", "other"),
        ("(" * 5_000, "other"),
    ],
)
def test_a_statement_is_of_a_kind(statement: str, operation: str) -> None:
    assert operation_of(statement) == operation


@pytest.mark.parametrize(
    ("sqlstate", "names", "reason"),
    [
        ("57014", [], "timeout"),
        ("40P01", [], "deadlock"),
        ("40001", [], "serialization"),
        ("23505", [], "constraint"),
        ("42601", [], "syntax"),
        ("42501", [], "permission"),
        ("08006", [], "connection"),
        ("57P01", [], "connection"),
        ("XX000", [], "other"),
        (None, ["OperationalError", "Error"], "connection"),
        (None, ["PoolTimeout", "OperationalError"], "timeout"),
        (None, ["ProgrammingError"], "syntax"),
        (None, ["KeyError"], "other"),
    ],
)
def test_a_failure_has_a_reason(sqlstate: str | None, names: list[str], reason: str) -> None:
    assert reason_of(sqlstate, names) == reason


class DriverError(Exception):
    """As MySQL's drivers raise them: (number, message); as psycopg2 does: pgcode."""

    def __init__(self, *args: object, **about: object) -> None:
        super().__init__(*args)
        self.__dict__.update(about)


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        pytest.param(DriverError(1213, "Deadlock found"), "deadlock", id="mysql"),
        pytest.param(DriverError(1205, "Lock wait timeout", sqlstate="HY000"), "timeout", id="mysql-connector"),
        pytest.param(DriverError("canceling", pgcode="57014"), "timeout", id="psycopg2"),
        pytest.param(DriverError("locked", sqlite_errorname="SQLITE_BUSY_SNAPSHOT"), "timeout", id="sqlite"),
        pytest.param(DriverError("odd", sqlite_errorname="SQLITE_NOLFS"), "other", id="sqlite, rare"),
        pytest.param(sqlite3.IntegrityError("UNIQUE"), "constraint", id="by its class"),
        pytest.param(ConnectionRefusedError(1205, "a system's number is no server's"), "connection", id="system"),
        pytest.param(TimeoutError(), "timeout", id="timeout"),
    ],
)
def test_an_error_of_any_driver_has_a_reason(error: Exception, reason: str) -> None:
    assert reason_of_error(error) == reason
