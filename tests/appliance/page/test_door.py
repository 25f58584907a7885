"""For other machines: TLS and a password, or nothing; the listener on loopback stays as it was."""

import asyncio
import socket
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import bcrypt
import pytest
import requests
import trustme
from topmast.errors import ConfigError
from topmast.page.app import build
from topmast.page.door import Door, opened_with, refuse_open, standing_open
from topmast.page.settings import Settings

PASSWORD = "correct horse"
HASHED = bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(4)).decode()
TLS = "tls_server_config: {cert_file: cert.pem, key_file: key.pem}\n"
USERS = f"basic_auth_users: {{ann: {HASHED}}}\n"


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def web_config(tmp_path: Path, authority: trustme.CA) -> Callable[[str], Path]:
    """Write a web.config.yml beside a certificate of 127.0.0.1."""
    issued = authority.issue_cert("127.0.0.1")
    issued.cert_chain_pems[0].write_to_path(tmp_path / "cert.pem")
    issued.private_key_pem.write_to_path(tmp_path / "key.pem")
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")

    def write(text: str) -> Path:
        path = tmp_path / "web.yml"
        path.write_text(text)
        return path

    return write


@pytest.mark.parametrize(
    ("text", "missing"),
    [
        pytest.param(USERS, "tls_server_config", id="no certificate"),
        pytest.param(TLS, "basic_auth_users", id="no users"),
        pytest.param("{}", "tls_server_config", id="neither"),
    ],
)
def test_without_one_of_the_two_it_does_not_open(web_config: Callable[[str], Path], text: str, missing: str) -> None:
    with pytest.raises(ConfigError, match=f"has no {missing}; beyond this machine"):
        opened_with(Door("192.0.2.7", 3443, web_config(text)))


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"^\$\.page\.web_config_file: .*none\.yml"):
        opened_with(Door("192.0.2.7", 3443, tmp_path / "none.yml"))


@pytest.mark.parametrize(("host", "open_to_others"), [("127.0.0.1", False), ("::1", False), ("192.0.2.7", True)])
def test_a_plain_listener_stays_on_loopback(host: str, open_to_others: bool) -> None:
    refuse_open((host, 3001), private_network=True)
    if not open_to_others:
        refuse_open((host, 3001), private_network=False)
        return
    with pytest.raises(ConfigError, match="only with TLS and a password"):
        refuse_open((host, 3001), private_network=False)


@pytest.mark.asyncio
async def test_a_password_over_tls_opens_the_page_and_nothing_else_does(
    settings: Settings, web_config: Callable[[str], Path]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    door = Door("127.0.0.1", port, web_config(TLS + USERS))
    app = build(replace(settings, door=door))
    url, ca = f"https://127.0.0.1:{port}", str(door.web_config_file.with_name("ca.pem"))

    def get(path: str, **more: Any) -> requests.Response:
        return requests.get(url + path, verify=ca, timeout=10, **more)

    async with standing_open(door, app):
        known = await asyncio.to_thread(get, "/healthz", auth=("ann", PASSWORD))
        stranger = await asyncio.to_thread(get, "/healthz")
        wrong = await asyncio.to_thread(get, "/", auth=("ann", "guess"))
        foreign = await asyncio.to_thread(
            get, "/", auth=("ann", PASSWORD), headers={"origin": f"http://127.0.0.1:{port}"}
        )
        own = await asyncio.to_thread(get, "/", auth=("ann", PASSWORD), headers={"origin": url})

    assert [known.status_code, stranger.status_code, wrong.status_code] == [200, 401, 401]
    assert [foreign.status_code, own.status_code] == [403, 200]
    assert stranger.headers["www-authenticate"] == "Basic"
