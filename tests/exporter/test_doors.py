"""What a configuration must say before a listener leaves the machine."""

import bcrypt
import pytest
import trustme
import yaml
from topmast_exporter.config import parse
from topmast_exporter.doors import Doors
from topmast_exporter.errors import ConfigError

OPEN = "0.0.0.0:9470"


@pytest.fixture
def files(tmp_path):
    pair = trustme.CA().issue_cert("localhost")
    pair.cert_chain_pems[0].write_to_path(tmp_path / "cert.pem")
    pair.private_key_pem.write_to_path(tmp_path / "key.pem")
    tls = {"tls_server_config": {"cert_file": "cert.pem", "key_file": "key.pem"}}
    users = {"basic_auth_users": {"a": bcrypt.hashpw(b"x", bcrypt.gensalt(4)).decode()}}
    (tmp_path / "tls.yml").write_text(yaml.safe_dump(tls))
    (tmp_path / "users.yml").write_text(yaml.safe_dump(users))
    (tmp_path / "both.yml").write_text(yaml.safe_dump({**tls, **users}))
    (tmp_path / "token").write_text("a-token\n")
    return lambda name: str(tmp_path / name)


def doors(files, options):
    return Doors(parse({key: files(value) if key.endswith("_file") else value for key, value in options.items()}))


@pytest.mark.parametrize(
    "options",
    [
        pytest.param({}, id="loopback needs nothing"),
        pytest.param({"listen": OPEN, "web_config_file": "both.yml"}, id="TLS and a password"),
        pytest.param({"listen": OPEN, "web_config_file": "tls.yml", "token_file": "token"}, id="TLS and a token"),
        pytest.param({"listen": OPEN, "private_network": True}, id="a network of its own"),
    ],
)
def test_allowed(files, options):
    doors(files, options)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        pytest.param({"listen": OPEN}, r"\$\.exporter\.listen: beyond this machine only with TLS", id="nothing"),
        pytest.param({"listen": OPEN, "token_file": "token"}, "only with TLS", id="a token in the clear"),
        pytest.param({"listen": OPEN, "web_config_file": "users.yml"}, "only with TLS", id="a password in the clear"),
        pytest.param({"listen": OPEN, "web_config_file": "tls.yml"}, "only with TLS", id="TLS for everybody"),
        pytest.param({"ingest": {"listen": OPEN}}, r"\$\.exporter\.ingest\.listen", id="the intake"),
        pytest.param({"token_file": "none"}, r"\$\.exporter\.token_file: ", id="no token file"),
        pytest.param({"web_config_file": "none"}, r"\$\.exporter\.web_config_file: ", id="no web file"),
    ],
)
def test_refused_before_anything_starts(files, options, said):
    with pytest.raises(ConfigError, match=said):
        doors(files, options)


def test_the_intake_takes_a_token_or_a_password_not_both(files):
    ingest = {"token_file": files("token"), "web_config_file": files("users.yml")}

    with pytest.raises(ConfigError, match="leave one of them out"):
        Doors(parse({"ingest": ingest}))
