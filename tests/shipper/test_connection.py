"""Connections: certificates, names and addresses, as the logstash sink meets them."""

import ssl
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from threading import Event as Flag
from typing import Any

import pytest
import trustme
from topmast_shipper.component import Receipt, Sink
from topmast_shipper.connection import Address, address
from topmast_shipper.errors import ConfigError, PermanentError, TransientError
from topmast_shipper.sinks.logstash import SINK
from topmast_shipper.testing import events
from topmast_shipper.testing_lumberjack import (
    LumberjackServer,
    no_ack,
    partial_ack,
    reset_after_ack,
)


@contextmanager
def sink_to(*hosts: object, **options: Any) -> Iterator[Sink]:
    addresses = [host.address if isinstance(host, LumberjackServer) else host for host in hosts]
    with closing(SINK.build({"hosts": addresses, "timeout_seconds": 5, **options})) as sink:
        yield sink


@pytest.fixture
def server() -> Iterator[LumberjackServer]:
    with LumberjackServer("logstash") as server:
        yield server


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="module")
def files(authority: trustme.CA, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with ca.pem, other-ca.pem, client.pem, client.key, secret.key and its password."""
    folder = tmp_path_factory.mktemp("tls")
    authority.cert_pem.write_to_path(folder / "ca.pem")
    trustme.CA().cert_pem.write_to_path(folder / "other-ca.pem")
    client = authority.issue_cert("shipper.example")
    client.private_key_and_cert_chain_pem.write_to_path(folder / "both.pem")
    client.cert_chain_pems[0].write_to_path(folder / "client.pem")
    client.private_key_pem.write_to_path(folder / "client.key")
    _encrypt(client.private_key_pem.bytes(), folder / "secret.key", b"correct horse")
    (folder / "password").write_text("correct horse\n")
    (folder / "wrong-password").write_text("battery staple\n")
    return folder


def _encrypt(key: bytes, path: Path, password: bytes) -> None:
    from cryptography.hazmat.primitives import serialization

    path.write_bytes(
        serialization.load_pem_private_key(key, None).private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(password),
        )
    )


Secured = Callable[..., LumberjackServer]


@pytest.fixture
def secured(authority: trustme.CA) -> Iterator[Secured]:
    """Makes a server with a certificate of the authority."""
    servers: list[LumberjackServer] = []

    def make(name: str = "127.0.0.1", *, not_after: datetime | None = None, wants: bool = False) -> LumberjackServer:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert(name, not_after=not_after).configure_cert(context)
        if wants:
            authority.configure_trust(context)
            context.verify_mode = ssl.CERT_REQUIRED
        servers.append(LumberjackServer(tls=context))
        return servers[-1]

    yield make
    for server in servers:
        server.close()


def test_a_trusted_server_gets_the_events(secured: Secured, files: Path) -> None:
    server = secured()
    with sink_to(server, tls={"ca_file": str(files / "ca.pem")}) as sink:
        receipts = [sink.send(events(2048)), sink.send(events(3))]

    assert (receipts, server.connections) == ([Receipt(2048), Receipt(3)], 1)


@pytest.mark.parametrize(
    ("certificate", "ca_file", "message"),
    [
        pytest.param({"name": "logstash.example"}, "ca.pem", "IP address mismatch", id="another name"),
        pytest.param(
            {"not_after": datetime(2020, 1, 1, tzinfo=UTC)}, "ca.pem", "certificate has expired", id="expired"
        ),
        pytest.param({}, "other-ca.pem", "self-signed|unable to get local issuer", id="another authority"),
    ],
)
def test_a_server_that_is_not_trusted_gets_nothing(
    secured: Secured, files: Path, certificate: dict[str, Any], ca_file: str, message: str
) -> None:
    server = secured(**certificate)
    with sink_to(server, tls={"ca_file": str(files / ca_file)}) as sink, pytest.raises(PermanentError, match=message):
        sink.send(events(1))

    assert server.windows == []


def test_the_systems_authorities_are_trusted_by_default_and_no_others(secured: Secured) -> None:
    with sink_to(secured(), tls={}) as sink, pytest.raises(PermanentError, match="its certificate is refused"):
        sink.send(events(1))


def test_verification_can_be_switched_off(secured: Secured) -> None:
    with sink_to(secured("logstash.example"), tls={"verify": False}) as sink:
        assert sink.send(events(1)) == Receipt(1)


@pytest.mark.parametrize(
    "ours",
    [
        pytest.param({"certificate_file": "both.pem"}, id="one file"),
        pytest.param({"certificate_file": "client.pem", "key_file": "client.key"}, id="two files"),
        pytest.param(
            {"certificate_file": "client.pem", "key_file": "secret.key", "key_password_file": "password"},
            id="an encrypted key",
        ),
    ],
)
def test_a_server_that_wants_our_certificate_gets_it(secured: Secured, files: Path, ours: dict[str, str]) -> None:
    tls = {"ca_file": "ca.pem", **ours}
    with sink_to(secured(wants=True), tls={name: str(files / file) for name, file in tls.items()}) as sink:
        assert sink.send(events(1)) == Receipt(1)


def test_a_server_that_wants_our_certificate_in_vain_needs_a_person(secured: Secured, files: Path) -> None:
    tls = {"ca_file": str(files / "ca.pem")}
    with sink_to(secured(wants=True), tls=tls) as sink, pytest.raises(PermanentError, match="certificate required"):
        sink.send(events(1))


def test_a_server_without_tls_is_not_spoken_to_with_it(server: LumberjackServer) -> None:
    with sink_to(server, tls={"verify": False}) as sink, pytest.raises(TransientError, match=server.address):
        sink.send(events(1))


def test_a_server_with_tls_is_not_spoken_to_without(secured: Secured) -> None:
    server = secured()
    with sink_to(server) as sink, pytest.raises(TransientError, match=f"^{server.address}: "):
        sink.send(events(1))


def test_faults_under_tls_are_the_same(secured: Secured, files: Path) -> None:
    server = secured()
    server.script(no_ack("reset"), partial_ack(2), no_ack("close"))
    with sink_to(server, tls={"ca_file": str(files / "ca.pem")}) as sink:
        with pytest.raises(TransientError):
            sink.send(events(8))
        assert sink.send(events(8)) == Receipt(2)
        with pytest.raises(TransientError, match=r"closed the connection|eof"):
            sink.send(events(8))


def test_an_idle_connection_under_tls_is_looked_at_before_it_is_used(secured: Secured, files: Path) -> None:
    now = Flag()
    server = secured()
    server.script(reset_after_ack(now))
    with sink_to(server, tls={"ca_file": str(files / "ca.pem")}) as sink:
        sink.send(events(1))
        now.set()
        server.wait_for(lambda: server.ended == 1)

        assert sink.send(events(1)) == Receipt(1)


@pytest.mark.parametrize(
    ("tls", "message"),
    [
        pytest.param({"ca_file": "missing.pem"}, "tls.ca_file: .*missing.pem: no such file", id="no authority"),
        pytest.param({"ca_file": "password"}, "tls.ca_file: .*password: no certificate or crl", id="no certificate"),
        pytest.param({"certificate_file": "client.pem"}, "tls.certificate_file: .*client.pem: ", id="no key"),
        pytest.param({"key_file": "client.key"}, "of no use without tls.certificate_file", id="a key alone"),
        pytest.param(
            {"certificate_file": "client.pem", "key_file": "secret.key"},
            "tls.certificate_file: .*client.pem",
            id="an encrypted key without its password",
        ),
        pytest.param(
            {"certificate_file": "client.pem", "key_file": "secret.key", "key_password_file": "wrong-password"},
            "tls.certificate_file: .*client.pem",
            id="a wrong password",
        ),
    ],
)
def test_certificates_that_cannot_be_used_are_refused_at_once(files: Path, tls: dict[str, str], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        SINK.build({"hosts": ["a"], "tls": {name: str(files / file) for name, file in tls.items()}})


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("logstash", Address("logstash", 5044)),
        ("logstash:5045", Address("logstash", 5045)),
        ("10.0.0.1:1", Address("10.0.0.1", 1)),
        ("[::1]", Address("::1", 5044)),
        ("[::1]:5045", Address("::1", 5045)),
    ],
)
def test_a_host_may_leave_out_its_port(text: str, expected: Address) -> None:
    assert address(text, 5044) == expected
    assert address(str(expected), 0) == expected


@pytest.mark.parametrize(
    "text", ["", ":1", "a:", "a:b", "a:0", "a:65536", "::1", "[::1", "[]:1", "[::1]x", "a:1:2", "a b:1"]
)
def test_a_host_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="must be host:port"):
        address(text, 5044)
