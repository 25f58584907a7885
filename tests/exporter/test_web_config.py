"""web.config.yml: what is understood, and what is refused in a sentence that repeats no secret."""

import ssl

import bcrypt
import pytest
import trustme
from topmast_exporter import web_config
from topmast_exporter.errors import ConfigError
from topmast_exporter.web_config import parse

HASH = bcrypt.hashpw(b"secret", bcrypt.gensalt(4)).decode()
PAIR = {"cert_file": "cert.pem", "key_file": "key.pem"}


def test_everything_at_once(tmp_path):
    config = parse(
        {
            "tls_server_config": {
                **PAIR,
                "client_ca_file": "ca.pem",
                "client_auth_type": "RequireAndVerifyClientCert",
                "client_allowed_sans": ["prometheus"],
                "min_version": "TLS13",
                "cipher_suites": ["TLS_AES_128_GCM_SHA256", "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256"],
            },
            "http_server_config": {"http2": True, "headers": {"X-Frame-Options": "deny"}},
            "basic_auth_users": {"prometheus": HASH},
            "auth_excluded_paths": ["/healthz"],
            "rate_limit": {"interval": "500ms", "burst": 3},
        },
        tmp_path,
    )

    assert config == web_config.WebConfig(
        tls=web_config.Tls(
            cert=tmp_path / "cert.pem",
            key=tmp_path / "key.pem",
            client_ca=tmp_path / "ca.pem",
            client_auth=ssl.CERT_REQUIRED,
            allowed_sans=frozenset({"prometheus"}),
            min_version=ssl.TLSVersion.TLSv1_3,
            ciphers="ECDHE-RSA-AES128-GCM-SHA256",
        ),
        users={"prometheus": HASH},
        open_paths=frozenset({"/healthz"}),
        headers=((b"x-frame-options", b"deny"),),
        rate_interval_seconds=0.5,
        rate_burst=3,
    )
    assert HASH not in repr(config)


def test_tls_12_is_the_least_by_default(tmp_path):
    authority = trustme.CA()
    pair = authority.issue_cert("localhost")
    pair.cert_chain_pems[0].write_to_path(tmp_path / "cert.pem")
    pair.private_key_pem.write_to_path(tmp_path / "key.pem")

    made = web_config.context(parse({"tls_server_config": PAIR}, tmp_path).tls)

    assert made.minimum_version == ssl.TLSVersion.TLSv1_2


@pytest.mark.parametrize(
    ("document", "said"),
    [
        pytest.param({"tls": {}}, r"\$: no such option: 'tls'", id="unknown"),
        pytest.param({"tls_server_config": {"cert_file": "c"}}, "'key_file' is missing", id="no key"),
        pytest.param({"tls_server_config": {"key_file": "c"}}, "'cert_file' is missing", id="no certificate"),
        pytest.param(
            {"tls_server_config": {**PAIR, "key": "-----BEGIN plain-secret"}}, "exclude each other", id="two keys"
        ),
        pytest.param({"tls_server_config": {"cert_file": "c", "key": "plain-secret"}}, "must look like", id="no PEM"),
        pytest.param(
            {"basic_auth_users": {"a": "plain-secret"}}, r"basic_auth_users\.a: must look like", id="no hash"
        ),
        pytest.param(
            {"tls_server_config": {**PAIR, "client_auth_type": "RequireAnyClientCert"}},
            "must be one of",
            id="any cert",
        ),
        pytest.param({"tls_server_config": {**PAIR, "client_ca_file": "x"}}, "no certificate asked", id="ca alone"),
        pytest.param(
            {"tls_server_config": {**PAIR, "client_auth_type": "RequireAndVerifyClientCert"}},
            "is missing",
            id="no ca",
        ),
        pytest.param(
            {"tls_server_config": {**PAIR, "client_allowed_sans": ["x"]}}, "needs RequireAndVerify", id="sans alone"
        ),
        pytest.param({"tls_server_config": {**PAIR, "curve_preferences": []}}, "no such option", id="curves"),
        pytest.param({"rate_limit": {"interval": "soon"}}, "must look like 1s", id="interval"),
        pytest.param({"http_server_config": {"headers": {"Server": "x"}}}, "no such option: 'Server'", id="header"),
        pytest.param(
            {"http_server_config": {"headers": {"X-Frame-Options": "a\r\nb: c"}}}, "must look like", id="two lines"
        ),
    ],
)
def test_refusals(document, said, tmp_path):
    with pytest.raises(ConfigError, match=said) as error:
        parse(document, tmp_path)

    assert "plain-secret" not in str(error.value)


def test_a_file_that_is_no_pair_is_refused_without_its_content(tmp_path):
    (tmp_path / "cert.pem").write_text("my key")
    (tmp_path / "key.pem").write_text("my key")

    with pytest.raises(ConfigError, match="cannot be used") as error:
        web_config.context(parse({"tls_server_config": PAIR}, tmp_path).tls)

    assert "my key" not in str(error.value)
