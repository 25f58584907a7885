"""What becomes of each series of the field's own exporter."""

import pytest
from topmast.parity import Difference, Explanation, compare, read

SERIES = ("redis_thing", frozenset({("db", "0")}))


@pytest.mark.parametrize(
    ("before", "theirs", "after", "equal"),
    [
        pytest.param(1, 1, 1, True, id="stands"),
        pytest.param(1, 2, 1, False, id="stands elsewhere"),
        pytest.param(1e9, 1e9 + 5, 1e9, False, id="stands beside it"),
        pytest.param(10, 12, 14, True, id="moves through it"),
        pytest.param(14, 12, 10, True, id="falls through it"),
        pytest.param(10, 20, 14, False, id="moves elsewhere"),
    ],
)
def test_a_value_lies_where_ours_was_before_and_after(
    before: float, theirs: float, after: float, equal: bool
) -> None:
    compared = compare("redis", {SERIES: before}, {SERIES: theirs}, {SERIES: after}, [])

    assert (len(compared.equal), len(compared.unexplained)) == ((1, 0) if equal else (0, 1))


def test_a_series_that_ours_lacks_is_explained_only_by_its_own_server_name_and_labels() -> None:
    reasons = [
        Explanation("mysql", "redis_.*", "another server"),
        Explanation("redis", "redis_thin", "half a name"),
        Explanation("redis", "redis_thing", "another database", (("db", "1"),)),
    ]
    fitting = Explanation("redis", "redis_thin.*", "a reason", (("db", "0"),))

    without = compare("redis", {}, {SERIES: 1}, {}, reasons)
    explained = compare("redis", {}, {SERIES: 1}, {}, [*reasons, fitting])

    difference = Difference(SERIES, 1, None)
    assert (without.explained, without.unexplained) == ([], [difference])
    assert (explained.explained, explained.unexplained) == ([(difference, fitting)], [])
    assert str(difference) == 'redis_thing{db="0"}: theirs 1, ours absent'


@pytest.mark.parametrize(
    ("explanation", "stale"),
    [
        pytest.param(Explanation("redis", "redis_thing", "a reason"), [], id="explains"),
        pytest.param(Explanation("redis", "redis_(thing|gone)", "a reason"), ["redis_gone"], id="one half does"),
        pytest.param(
            Explanation("redis", "redis_(old_|)(thing|gone)", "a reason"),
            ["redis_old_thing", "redis_old_gone", "redis_gone"],
            id="one of four does",
        ),
        pytest.param(Explanation("redis", "redis_(old)?thing", "a reason"), [], id="an optional part is no half"),
        pytest.param(Explanation("redis", "redis_gone", "a reason"), ["redis_gone"], id="explains nothing"),
        pytest.param(Explanation("redis", "redis_gone", "a reason", sometimes=True), [], id="hangs on the moment"),
        pytest.param(Explanation("mysql", "mysql_gone", "a reason"), [], id="of a server that was not read"),
    ],
)
def test_an_explanation_that_explains_nothing_any_more_is_stale(explanation: Explanation, stale: list[str]) -> None:
    assert compare("redis", {}, {SERIES: 1}, {}, [explanation]).stale == stale


def test_what_an_exporter_says_of_itself_is_no_series_of_the_server() -> None:
    theirs = read("# TYPE go_threads gauge\ngo_threads 7\nredis_exporter_scrapes_total 1\nredis_up 1\n")

    compared = compare("redis", {}, theirs, {}, [])

    assert [difference.series[0] for difference in compared.unexplained] == ["redis_up"]


def test_a_counter_of_an_old_exporter_keeps_its_name() -> None:
    assert read('# TYPE pg_stat_database_xact_commit counter\npg_stat_database_xact_commit{a="b"} 3\n') == {
        ("pg_stat_database_xact_commit", frozenset({("a", "b")})): 3
    }
