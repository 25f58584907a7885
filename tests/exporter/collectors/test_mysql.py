"""The mysql collector: what the server says under mysqld_exporter's names, and a real MariaDB of Debian's."""

import contextlib
import datetime
import socket
import threading

import pymysql
import pytest
import trustme
from topmast_exporter.collector import Reading
from topmast_exporter.collectors import mysql
from topmast_exporter.collectors.mysql import Answers, Config, MysqlSource, parse
from topmast_exporter.errors import CollectError
from topmast_exporter.mysql_digests import COLUMNS, MAX_SHOWN, Digests


@pytest.mark.parametrize(
    ("row", "name", "labels", "value"),
    [
        pytest.param(("Threads_connected", "3"), "mysql_global_status_threads_connected", {}, 3, id="plain"),
        pytest.param(
            ("Com_select", "7"), "mysql_global_status_commands_total", {"command": "select"}, 7, id="command"
        ),
        pytest.param(
            ("Handler_read_key", "1"), "mysql_global_status_handlers_total", {"handler": "read_key"}, 1, id="handler"
        ),
        pytest.param(
            ("Innodb_buffer_pool_pages_dirty", "2"),
            "mysql_global_status_buffer_pool_pages",
            {"state": "dirty"},
            2,
            id="pages",
        ),
        pytest.param(
            ("Innodb_buffer_pool_pages_flushed", "4"),
            "mysql_global_status_buffer_pool_page_changes_total",
            {"operation": "flushed"},
            4,
            id="page changes",
        ),
        pytest.param(("Ssl_ok", "ON"), "mysql_global_status_ssl_ok", {}, 1, id="on"),
        pytest.param(("Last_query_cost", "0.000000"), "mysql_global_status_last_query_cost", {}, 0, id="fraction"),
        pytest.param(("Rsa_public_key", ""), "mysql_global_status_rsa_public_key", {}, None, id="empty"),
        pytest.param(("Ssl_version", "1_0"), "mysql_global_status_ssl_version", {}, None, id="no number"),
    ],
)
def test_status_becomes_the_names_of_mysqld_exporter(row, name, labels, value):
    assert parse(Answers(status=[row])).value(name, **labels) == value


def test_a_replica_of_mysql_8_4_has_the_names_that_rules_read():
    row = {"Source_Host": "db1", "Replica_IO_Running": "Connecting", "Seconds_Behind_Source": "5", "Channel_Name": ""}

    reading = parse(Answers(status=[("Uptime", "1")], replication=[row]))

    labels = {"master_host": "db1", "master_uuid": "", "channel_name": "", "connection_name": ""}
    assert reading.value("mysql_slave_status_slave_io_running", **labels) == 0
    assert reading.value("mysql_slave_status_seconds_behind_master", **labels) == 5


def test_without_a_status_it_is_no_answer():
    with pytest.raises(CollectError, match="no rows") as error:
        parse(Answers())

    assert error.value.reason == "protocol"


def digest(name, count, schema="shop"):
    return {"schema_name": schema, "digest": name, **dict.fromkeys(COLUMNS, 0), "count_star": count}


def test_digests_sum_to_the_servers_total_and_a_newcomer_takes_nothing_from_other():
    digests = Digests()
    digests.read_into(Reading(), [digest("_other", 10, ""), digest("a" * 32, 6)])
    reading = Reading()

    digests.read_into(reading, [digest("_other", 20, ""), digest("a" * 32, 8), digest("b" * 32, 9)])

    (family,) = [
        one for one in reading.metrics() if one.samples[0].name == "mysql_perf_schema_events_statements_total"
    ]
    found = {sample.labels["digest"][0]: sample.value for sample in family.samples}
    assert found == {"a": 8, "b": 0, "_": 12}


# --- a real MariaDB ---------------------------------------------------------------------------------------------


@pytest.fixture
def source(mariadb_server):
    one = MysqlSource(Config(target="db", port=mariadb_server.port, user="root", timeout_seconds=2.0))
    yield one
    one.close()


@contextlib.contextmanager
def root(server):
    connection = pymysql.connect(host="127.0.0.1", port=server.port, user="root", autocommit=True)
    with connection, connection.cursor() as cursor:
        yield cursor


@pytest.mark.live
def test_a_real_server_is_read_whole(source):
    reading = source.collect()

    assert reading.refused == {}
    assert reading.value("mysql_global_variables_max_connections") == 151
    assert reading.value("mysql_global_status_threads_connected") >= 1
    assert reading.value("topmast_mysql_oldest_transaction_seconds") == 0
    assert len(reading.metrics()) > 500


@pytest.mark.live
def test_the_grants_are_enough_and_a_lesser_user_loses_only_what_it_may_not_read(mariadb_server, tmp_path):
    password = tmp_path / "password"
    password.write_text("s3cret\n")
    with root(mariadb_server) as cursor:
        for statement in (*mysql.GRANTS, *mysql.GRANTS_MARIADB):
            cursor.execute(statement.format(account="'watch'@'127.0.0.1'"))
        cursor.execute("ALTER USER 'watch'@'127.0.0.1' IDENTIFIED BY 's3cret'")
        cursor.execute("CREATE OR REPLACE USER 'lesser'@'127.0.0.1' IDENTIFIED BY 's3cret'")
    options = {"target": "db", "port": mariadb_server.port, "password_file": str(password)}
    with contextlib.closing(MysqlSource(Config(user="watch", **options))) as enough:
        assert enough.collect().refused == {}
    with contextlib.closing(MysqlSource(Config(user="lesser", **options))) as lesser:
        reading = lesser.collect()

    assert {what: reason for what, (reason, _) in reading.refused.items()} == dict.fromkeys(
        ("replication", "innodb_cmp", "innodb_cmpmem", "innodb_trx", "digests"), "permission"
    )
    assert reading.value("mysql_global_status_uptime") is not None


@pytest.mark.live
def test_the_top_digests_of_a_real_server_sum_to_its_own_total(start_mariadb):
    server = start_mariadb("--performance-schema=ON")
    with root(server) as cursor:
        for number in range(60):
            cursor.execute(f"SELECT {number} AS a{number}")
    with contextlib.closing(MysqlSource(Config("db", port=server.port, user="root"))) as source:
        source.collect()
        with root(server) as cursor:
            cursor.execute("SELECT sum(count_star) FROM performance_schema.events_statements_summary_by_digest")
            (before,) = cursor.fetchone()
            reading = source.collect()
            cursor.execute("SELECT sum(count_star) FROM performance_schema.events_statements_summary_by_digest")
            (after,) = cursor.fetchone()

    counted = [
        sample
        for metric in reading.metrics()
        for sample in metric.samples
        if sample.name == "mysql_perf_schema_events_statements_total"
    ]
    assert reading.refused == {}
    assert before <= sum(sample.value for sample in counted) <= after
    assert len(counted) <= MAX_SHOWN + 1
    assert "_other" in {sample.labels["digest"] for sample in counted}


@pytest.mark.live
@pytest.mark.parametrize("good", [pytest.param(True, id="valid"), pytest.param(False, id="expired")])
def test_an_own_authority_is_trusted_and_an_expired_certificate_is_said(start_mariadb, tmp_path, good):
    authority = trustme.CA()
    yesterday = datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=1)
    pair = authority.issue_cert("localhost", "127.0.0.1", not_after=None if good else yesterday)
    folder = tmp_path / "tls"
    folder.mkdir()
    pair.cert_chain_pems[0].write_to_path(folder / "cert.pem")
    pair.private_key_pem.write_to_path(folder / "key.pem")
    authority.cert_pem.write_to_path(folder / "ca.pem")
    for path in (folder, *folder.iterdir()):
        path.chmod(0o755)
    for parent in folder.parents[:4]:  # the server runs as nobody, where the tests run as root
        if (mode := parent.stat().st_mode) & 0o055 != 0o055:
            parent.chmod(mode | 0o055)
    server = start_mariadb(f"--ssl-cert={folder}/cert.pem", f"--ssl-key={folder}/key.pem")
    config = Config("db", port=server.port, user="root", ca_file=str(folder / "ca.pem"))

    with contextlib.closing(MysqlSource(config)) as source:
        if good:
            assert source.collect().value("mysql_global_status_uptime") is not None
            (encrypted,) = source._query("SHOW STATUS LIKE 'Ssl_cipher'", rows_as_dict=False)
            assert encrypted[1]
        else:
            with pytest.raises(CollectError, match="certificate has expired") as error:
                source.collect()
            assert error.value.reason == "connection"


@pytest.mark.live
def test_a_frozen_server_is_a_timeout_and_is_found_again(mariadb_server, source):
    source.collect()

    with mariadb_server.frozen(), pytest.raises(CollectError) as error:
        source.collect()

    assert error.value.reason == "timeout"
    assert source.collect().value("mysql_global_status_uptime") is not None


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        pytest.param(b"HTTP/1.1 400 Bad Request\r\n\r\n", "protocol", id="another protocol"),
        pytest.param(b"", "connection", id="nothing"),
        pytest.param(b"\x05\x00\x00\x00\x0a10.11", "protocol", id="half a greeting"),
        pytest.param(b"\xff\xff\xff\x00" + b"x" * 2**20, "connection", id="a packet without end"),
    ],
)
def test_garbage_is_a_failure_with_a_reason(said, reason):
    listener = socket.create_server(("127.0.0.1", 0))

    def serve():
        connection, _ = listener.accept()
        with connection, contextlib.suppress(OSError):
            connection.sendall(said)

    thread = threading.Thread(target=serve)
    thread.start()
    source = MysqlSource(Config(target="db", port=listener.getsockname()[1], timeout_seconds=2.0))
    with contextlib.closing(listener), pytest.raises(CollectError) as error:
        source.collect()
    thread.join()

    assert error.value.reason == reason


def test_the_module_ends_in_its_constant():
    assert (mysql.COLLECTOR.name, mysql.COLLECTOR.up) == ("mysql", "mysql_up")
