"""The set-up of Kibana, against a stand-in: what it imports, that twice is once, and what a refusal says."""

import base64
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from kibana_stand_in import StandIn, serve
from topmast.errors import ConfigError, PrerequisiteError, StateError
from topmast.setup.kibana import Kibana, main, read, set_up

MONITORING = Path(__file__).resolve().parents[3] / "monitoring"
OBJECTS = MONITORING / "kibana/objects"
EVERYTHING = [
    "index-pattern topmast-logs",
    *(f"search topmast-{name}" for name in ("errors", "slow-requests", "llm-calls", "one-request")),
]
LOGIN = "Basic " + base64.b64encode(b"kibana_provisioner:p").decode()


@pytest.fixture
def server() -> Iterator[StandIn]:
    with serve(StandIn(lambda login: login == LOGIN)) as known:
        yield known


def kibana(server: StandIn, word: str = "p") -> Kibana:
    session = requests.Session()
    session.auth = ("kibana_provisioner", word)
    return Kibana(server.url, session)


def test_everything_is_imported_once(server: StandIn) -> None:
    first, second = set_up(kibana(server), OBJECTS), set_up(kibana(server), OBJECTS)

    assert (first, second) == (EVERYTHING, [])
    assert server.imports == ["overwrite=true"]
    assert set(server.objects) == {each.replace(" ", ":") for each in EVERYTHING}


def test_what_somebody_changed_is_brought_back_and_their_copy_stays(server: StandIn) -> None:
    set_up(kibana(server), OBJECTS)
    errors = server.objects["search:topmast-errors"]
    server.objects["search:mine"] = {**errors, "id": "mine"}
    server.objects["search:topmast-errors"] = {**errors, "attributes": {**errors["attributes"], "columns": ["x"]}}

    changed = set_up(kibana(server), OBJECTS)

    assert changed == ["search topmast-errors"]
    assert server.objects["search:topmast-errors"] == errors
    assert "search:mine" in server.objects


def test_json_in_a_string_may_be_written_another_way(server: StandIn) -> None:
    set_up(kibana(server), OBJECTS)
    view = server.objects["index-pattern:topmast-logs"]["attributes"]
    view["fieldFormatMap"] = json.dumps(json.loads(view["fieldFormatMap"]), indent=1)

    assert set_up(kibana(server), OBJECTS) == []


def test_a_refused_login_says_how_it_is_mended(server: StandIn) -> None:
    with pytest.raises(StateError, match="elasticsearch-setup"):
        set_up(kibana(server, "wrong"), OBJECTS)


def test_an_object_without_its_data_view_is_named(server: StandIn, tmp_path: Path) -> None:
    lines = (OBJECTS / "topmast.ndjson").read_text().splitlines()
    (tmp_path / "one.ndjson").write_text(lines[1] + "\n")

    with pytest.raises(PrerequisiteError, match=r"one.ndjson: search topmast-errors: missing_references"):
        set_up(kibana(server), tmp_path)


def test_a_line_that_is_no_object_is_told_with_its_number(tmp_path: Path) -> None:
    (tmp_path / "x.ndjson").write_text('{"type": "search", "id": "a"}\n{"type": 1}\n')

    with pytest.raises(ConfigError, match=r"x\.ndjson:2: not a saved object"):
        read(tmp_path / "x.ndjson")


def test_nobody_there(port: int) -> None:
    with pytest.raises(PrerequisiteError, match=f"127.0.0.1:{port}"):
        set_up(Kibana(f"http://127.0.0.1:{port}", requests.Session()), OBJECTS)


def test_the_command_ends_with_what_it_did(
    server: StandIn, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "password").write_text("p")
    arguments = ["--url", server.url, "--user", "kibana_provisioner", "--objects", str(OBJECTS)]
    arguments += ["--password-file", str(tmp_path / "password")]

    codes = [main(arguments), main(arguments)]

    assert codes == [0, 0]
    assert capsys.readouterr().out.endswith("kibana: search topmast-one-request\nkibana: nothing to do\n")


def test_a_refusal_is_one_sentence(server: StandIn, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "password").write_text("old")
    arguments = ["--url", server.url, "--user", "kibana_provisioner", "--objects", str(OBJECTS)]

    assert main([*arguments, "--password-file", str(tmp_path / "password")]) == StateError.exit_code
    assert capsys.readouterr().err.count("\n") == 1


def test_its_user_may_write_saved_objects_and_read_no_log() -> None:
    role = json.loads((MONITORING / "elasticsearch/roles/kibana_provisioner.json").read_text())

    assert (role["cluster"], role["indices"]) == ([], [])
    (application,) = role["applications"]
    assert application["resources"] == ["space:default"]
    assert not {"all", "*"} & set(application["privileges"])
