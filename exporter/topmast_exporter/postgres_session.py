"""Several questions to one PostgreSQL session: prepared, and asked in one round trip.

Most of what the statistics views cost is planning them anew: a dozen questions one by one take 5.8 ms, prepared and
together 1.5. Where one is refused all are asked one by one, and that one stays alone.
"""

import contextlib
from collections.abc import Mapping
from typing import Any

import psycopg
from psycopg import errors

from topmast_exporter.postgres_group import Row

MAX_ROWS = 10_000

Answer = list[Row] | psycopg.Error
"""The rows, or why this question was refused."""

# The connection is good after these, and the other questions are not the poorer for it.
_REFUSED = (errors.InsufficientPrivilege, errors.LockNotAvailable)
# A pooler gave us another session than the one that prepared.
_POOLED = (errors.InvalidSqlStatementName, errors.DuplicatePreparedStatement)


class Session:
    """One connection in autocommit mode, whose rows are dicts."""

    def __init__(self, connection: Any) -> None:
        self.connection = connection
        self._prepared: set[str] = set()
        self._alone: set[str] = set()
        self._prepares = True

    def ask(self, questions: Mapping[str, str]) -> dict[str, Answer]:
        """Return the answer to each question (SQL without a semicolon) by its name, which always asks the same.

        They run in one transaction: a lock that one takes is held until the last is answered. Raises psycopg.Error
        and TimeoutError for what ends the connection.
        """
        answers: dict[str, Answer] = {}
        if together := [name for name in questions if name not in self._alone]:
            with contextlib.suppress(*_REFUSED):  # one of them: the server does not say which
                answers.update(zip(together, self._together(together, questions), strict=True))
        for name, sql in questions.items():
            if name not in answers:
                try:
                    (answers[name],) = self.query(sql)
                except _REFUSED as error:
                    answers[name] = error
                    self._alone.add(name)
        return answers

    def query(self, sql: str) -> list[list[Row]]:
        """Return the rows of each of the statements."""
        with self.connection.cursor() as cursor:
            cursor.execute(sql)
            found = [cursor.fetchmany(MAX_ROWS)]
            while cursor.nextset():
                found.append(cursor.fetchmany(MAX_ROWS))
            return found

    def _together(self, names: list[str], questions: Mapping[str, str]) -> list[list[Row]]:
        if self._prepares:
            try:
                for name in names:
                    if name not in self._prepared:
                        self.connection.execute(f"PREPARE topmast_{name} AS {questions[name]}")
                        self._prepared.add(name)
                return self.query("; ".join(f"EXECUTE topmast_{name}" for name in names))
            except _POOLED:
                self._prepares = False
        return self.query("; ".join(questions[name] for name in names))
