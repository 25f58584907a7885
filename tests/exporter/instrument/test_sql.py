import pytest
from topmast_exporter.instrument.sql import operation_of, reason_of


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
