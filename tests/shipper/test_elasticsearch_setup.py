"""elasticsearch_setup.py on a stand-in: lifecycles and our field types are in no server that tests can have."""

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
from elasticsearch_stand_in import StandIn, serve
from topmast_shipper.bulk import ElasticsearchSink
from topmast_shipper.errors import PermanentError
from topmast_shipper.sinks.elasticsearch import Config


@pytest.fixture
def server() -> Iterator[StandIn]:
    with serve(StandIn({"shipper": "secret"})) as found:
        yield found


def sink(server: StandIn, folder: Path, *, password: str = "secret", **options: object) -> ElasticsearchSink:  # noqa: S107 - the stand-in's
    (folder / "password").write_text(password + "\n")
    login = {"username": "shipper", "password_file": str(folder / "password")}
    return ElasticsearchSink(Config((server.url,), **login, **options))  # type: ignore[arg-type] # options of any kind


def test_what_is_missing_is_installed_once(server: StandIn, tmp_path: Path) -> None:
    for _ in range(2):
        one = sink(server, tmp_path, retention_days=7)
        one.connected()
        one.close()

    assert server.changes == ["PUT /_ilm/policy/topmast-logs", "PUT /_index_template/topmast-logs"]
    policy = server.things["/_ilm/policy/topmast-logs"]["policy"]
    assert policy["phases"]["delete"]["min_age"] == "7d"


def test_a_request_is_no_line_of_the_log(server: StandIn, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    one = sink(server, tmp_path)

    one.connected()
    one.close()

    assert [each.getMessage() for each in caplog.records if each.name.startswith("elastic_transport")] == []


def test_a_stream_of_another_name_is_added_and_none_taken_away(server: StandIn, tmp_path: Path) -> None:
    for name in ("logs-first-shop", "logs-second-shop"):
        one = sink(server, tmp_path, data_stream=name)
        one.connected()
        one.close()

    patterns = server.things["/_index_template/topmast-logs"]["index_patterns"]
    assert {"logs-app-*", "logs-first-shop", "logs-second-shop"} <= set(patterns)


def test_only_looking_changes_nothing_and_says_what_is_missing(server: StandIn, tmp_path: Path) -> None:
    one = sink(server, tmp_path, setup="check")

    for look in (one.connected, one.check):
        with pytest.raises(PermanentError, match="no index template covers the data stream logs-app-default"):
            look()

    assert server.changes == []


def test_a_check_says_what_the_first_start_installs_and_installs_nothing(server: StandIn, tmp_path: Path) -> None:
    one = sink(server, tmp_path)

    before = one.check()
    changes = list(server.changes)
    one.connected()
    after = one.check()
    one.close()

    assert before.endswith(
        "no index template covers the data stream logs-app-default, which the first start installs"
    )
    assert changes == []
    assert after.endswith("its index template is there")


def test_a_check_promises_nothing_where_nothing_is_set_up(server: StandIn, tmp_path: Path) -> None:
    one = sink(server, tmp_path, setup="none")

    said = one.check()
    one.close()

    assert said.endswith("no index template covers the data stream logs-app-default")


def test_a_login_that_is_refused_is_read_again_from_its_file(server: StandIn, tmp_path: Path) -> None:
    one = sink(server, tmp_path, password="old")
    with pytest.raises(PermanentError, match="the login is refused"):
        one.connected()
    with pytest.raises(PermanentError, match="the login is refused"):
        one.check()

    (tmp_path / "password").write_text("secret\n")

    assert "answers" in one.check()
    one.close()


def test_a_secret_that_is_gone_while_it_runs_needs_a_person(server: StandIn, tmp_path: Path) -> None:
    one = sink(server, tmp_path)
    (tmp_path / "password").unlink()

    with pytest.raises(PermanentError, match="password: No such file"):
        one.connected()
