"""The certificate is one that clients accept for the address; the password is asked for; once made, both stay."""

import shutil
import socket
import ssl
import subprocess
import threading
from functools import partial
from pathlib import Path

import pytest
from topmast.errors import ConfigError
from topmast.setup import gateway
from topmast.setup.secrets import write

pytestmark = pytest.mark.skipif(shutil.which("openssl") is None, reason="no openssl")


WORD = "s3cret-one"


def make(root: Path, bind: str = "192.0.2.10", name: str = "") -> list[str]:
    (root / "all").mkdir(exist_ok=True)
    (root / "gateway").mkdir(exist_ok=True)
    put = partial(write, own=lambda _path, _uid: None)
    return gateway.make(root, bind, name, root / "given", put, lambda: WORD)


def shown(root: Path, host: str, authority: str) -> str:
    """Return what a client that trusts the authority says of the certificate under this name; "" when all is well."""
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(root / "gateway/tls.crt", root / "gateway/tls.key")
    client = ssl.create_default_context(cadata=authority)
    ours, theirs = socket.socketpair()

    def serve() -> None:
        try:
            server.wrap_socket(theirs, server_side=True).close()
        except OSError:
            theirs.close()

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        client.wrap_socket(ours, server_hostname=host).close()
    except ssl.SSLCertVerificationError as error:
        return error.verify_message
    finally:
        ours.close()
        thread.join()
    return ""


def test_a_client_that_trusts_the_authority_accepts_address_and_name(tmp_path: Path) -> None:
    make(tmp_path, name="monitoring.example.com")
    authority = (tmp_path / "gateway/ca.crt").read_text()

    for host in ("192.0.2.10", "monitoring.example.com", "localhost"):
        assert shown(tmp_path, host, authority) == "", host
    assert "mismatch" in shown(tmp_path, "192.0.2.11", authority)


def test_another_authority_s_clients_do_not(tmp_path: Path) -> None:
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
        make(tmp_path / name)

    other = (tmp_path / "other/gateway/ca.crt").read_text()

    assert shown(tmp_path / "one", "192.0.2.10", other)


def test_a_second_run_changes_nothing_and_a_new_address_keeps_the_authority(tmp_path: Path) -> None:
    first = make(tmp_path)
    authority = (tmp_path / "gateway/ca.crt").read_text()

    second = make(tmp_path)
    moved = make(tmp_path, bind="192.0.2.99")

    assert {"gateway/tls.crt", "gateway/tls.key", "gateway/htpasswd", "gateway/ca.crt"} <= set(first)
    assert second == []
    assert sorted(moved) == ["gateway/names", "gateway/tls.crt", "gateway/tls.key"]
    assert shown(tmp_path, "192.0.2.99", authority) == ""


def test_the_key_of_the_authority_stays_out_of_the_gateway_and_all_is_read_by_its_owner_alone(tmp_path: Path) -> None:
    make(tmp_path)

    assert "ca.key" not in {path.name for path in (tmp_path / "gateway").iterdir()}
    assert {path.stat().st_mode & 0o777 for path in tmp_path.rglob("*") if path.is_file()} == {0o400}


def test_the_password_is_stored_as_a_hash_that_it_opens(tmp_path: Path) -> None:
    make(tmp_path)

    user, _, kept = (tmp_path / "gateway/htpasswd").read_text().strip().partition(":")

    assert user == "topmast"
    assert WORD not in kept
    salt = kept.split("$")[2]
    again = subprocess.run(
        ["openssl", "passwd", "-6", "-salt", salt, "-stdin"], input=WORD, capture_output=True, text=True
    )
    assert again.stdout.strip() == kept


def test_a_certificate_of_the_user_s_own_is_taken(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    make(tmp_path / "elsewhere", bind="198.51.100.1")
    (tmp_path / "given").mkdir()
    for name in ("tls.crt", "tls.key"):
        shutil.copy(tmp_path / "elsewhere/gateway" / name, tmp_path / "given" / name)

    written = make(tmp_path)

    assert (tmp_path / "gateway/tls.crt").read_text() == (tmp_path / "given/tls.crt").read_text()
    assert "gateway/tls.key" in written
    assert make(tmp_path) == []


@pytest.mark.parametrize(
    ("certificate", "key", "says"),
    [
        pytest.param("x", "", "go together", id="one of the two"),
        pytest.param("x", "y", "not a certificate and its key", id="neither is one"),
    ],
)
def test_a_given_pair_that_is_none_is_refused(tmp_path: Path, certificate: str, key: str, says: str) -> None:
    (tmp_path / "given").mkdir()
    (tmp_path / "given/tls.crt").write_text(certificate)
    (tmp_path / "given/tls.key").write_text(key)

    with pytest.raises(ConfigError, match=says):
        make(tmp_path)


def test_a_folder_that_docker_made_in_a_file_s_place_is_told(tmp_path: Path) -> None:
    (tmp_path / "given/tls.crt").mkdir(parents=True)

    with pytest.raises(ConfigError, match="no such file on the host"):
        make(tmp_path)


def test_a_name_that_is_none_is_refused() -> None:
    with pytest.raises(ConfigError, match="PUBLIC_NAME"):
        gateway.alternative_names("192.0.2.10", "a name,DNS:evil.example")
