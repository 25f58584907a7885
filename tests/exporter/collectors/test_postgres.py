"""The PostgreSQL collector: names of postgres_exporter, one guarded connection, statements whose sums are exact."""

import psutil
import psycopg
import pytest
from topmast_exporter.collector import Reading, load
from topmast_exporter.collectors.postgres import Config, PostgresSource
from topmast_exporter.errors import CollectError
from topmast_exporter.postgres_group import MAX_OPEN_VALUES
from topmast_exporter.postgres_queries import parse
from topmast_exporter.postgres_statements import COLUMNS, MAX_SHOWN, TOP, Statements


def activity(**changes):
    row = {
        "datname": "shop",
        "state": "active",
        "usename": "app",
        "application_name": "api",
        "backend_type": "client backend",
        "wait_event_type": None,
        "wait_event": None,
        "count": 2,
        "max_tx_duration": 1.5,
    }
    return {**row, **changes}


def test_activity_has_the_labels_of_postgres_exporter():
    reading = parse({"activity": [activity()]})

    labels = {
        "datname": "shop",
        "state": "active",
        "usename": "app",
        "application_name": "api",
        "backend_type": "client backend",
        "wait_event_type": "",
        "wait_event": "",
    }
    assert reading.value("pg_stat_activity_count", **labels) == 2
    assert reading.value("pg_stat_activity_max_tx_duration", **labels) == 1.5


def test_application_names_beyond_the_limit_are_one_series_and_no_connection_is_lost():
    rows = [activity(application_name=f"job-{number:03}", count=1) for number in range(100)]

    (family,) = [m for m in parse({"activity": rows}).metrics() if m.name == "pg_stat_activity_count"]

    assert len(family.samples) == MAX_OPEN_VALUES + 1
    assert sum(sample.value for sample in family.samples) == 100


@pytest.mark.parametrize(
    ("row", "name", "value"),
    [
        pytest.param(("max_connections", "100", None), "pg_settings_max_connections", 100.0, id="a number"),
        pytest.param(("shared_buffers", "16384", "8kB"), "pg_settings_shared_buffers_bytes", 2.0**27, id="pages"),
        pytest.param(("fsync", "on", None), "pg_settings_fsync", 1.0, id="a switch"),
    ],
)
def test_settings_are_in_base_units(row, name, value):
    reading = parse({"settings": [dict(zip(("name", "setting", "unit"), row, strict=True))]})

    assert reading.value(name) == value


def statements(*rows):
    """(queryid, calls): all other numbers follow the calls."""
    return [["app", "shop", queryid, *[calls] * len(COLUMNS)] for queryid, calls in rows]


def shown(one, rows, hidden=0):
    """Answer as the server does, whose other statements have `hidden` calls."""
    if one.least_ms is None:
        first = sorted(rows, key=lambda row: -row[3])[:TOP]
        one.rank([{"queryid": queryid, "exec_ms": calls} for _, _, queryid, calls, *_ in first])
    known, least = one.known(), one.least_ms
    asked = [row for row in rows if row[2] in known or row[3] >= least]
    total = sum(row[3] for row in rows) + hidden
    reading = Reading()
    one.read_into(reading, {"shown": asked, **{f"all_{column}": total for column in COLUMNS}})
    (family,) = [m for m in reading.metrics() if m.name == "pg_stat_statements_calls"]
    return {sample.labels["queryid"]: sample.value for sample in family.samples}


def test_statements_sum_to_the_servers_total_and_a_newcomer_takes_nothing_from_other():
    one = Statements()

    first = shown(one, statements((1, 100), (2, 50)))
    second = shown(one, statements((1, 110), (2, 50), (3, 70)))
    third = shown(one, statements((1, 110), (2, 50), (3, 75)))

    assert first == {"1": 100, "2": 50, "_other": 0}
    assert second == {"1": 110, "2": 50, "3": 0, "_other": 70}
    assert third == {"1": 110, "2": 50, "3": 5, "_other": 70}


def test_statements_are_bounded_and_what_is_not_shown_is_in_other():
    one = Statements()
    for newest in range(1, 501):  # each is the first for a while
        counted = shown(one, statements(*((queryid, queryid * 10) for queryid in range(1, newest + 1))), hidden=7)

        assert len(counted) <= MAX_SHOWN + 1
        assert sum(counted.values()) == sum(range(1, newest + 1)) * 10 + 7


def test_statements_never_fall_and_start_over_after_a_reset():
    one = Statements()
    before = shown(one, statements(*((queryid, 1_000 + queryid) for queryid in range(40))))
    shown(one, statements((38, 3), (39, 5)))

    after = shown(one, statements((38, 30), (39, 50), (77, 4)))

    assert before["39"] == 1_039
    assert (after["38"], after["39"]) == (30, 50)
    assert sum(after.values()) == 84


def test_a_statement_of_two_rows_is_shown_with_both():
    twice = [*statements((1, 100)), *statements((1, 1)), *statements(*((queryid, 50) for queryid in range(2, 30)))]

    assert shown(Statements(), twice)["1"] == 101


def test_a_newcomer_of_two_rows_takes_neither_from_other():
    one, rest = Statements(), statements(*((queryid, 50) for queryid in range(2, 40)))
    shown(one, rest)
    both = [*statements((99, 500)), *statements((99, 1)), *rest]

    counted = [
        shown(one, both).get("99"),
        shown(one, both).get("99"),
        shown(one, [*both, *statements((99, 3))])["99"],
    ]

    assert counted == [None, 0, 3]


@pytest.fixture
def source(postgres):
    source = PostgresSource(Config(target="main", dsn=postgres, timeout_seconds=2.0))
    yield source
    source.close()


def test_a_real_server_is_read_whole(postgres, source):
    with psycopg.connect(postgres, autocommit=True) as connection:
        connection.execute("CREATE TABLE IF NOT EXISTS orders (id int)")
        connection.execute("INSERT INTO orders VALUES (1)")

    reading = source.collect()

    assert reading.refused == {}
    assert reading.value("pg_settings_max_connections") == 100
    assert reading.value("pg_replication_lag_seconds") == 0
    assert reading.value("pg_database_size_bytes", datname="postgres") > 1e6
    assert {
        "pg_stat_activity_count",
        "pg_stat_activity_max_tx_duration",
        "pg_stat_database_xact_commit",
        "pg_stat_database_deadlocks",
        "pg_locks_count",
        "pg_stat_user_tables_n_live_tup",
        "pg_stat_bgwriter_checkpoints_timed",
        "pg_stat_statements_calls",
    } <= {metric.name for metric in reading.metrics()}


def test_the_session_cannot_write_and_gives_up_early(source):
    source.collect()

    with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
        source._session.query("CREATE TABLE forbidden (id int)")
    asked = {
        name: source._session.query(f"SHOW {name}")[0][0][name]
        for name in ("statement_timeout", "lock_timeout", "jit")
    }
    assert asked == {"statement_timeout": "2s", "lock_timeout": "100ms", "jit": "off"}


def test_a_frozen_server_is_a_timeout_and_one_connection_is_held(postgres, postgres_server):
    source = PostgresSource(Config(target="main", dsn=postgres, timeout_seconds=0.5))
    source.collect()

    with postgres_server.frozen(), pytest.raises(CollectError) as refused:
        source.collect()
    source.collect()

    assert refused.value.reason == "timeout"
    held = "SELECT count(*) AS n FROM pg_stat_activity WHERE application_name = 'topmast-exporter'"
    with psycopg.connect(postgres) as connection:
        found = connection.execute(held).fetchone()
    source.close()
    assert found is not None and found[0] <= 2  # ours, and for a moment the one the server has yet to notice


def test_a_server_that_stays_frozen_is_held_by_one_connection_at_the_most(postgres, postgres_server):
    source = PostgresSource(Config(target="main", dsn=postgres, timeout_seconds=0.3))
    source.collect()
    held, failures = [], []

    with postgres_server.frozen():
        for _ in range(4):
            with pytest.raises(CollectError) as refused:
                source.collect()
            failures.append(refused)  # whoever keeps what was raised keeps no socket
            connections = psutil.Process().net_connections("tcp")
            held.append(sum(bool(one.raddr) and one.raddr.port == postgres_server.port for one in connections))

    assert held == [0, 0, 0, 0]
    assert {one.value.reason for one in failures} == {"timeout"}


def test_a_lesser_role_loses_what_it_may_not_read_and_keeps_the_rest(postgres):
    with psycopg.connect(postgres, autocommit=True) as connection:
        connection.execute("DROP ROLE IF EXISTS lesser")
        connection.execute("CREATE ROLE lesser LOGIN")
        connection.execute("REVOKE EXECUTE ON FUNCTION pg_stat_statements(boolean) FROM PUBLIC")
    source = PostgresSource(Config(target="main", dsn=postgres.replace("user=postgres", "user=lesser")))

    reading = source.collect()

    source.close()
    with psycopg.connect(postgres, autocommit=True) as connection:
        connection.execute("GRANT EXECUTE ON FUNCTION pg_stat_statements(boolean) TO PUBLIC")
    assert {what: reason for what, (reason, _) in reading.refused.items()} == {"pg_stat_statements": "permission"}
    assert reading.value("pg_settings_max_connections") == 100


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        pytest.param(("user=postgres", "user=nobody-there"), "authentication", id="an unknown role"),
        pytest.param(("host=127.0.0.1", "host=127.0.0.1 sslmode=require"), "connection", id="no TLS there"),
    ],
)
def test_a_refused_connection_has_a_reason(postgres, change, reason):
    source = PostgresSource(Config(target="main", dsn=postgres.replace(*change)))

    with pytest.raises(CollectError) as refused:
        source.collect()

    assert refused.value.reason == reason


def test_the_module_ends_in_its_constant():
    assert load("postgres").up == "pg_up"
