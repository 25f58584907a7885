"""`topmast logs`: what a person and a script see."""

import json
import os
import sqlite3
import time
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from nobody import as_nobody
from topmast.cli import topmast
from topmast.commands.logs import newer, recent
from topmast.errors import StateError
from topmast.layout import Layout
from topmast.logprint import harmless, one_line
from topmast.logsearch import Search
from topmast_shipper.sinks.sqlite import Config, SqliteSink
from topmast_shipper.store import parts
from topmast_shipper.testing import event


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return tmp_path / "state"


@pytest.fixture
def sink(state: Path) -> Iterator[SqliteSink]:
    sink = SqliteSink(Config(Layout(Path(), state).log_store))
    yield sink
    sink.close()


def stored(sink: SqliteSink, number: int, minutes_ago: float = 0, **fields: Any) -> None:
    moment = datetime.now(UTC) - timedelta(minutes=minutes_ago)
    sink.send([event(number, read_at=time.time(), **{"@timestamp": moment.isoformat()}, **fields)])


def logs(state: Path, *arguments: str) -> Result:
    return CliRunner().invoke(topmast, ["--state", str(state), "logs", *arguments])


def everything(state: Path) -> Search:
    return Search(Layout(Path(), state).log_store, "", pytest.fail)


def messages(result: Result) -> list[str]:
    return [json.loads(line)["message"] for line in result.stdout.splitlines()]


@pytest.fixture
def filled(sink: SqliteSink) -> None:
    stored(sink, 0, 120, message="two hours ago")
    stored(sink, 1, 10, message="checkout failed", level="error", status=500, **{"error.type": "KeyError"})
    stored(sink, 2, 1, message="checkout paid", service="cart")


@pytest.mark.usefixtures("filled")
class TestLogs:
    def test_the_newest_is_last(self, state: Path) -> None:
        assert messages(logs(state, "--json")) == ["two hours ago", "checkout failed", "checkout paid"]

    def test_words_need_no_quotes(self, state: Path) -> None:
        assert messages(logs(state, "--json", "level:error", "checkout")) == ["checkout failed"]
        assert messages(logs(state, "--json", "level:error checkout")) == ["checkout failed"]

    def test_the_limit_keeps_the_newest(self, state: Path) -> None:
        assert messages(logs(state, "--json", "--limit", "1")) == ["checkout paid"]

    @pytest.mark.parametrize(
        ("options", "expected"),
        [
            pytest.param(("--since", "1h"), ["checkout failed", "checkout paid"], id="an hour"),
            pytest.param(("--since", "5m"), ["checkout paid"], id="minutes"),
            pytest.param(("--until", "1h"), ["two hours ago"], id="up to an hour ago"),
            pytest.param(("--since", "1d", "--until", "5m"), ["two hours ago", "checkout failed"], id="both"),
            pytest.param(("--since", "2099-01-01"), [], id="a date"),
            pytest.param(("--service", "cart"), ["checkout paid"], id="a service"),
            pytest.param(("--service", "cart", "failed"), [], id="a service and a word"),
        ],
    )
    def test_options(self, state: Path, options: tuple[str, ...], expected: list[str]) -> None:
        assert messages(logs(state, "--json", *options)) == expected

    def test_count(self, state: Path) -> None:
        assert logs(state, "--count", "checkout").stdout == "2\n"
        assert json.loads(logs(state, "--count", "--json").stdout) == {"count": 3}

    def test_a_line_for_people(self, state: Path) -> None:
        shown = logs(state, "level:error").stdout

        assert shown.count("\n") == 1
        assert " ERROR    shop         checkout failed status=500 error=KeyError" in shown

    def test_a_broken_query_shows_where(self, state: Path) -> None:
        result = logs(state, "a (b")

        assert result.exit_code == 2
        assert result.stderr == "topmast logs: this parenthesis is never closed\n  a (b\n    ^\n"
        assert result.stdout == ""

    def test_a_time_that_is_none_is_refused(self, state: Path) -> None:
        result = logs(state, "--since", "yesterday")

        assert result.exit_code == 2
        assert "'yesterday': 90s, 15m, 2h, 7d" in result.stderr

    @pytest.mark.parametrize(
        "moment",
        ["999999d", "99999999999d", f"{10**400}d", "0001-01-01", "9999-12-31T23:59:59.999999-01:00", "1970-01-01"],
        ids=lambda moment: moment[:20],
    )
    @pytest.mark.parametrize("option", ["--since", "--until"])
    def test_a_time_beyond_the_years_is_refused(self, state: Path, option: str, moment: str) -> None:
        result = logs(state, option, moment)

        assert result.exit_code == 2
        assert "a time of the years 1971 to 2999" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        pytest.param("--csv --json", "--csv or --json: one of them", id="two forms"),
        pytest.param("--count --top level", "--count or --top: one of them", id="two answers"),
        pytest.param("--count --histogram --patterns", "--count or --histogram or --patterns: one", id="three"),
        pytest.param("-f --count", "--count makes nothing of --follow: leave out one", id="a number for ever"),
        pytest.param("--count --csv", "--count makes nothing of --csv", id="a number as rows"),
        pytest.param("--top level --limit 5", "--top makes nothing of --limit", id="a limit"),
        pytest.param("--histogram -C 1 --fields a", "--histogram makes nothing of --context and --fields", id="two"),
        pytest.param("-f --until 1h", "--follow goes on without end: leave out --until", id="an end of following"),
        pytest.param("--top=", "--top is empty: name a field, or leave it out", id="no field"),
        pytest.param("--fields=,", "--fields is empty: name fields, such as time,message", id="no fields"),
        pytest.param("--service=", "--service is empty: name a service", id="no service"),
        pytest.param("--trace=", "--trace is empty: name a trace", id="no trace"),
    ],
)
def test_what_would_be_ignored_is_refused(state: Path, arguments: str, said: str) -> None:
    result = logs(state, *arguments.split())

    assert (result.exit_code, result.stdout) == (2, "")
    assert said in result.stderr


WAYS = [
    pytest.param(("--json",), id="lines"),
    pytest.param(("--json", "-C", "2"), id="context"),
    pytest.param(("--count",), id="count"),
    pytest.param(("--histogram",), id="histogram"),
    pytest.param(("--top", "message"), id="top"),
    pytest.param(("--patterns",), id="patterns"),
]


@pytest.mark.usefixtures("filled")
@pytest.mark.parametrize("options", WAYS)
class TestUnreadable:
    """Whose store it is not, and what is no store."""

    def test_a_store_of_another_user_is_told_with_the_remedy(self, state: Path, options: tuple[str, ...]) -> None:
        store = Layout(Path(), state).log_store
        for folder in (state, *state.parents[:4]):
            folder.chmod(0o755)
        if os.geteuid() == 0:
            os.chown(store, 12345, 12345)
        store.chmod(0)
        try:
            with as_nobody():
                result = logs(state, *options)
        finally:
            store.chmod(0o700)

        assert isinstance(result.exception, StateError), result.exception
        assert f"{store}: no permission to read it; it belongs to " in str(result.exception)

    def test_a_damaged_day_is_told_once_and_the_others_answer(self, state: Path, options: tuple[str, ...]) -> None:
        damaged = Layout(Path(), state).log_store / "2026-01-02.sqlite"
        before = logs(state, *options).stdout
        damaged.write_text("x\n" * 512)

        result = logs(state, *options)

        assert result.exit_code == 73
        assert result.stderr.endswith(f"left out: {damaged}: file is not a database: no log store; move it away\n")
        assert result.stderr.count("\n") == 1
        assert result.stdout == before


def test_a_database_of_others_is_no_log_store(state: Path, sink: SqliteSink) -> None:
    stored(sink, 0, message="ours")
    foreign = Layout(Path(), state).log_store / "2026-01-02.sqlite"
    with closing(sqlite3.connect(foreign)) as connection:
        connection.execute("CREATE TABLE events(n)")

    result = logs(state, "--json")

    assert messages(result) == ["ours"]
    assert f"left out: {foreign}: format 0, not 1: no log store; move it away" in result.stderr


def test_a_page_that_is_damaged_costs_its_day_only(state: Path) -> None:
    store = Layout(Path(), state).log_store
    with closing(SqliteSink(Config(store))) as sink:
        stored(sink, 0, 3 * 1440, message="damaged " + "x" * 100_000)
        stored(sink, 1, message="well")
    path = parts(store)[0].path
    size = path.stat().st_size
    with path.open("r+b") as file:
        file.seek(size // 2)
        file.write(b"\xff" * (size // 2))

    result = logs(state, "--json")

    assert messages(result) == ["well"]
    assert (
        f"left out: {path}: database disk image is malformed; move it away, `sqlite3 FILE .recover`" in result.stderr
    )


def test_no_store_says_what_to_do(state: Path) -> None:
    result = logs(state)

    assert result.exit_code == 0
    assert "no logs in" in result.stderr


def test_following_yields_what_is_stored_from_now_on_each_once(state: Path, sink: SqliteSink) -> None:
    search = everything(state)
    stored(sink, 0, message="before")
    seen = recent(search)
    stored(sink, 1, message="one")
    stored(sink, 2, 0.2, message="late")

    found = [each["message"] for each in islice(newer(search, seen), 2)]
    stored(sink, 3, message="two")
    found += [each["message"] for each in islice(newer(search, seen), 1)]

    assert found == ["late", "one", "two"]


def test_following_waits_for_a_store(state: Path) -> None:
    assert recent(everything(state)) == OrderedDict()


def test_no_log_line_drives_a_terminal() -> None:
    assert harmless("a\x1b[31m\nb\x00ä") == r"a\x1b[31m\nb\x00ä"


def test_a_stack_is_told_by_its_last_line() -> None:
    document = {"message": "no", "error": {"type": "KeyError", "stack_trace": "Traceback\n  x\nKeyError: 'a'\n"}}

    assert one_line(document).endswith("no error=KeyError | KeyError: 'a'")


class TestWays:
    """What `topmast logs` does with what it finds."""

    @pytest.fixture(autouse=True)
    def _trace(self, sink: SqliteSink) -> None:
        for number in range(6):
            failed = {"level": "error"} if number == 3 else {}
            stored(
                sink, number, 20 - number, message=f"step {number} of 6", **{"trace.id": f"t{number // 3}"}, **failed
            )

    def test_context_is_around_a_match_and_nothing_comes_twice(self, state: Path) -> None:
        assert messages(logs(state, "level:error", "-C", "1", "--json")) == [f"step {n} of 6" for n in (2, 3, 4)]
        assert messages(logs(state, "step", "-C", "2", "--json")) == [f"step {n} of 6" for n in range(6)]

    def test_a_trace(self, state: Path) -> None:
        assert messages(logs(state, "--trace", "t1", "--json")) == [f"step {n} of 6" for n in (3, 4, 5)]
        assert messages(logs(state, "level:error", "--trace", "t0", "--json")) == []

    def test_fields(self, state: Path) -> None:
        told = logs(state, "level:error", "--fields", "trace, level,nothing", "--json").stdout

        assert json.loads(told) == {"trace.id": "t1", "log.level": "error"}
        assert logs(state, "level:error", "--fields", "message,level").stdout == "step 3 of 6  error\n"

    def test_csv(self, state: Path) -> None:
        told = logs(state, "level:error", "--csv", "--fields", "level,message").stdout

        assert told == "log.level,message\nerror,step 3 of 6\n"

    def test_a_formula_in_csv_is_text(self, state: Path, sink: SqliteSink) -> None:
        stored(sink, 9, message='=cmd|"x",y')

        assert logs(state, "cmd", "--csv", "--fields", "message").stdout.splitlines()[1] == '"\'=cmd|""x"",y"'

    def test_a_histogram(self, state: Path) -> None:
        told = json.loads(logs(state, "--histogram", "--json").stdout)
        shown = logs(state, "--histogram").stdout.splitlines()

        assert sum(each["count"] for each in told["buckets"]) == 6
        assert sum(int(line.split()[2]) for line in shown) == 6
        assert logs(state, "nothing", "--histogram").stdout == "nothing matches\n"

    def test_the_most_frequent_values(self, state: Path) -> None:
        assert logs(state, "--top", "level").stdout.split() == ["5", "info", "1", "error"]
        assert json.loads(logs(state, "--top", "trace", "--json").stdout)["values"] == [
            {"value": "t0", "count": 3},
            {"value": "t1", "count": 3},
        ]

    def test_patterns(self, state: Path, sink: SqliteSink) -> None:
        stored(sink, 10, message="worker 7 is up")

        (first, second) = json.loads(logs(state, "--patterns", "--json").stdout)["patterns"]
        assert (first["template"], first["count"], first["levels"]) == ("step <*> of <*>", 6, {"info": 5, "error": 1})
        assert second["template"] == "worker <*> is up"
        assert "        6  INFO     step <*> of <*>" in logs(state, "--patterns").stdout
