"""Several questions to one PostgreSQL session, on a real server."""

import psycopg
import pytest
from psycopg.rows import dict_row
from topmast_exporter.postgres_session import Session

QUESTIONS = {
    "one": "SELECT 1 AS n",
    "two": "SELECT n FROM generate_series(1, 3) AS n",
    "none": "SELECT 1 AS n LIMIT 0",
}
ANSWERS = {"one": [{"n": 1}], "two": [{"n": 1}, {"n": 2}, {"n": 3}], "none": []}


class Counting:
    """Passes everything on to a connection, and remembers what it was told to execute."""

    def __init__(self, connection):
        self._connection = connection
        self.executed = []

    def __getattr__(self, name):
        return getattr(self._connection, name)

    def execute(self, sql):
        self.executed.append(sql)
        return self._connection.execute(sql)

    def cursor(self):
        counting, cursor = self, self._connection.cursor()

        class Cursor:
            def __enter__(self):
                return self

            def __exit__(self, *_):
                cursor.close()

            def __getattr__(self, name):
                return getattr(cursor, name)

            def execute(self, sql):
                counting.executed.append(sql)
                return cursor.execute(sql)

        return Cursor()


@pytest.fixture
def connection(postgres):
    with psycopg.connect(postgres, autocommit=True, row_factory=dict_row) as one:
        one.prepare_threshold = None
        yield Counting(one)


def test_each_question_has_its_answer_and_the_second_time_takes_one_round_trip(connection):
    session = Session(connection)

    first = session.ask(QUESTIONS)
    connection.executed.clear()
    second = session.ask(QUESTIONS)

    assert first == second == ANSWERS
    assert len(connection.executed) == 1


def test_a_question_that_is_refused_takes_no_other_with_it_and_is_asked_again_alone(connection, postgres):
    connection.execute("SET lock_timeout = '50ms'")
    session = Session(connection)
    with psycopg.connect(postgres, autocommit=True) as other:
        other.execute("CREATE TABLE IF NOT EXISTS locked_away (n int)")
    questions = {**QUESTIONS, "held": "SELECT n FROM locked_away"}
    session.ask(questions)

    with psycopg.connect(postgres) as other:
        other.execute("LOCK TABLE locked_away IN ACCESS EXCLUSIVE MODE")
        meanwhile = session.ask(questions)
        other.rollback()
    connection.executed.clear()
    afterwards = session.ask(questions)

    refused = meanwhile.pop("held")
    assert isinstance(refused, psycopg.errors.LockNotAvailable)
    assert meanwhile == ANSWERS
    assert afterwards == {**ANSWERS, "held": []}
    assert len(connection.executed) == 2


def test_what_may_not_be_read_is_refused_and_the_rest_is_answered(postgres):
    with psycopg.connect(postgres, autocommit=True) as owner:
        owner.execute("DROP ROLE IF EXISTS poorer")
        owner.execute("CREATE ROLE poorer LOGIN")
    dsn = postgres.replace("user=postgres", "user=poorer")
    with psycopg.connect(dsn, autocommit=True, row_factory=dict_row) as one:
        answers = Session(one).ask({**QUESTIONS, "secret": "SELECT rolpassword FROM pg_authid"})

    refused = answers.pop("secret")
    assert isinstance(refused, psycopg.errors.InsufficientPrivilege)
    assert answers == ANSWERS


@pytest.mark.parametrize(
    ("asked_before", "other_session"),
    [
        pytest.param(QUESTIONS, "DEALLOCATE ALL", id="one that has prepared nothing"),
        pytest.param({}, "PREPARE topmast_one AS SELECT 7 AS other", id="one that another exporter has used"),
    ],
)
def test_behind_a_pooler_that_changes_the_session_the_answers_are_the_same(connection, asked_before, other_session):
    session = Session(connection)
    session.ask(asked_before)
    connection.execute(other_session)

    assert session.ask(QUESTIONS) == ANSWERS
    connection.executed.clear()
    assert session.ask(QUESTIONS) == ANSWERS
    assert len(connection.executed) == 1


def test_an_error_that_is_no_refusal_is_raised(connection):
    with pytest.raises(psycopg.errors.UndefinedTable):
        Session(connection).ask({**QUESTIONS, "wrong": "SELECT * FROM nowhere"})
