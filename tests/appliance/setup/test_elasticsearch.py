"""The set-up of Elasticsearch, against a stand-in: what it writes, that twice is once, and what a refusal says."""

import json
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from elasticsearch_stand_in import StandIn, serve
from topmast.errors import PrerequisiteError, StateError
from topmast.setup.elasticsearch import Cluster, main, nested, set_up, within

DEFINITIONS = Path(__file__).resolve().parents[3] / "monitoring/elasticsearch"
ROLES = ("exporter_monitor", "grafana_reader", "kibana_provisioner", "logstash_writer")
EVERYTHING = [
    "lifecycle topmast-logs",
    "template topmast-logs",
    *(f"{kind} {name}" for name in ROLES for kind in ("role", "user")),
    "kibana token",
]


@pytest.fixture
def server() -> Iterator[StandIn]:
    with serve(StandIn({"elastic": "top"})) as known:
        yield known


@pytest.fixture
def secrets(tmp_path: Path) -> Path:
    folder = tmp_path / "secrets"
    folder.mkdir()
    for name in ROLES:
        (folder / f"{name}-password").write_text(f"password of {name}")
    (folder / "elastic-password").write_text("top")
    (folder / "kibana-encryption-key").write_text("k" * 32)
    return folder


def cluster(server: StandIn, login: str = "top") -> Cluster:
    session = requests.Session()
    session.auth = ("elastic", login)
    return Cluster(server.url, session)


def test_everything_is_made_once(server: StandIn, secrets: Path, tmp_path: Path) -> None:
    first = set_up(cluster(server), DEFINITIONS, secrets, tmp_path / "kibana.yml", 30)
    calls = len(server.changes)
    second = set_up(cluster(server), DEFINITIONS, secrets, tmp_path / "kibana.yml", 30)

    assert (first, second) == (EVERYTHING, [])
    assert len(server.changes) == calls


def test_each_user_has_the_role_of_its_name_and_its_own_password(
    server: StandIn, secrets: Path, tmp_path: Path
) -> None:
    set_up(cluster(server), DEFINITIONS, secrets, tmp_path / "kibana.yml", 30)

    users = {name: server.things[f"/_security/user/{name}"] for name in ROLES}
    assert {name: user["roles"] for name, user in users.items()} == {name: [name] for name in ROLES}
    assert len({user["password"] for user in users.values()}) == 4


def test_logs_are_deleted_after_the_days_asked_for(server: StandIn, secrets: Path, tmp_path: Path) -> None:
    set_up(cluster(server), DEFINITIONS, secrets, tmp_path / "kibana.yml", 30)

    changed = set_up(cluster(server), DEFINITIONS, secrets, tmp_path / "kibana.yml", 7)

    assert changed == ["lifecycle topmast-logs"]
    assert server.things["/_ilm/policy/topmast-logs"]["policy"]["phases"]["delete"]["min_age"] == "7d"


def test_kibana_gets_a_token_that_only_it_can_read(server: StandIn, secrets: Path, tmp_path: Path) -> None:
    kibana = tmp_path / "kibana.yml"

    set_up(cluster(server), DEFINITIONS, secrets, kibana, 30)

    assert f"elasticsearch.serviceAccountToken: {server.tokens['topmast']}\n" in kibana.read_text()
    assert stat.S_IMODE(kibana.stat().st_mode) == 0o400


def test_a_token_whose_file_is_lost_is_replaced(server: StandIn, secrets: Path, tmp_path: Path) -> None:
    kibana = tmp_path / "kibana.yml"
    set_up(cluster(server), DEFINITIONS, secrets, kibana, 30)
    kibana.unlink()

    changed = set_up(cluster(server), DEFINITIONS, secrets, kibana, 30)

    assert changed == ["kibana token"]
    assert server.tokens["topmast"] in kibana.read_text()


def test_a_changed_password_is_set_again(server: StandIn, secrets: Path, tmp_path: Path) -> None:
    set_up(cluster(server), DEFINITIONS, secrets, tmp_path / "kibana.yml", 30)
    (secrets / "logstash_writer-password").write_text("another")

    changed = set_up(cluster(server), DEFINITIONS, secrets, tmp_path / "kibana.yml", 30)

    assert changed == ["user logstash_writer"]
    assert server.passwords["logstash_writer"] == "another"


def test_data_older_than_its_secrets_is_told(server: StandIn) -> None:
    with pytest.raises(StateError, match="the data volume is older than its secrets"):
        cluster(server, "wrong").call("GET", "/_ilm/policy/x")


def test_nobody_there(port: int) -> None:
    with pytest.raises(PrerequisiteError, match=f"127.0.0.1:{port}"):
        Cluster(f"http://127.0.0.1:{port}", requests.Session()).call("GET", "/")


def test_the_command_ends_with_what_it_did(
    server: StandIn, secrets: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["--url", server.url, "--secrets", str(secrets), "--kibana", str(tmp_path / "kibana.yml")]
    arguments += ["--templates", str(DEFINITIONS)]

    codes = [main(arguments, {}), main(arguments, {})]

    assert codes == [0, 0]
    assert capsys.readouterr().out.endswith("elasticsearch: kibana token\nelasticsearch: nothing to do\n")


def test_the_command_says_a_refusal_in_one_sentence(
    server: StandIn, secrets: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (secrets / "elastic-password").write_text("old")
    arguments = ["--url", server.url, "--secrets", str(secrets), "--kibana", str(tmp_path / "kibana.yml")]

    code = main([*arguments, "--templates", str(DEFINITIONS)], {})

    assert code == StateError.exit_code
    assert capsys.readouterr().err.count("\n") == 1


@pytest.mark.parametrize(
    ("wanted", "present", "expected"),
    [
        pytest.param({"a": 1}, {"a": "1", "b": 2}, True, id="a number comes back as text, with defaults beside it"),
        pytest.param({"a": True}, {"a": "true"}, True, id="a truth comes back as text"),
        pytest.param({"a": {"b": 1}}, {"a": {"b": 2}}, False, id="another value"),
        pytest.param({"a": 1}, {}, False, id="missing"),
        pytest.param(["x", "y"], ["x", "y"], True, id="a list"),
        pytest.param(["x"], ["x", "y"], False, id="a longer list"),
        pytest.param({"a": 1}, "a", False, id="not a mapping"),
    ],
)
def test_within(wanted: object, present: object, expected: bool) -> None:
    assert within(wanted, present) is expected


def test_nested() -> None:
    assert nested({"index.number_of_shards": 1, "index.lifecycle.name": "x"}) == {
        "index": {"number_of_shards": 1, "lifecycle": {"name": "x"}}
    }


def test_the_writer_writes_and_does_not_read() -> None:
    role = json.loads((DEFINITIONS / "roles/logstash_writer.json").read_text())

    assert [index["privileges"] for index in role["indices"]] == [["auto_configure", "create_doc"]]
