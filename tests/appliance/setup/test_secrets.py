"""The secrets of the stack: made once, each readable by its service alone, and no start that could not work."""

import itertools
import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from topmast.errors import ConfigError, StateError
from topmast.setup.secrets import (
    CLOCK_SECONDS,
    DEMO,
    READERS,
    main,
    make,
    random_secret,
    refuse_orphans,
    refuse_public,
    write,
)

needs_openssl = pytest.mark.skipif(shutil.which("openssl") is None, reason="no openssl on PATH")


class Owners:
    """Records who was given what (a test is seldom root)."""

    def __init__(self) -> None:
        self.given: dict[str, int] = {}

    def __call__(self, path: Path, uid: int) -> None:
        self.given[path.name.removeprefix(".").removesuffix(".new")] = uid


def files(root: Path) -> dict[str, str]:
    return {str(p.relative_to(root)): p.read_text() for p in sorted(root.rglob("*")) if p.is_file()}


@needs_openssl
def test_a_second_run_changes_nothing(tmp_path: Path) -> None:
    first = make(tmp_path, Owners())
    before = files(tmp_path)
    second = make(tmp_path, Owners())

    assert second == []
    assert files(tmp_path) == before
    assert set(first) == set(before)


@needs_openssl
def test_every_reader_has_its_copy_and_nobody_elses(tmp_path: Path) -> None:
    numbers = itertools.count()
    for folder in DEMO:
        (tmp_path / folder).mkdir()

    make(tmp_path, Owners(), lambda: f"secret {next(numbers)}")

    for name, readers in READERS.items():
        value = (tmp_path / "all" / name).read_text()
        assert [(tmp_path / r.folder / r.file).read_text() for r in readers] == [value] * len(readers)
    assert sorted(p.name for p in (tmp_path / "grafana").iterdir()) == [
        "elasticsearch-password",
        "grafana-admin-password",
        "grafana-secret-key",
    ]


@needs_openssl
def test_the_demo_s_secrets_are_made_where_its_folders_are_mounted(tmp_path: Path) -> None:
    make(tmp_path, Owners())
    without = files(tmp_path)
    for folder in DEMO:
        (tmp_path / folder).mkdir()
    written = make(tmp_path, Owners())

    assert not any("demo" in name for name in without)
    assert sorted(written) == [
        "all/demo-postgres-password",
        "demo-postgres/demo-postgres-password",
        "demo/demo-postgres-password",
        "demo/ingest-token",
        "exporter/demo-postgres-password",
    ]


@needs_openssl
def test_each_file_belongs_to_the_user_that_reads_it(tmp_path: Path) -> None:
    owners = Owners()

    make(tmp_path, owners)

    assert owners.given["grafana-admin-password"] == 472
    assert owners.given["ingest-token"] == 10001
    assert owners.given["logstash-writer-password"] == 1000
    assert owners.given["kibana"] == 1000
    modes = {stat.S_IMODE(p.stat().st_mode) for p in tmp_path.rglob("*") if p.is_file() and p.suffix != ".crt"}
    assert modes == {0o400}


@needs_openssl
def test_a_lost_copy_comes_back_with_the_same_value(tmp_path: Path) -> None:
    make(tmp_path, Owners())
    lost = tmp_path / "grafana" / "grafana-admin-password"
    value = lost.read_text()
    lost.unlink()

    assert make(tmp_path, Owners()) == ["grafana/grafana-admin-password"]
    assert lost.read_text() == value


@needs_openssl
def test_the_certificate_is_for_the_names_that_senders_use(tmp_path: Path) -> None:
    make(tmp_path, Owners())

    folder = tmp_path / "logstash" / "tls"
    told = subprocess.run(
        ["openssl", "x509", "-in", folder / "logstash.crt", "-noout", "-ext", "subjectAltName"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert "DNS:logstash, DNS:localhost, IP Address:127.0.0.1" in told
    # PKCS #8, the only form that the beats input reads.
    assert (folder / "logstash.key").read_text().startswith("-----BEGIN PRIVATE KEY-----")


def test_secrets_differ_and_are_safe_to_paste() -> None:
    made = {random_secret() for _ in range(100)}

    assert len(made) == 100
    assert all(len(each) == 32 and each.replace("-", "").replace("_", "").isalnum() for each in made)


@pytest.mark.parametrize("bind", ["127.0.0.1", "127.0.0.2", "::1"])
@pytest.mark.parametrize("gateway", [True, False])
def test_loopback_is_fine(bind: str, gateway: bool) -> None:
    refuse_public(bind, gateway=gateway)


def test_one_address_is_fine_behind_the_gateway() -> None:
    refuse_public("192.0.2.10", gateway=True)

    with pytest.raises(ConfigError, match=r"0\.0\.0\.0: names every address .*; name the one"):
        refuse_public("0.0.0.0", gateway=True)  # noqa: S104 - refused


@pytest.mark.parametrize(
    ("bind", "says"),
    [
        pytest.param("0.0.0.0", "BIND_ADDR=0.0.0.0: names every address", id="everybody"),  # noqa: S104 - refused
        pytest.param("10.0.0.5", "BIND_ADDR=10.0.0.5: without TLS and a password", id="a company network"),
        pytest.param("localhost", "BIND_ADDR: not an IP address: 'localhost'", id="a name"),
        pytest.param("", "BIND_ADDR: not an IP address: ''", id="empty"),
    ],
)
def test_anything_else_is_refused(bind: str, says: str) -> None:
    with pytest.raises(ConfigError) as refused:
        refuse_public(bind, gateway=False)

    assert str(refused.value).startswith(says)


def test_data_without_its_secrets_is_told_before_anything_starts(tmp_path: Path) -> None:
    (tmp_path / "data" / "elasticsearch" / "indices").mkdir(parents=True)

    with pytest.raises(StateError, match=r"topmast_elasticsearch holds data, but the secrets that open it are gone"):
        refuse_orphans(tmp_path / "secrets", tmp_path / "data")


def test_fresh_volumes_are_fine(tmp_path: Path) -> None:
    (tmp_path / "data" / "elasticsearch").mkdir(parents=True)

    refuse_orphans(tmp_path / "secrets", tmp_path / "data")


def test_data_with_its_secrets_is_fine(tmp_path: Path) -> None:
    (tmp_path / "data" / "grafana" / "grafana.db").mkdir(parents=True)
    (tmp_path / "secrets" / "all").mkdir(parents=True)
    (tmp_path / "secrets" / "all" / "elastic-password").write_text("x")

    refuse_orphans(tmp_path / "secrets", tmp_path / "data")


def test_a_draft_that_a_killed_run_left_is_no_hindrance(tmp_path: Path) -> None:
    (tmp_path / ".token.new").write_text("half")

    write(tmp_path / "token", "whole", 0, Owners())

    assert files(tmp_path) == {"token": "whole"}


def test_the_command_says_a_refusal_in_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code = main([str(tmp_path / "secrets")], {"BIND_ADDR": "0.0.0.0"})  # noqa: S104 - refused

    assert (code, capsys.readouterr().err.count("\n")) == (ConfigError.exit_code, 1)
    assert not (tmp_path / "secrets").exists()


@needs_openssl
@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_as_root_the_files_are_really_given_away(tmp_path: Path) -> None:
    argv = [sys.executable, "-m", "topmast.setup.secrets", str(tmp_path / "secrets")]

    done = subprocess.run(argv, capture_output=True, text=True, timeout=60)

    assert done.returncode == 0, done.stderr
    assert (tmp_path / "secrets/elasticsearch/elastic-password").stat().st_uid == 1000
    assert "written" in done.stdout


@pytest.mark.parametrize("seconds", [pytest.param(-3600, id="older"), pytest.param(5, id="younger")])
@needs_openssl
def test_data_older_than_its_secrets_is_told(tmp_path: Path, seconds: int) -> None:
    make(tmp_path / "secrets", Owners())
    made = (tmp_path / "secrets/all/made").stat().st_mtime
    folder = tmp_path / "data" / "elasticsearch" / "_state"
    folder.mkdir(parents=True)
    for name, at in (("node-0.st", made + seconds), ("segments", made + 86_400)):
        (folder / name).touch()
        os.utime(folder / name, (at, at))

    if seconds > -CLOCK_SECONDS:
        refuse_orphans(tmp_path / "secrets", tmp_path / "data")
        return
    with pytest.raises(StateError, match=r"topmast_elasticsearch is older than the secrets .*docker volume rm"):
        refuse_orphans(tmp_path / "secrets", tmp_path / "data")


@needs_openssl
def test_a_rotated_password_makes_no_data_older(tmp_path: Path) -> None:
    make(tmp_path / "secrets", Owners())
    folder = tmp_path / "data" / "elasticsearch"
    folder.mkdir(parents=True)
    (folder / "node.lock").touch()
    for path in (tmp_path / "secrets" / "all").iterdir():
        if path.name != "made":
            os.utime(path, (path.stat().st_mtime + 86_400,) * 2)

    refuse_orphans(tmp_path / "secrets", tmp_path / "data")


@needs_openssl
def test_secrets_of_before_are_as_old_as_their_oldest(tmp_path: Path) -> None:
    make(tmp_path, Owners())
    (tmp_path / "all/made").unlink()
    os.utime(tmp_path / "all/elastic-password", (1_700_000_000, 1_700_000_000))

    make(tmp_path, Owners())

    assert (tmp_path / "all/made").stat().st_mtime == 1_700_000_000
