"""A `web.config.yml` as the exporters of the field read it: TLS, client certificates, passwords, headers, a rate.

Format: prometheus/exporter-toolkit, docs/web-configuration.md. What Python's TLS cannot do (a client certificate
that is asked for and not verified, the choice of curves) is refused, never ignored. A message never repeats a value.
"""

import contextlib
import os
import re
import ssl
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from topmast_exporter.errors import ConfigError

MAX_FILE_BYTES = 2**20
MAX_USERS = 100

VERSIONS = {
    "TLS10": ssl.TLSVersion.TLSv1,
    "TLS11": ssl.TLSVersion.TLSv1_1,
    "TLS12": ssl.TLSVersion.TLSv1_2,
    "TLS13": ssl.TLSVersion.TLSv1_3,
}

CLIENT_AUTH = {
    "NoClientCert": ssl.CERT_NONE,
    "": ssl.CERT_NONE,
    "VerifyClientCertIfGiven": ssl.CERT_OPTIONAL,
    "RequireAndVerifyClientCert": ssl.CERT_REQUIRED,
}

# Go's names of cipher suites, and OpenSSL's. Those of TLS 1.3 are not a choice in either.
CIPHERS = {
    "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256": "ECDHE-ECDSA-AES128-GCM-SHA256",
    "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256": "ECDHE-RSA-AES128-GCM-SHA256",
    "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384": "ECDHE-ECDSA-AES256-GCM-SHA384",
    "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384": "ECDHE-RSA-AES256-GCM-SHA384",
    "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305": "ECDHE-ECDSA-CHACHA20-POLY1305",
    "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305": "ECDHE-RSA-CHACHA20-POLY1305",
    "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256": "ECDHE-ECDSA-CHACHA20-POLY1305",
    "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256": "ECDHE-RSA-CHACHA20-POLY1305",
    "TLS_AES_128_GCM_SHA256": "",
    "TLS_AES_256_GCM_SHA384": "",
    "TLS_CHACHA20_POLY1305_SHA256": "",
}

# What exporter-toolkit allows to be set.
HEADERS = (
    "Content-Security-Policy",
    "Strict-Transport-Security",
    "X-Content-Type-Options",
    "X-Frame-Options",
    "X-XSS-Protection",
)

_BCRYPT = r"^\$2[abxy]?\$[0-3][0-9]\$[./A-Za-z0-9]{53}$"
_DURATION = re.compile(r"([0-9]+(?:\.[0-9]+)?)(ms|s|m|h)")
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}

_TEXT = {"type": "string"}
_PEM = {"type": "string", "pattern": "-----BEGIN "}

SCHEMA: dict[str, Any] = {
    "type": "object",
    "additionalProperties": False,
    "properties": {
        "tls_server_config": {
            "type": "object",
            "additionalProperties": False,
            "properties": {
                "cert_file": _TEXT,
                "cert": _PEM,
                "key_file": _TEXT,
                "key": _PEM,
                "client_ca_file": _TEXT,
                "client_ca": _PEM,
                "client_auth_type": {"enum": list(CLIENT_AUTH)},
                "client_allowed_sans": {"type": "array", "items": _TEXT, "maxItems": 100},
                "min_version": {"enum": list(VERSIONS)},
                "max_version": {"enum": list(VERSIONS)},
                "cipher_suites": {"type": "array", "items": {"enum": list(CIPHERS)}},
                "prefer_server_cipher_suites": {"type": "boolean"},
            },
        },
        "http_server_config": {
            "type": "object",
            "additionalProperties": False,
            "properties": {
                "http2": {"type": "boolean"},
                "headers": {
                    "type": "object",
                    "additionalProperties": False,
                    "properties": {name: {"type": "string", "pattern": r"^[ -~]{0,1000}$"} for name in HEADERS},
                },
            },
        },
        "basic_auth_users": {
            "type": "object",
            "maxProperties": MAX_USERS,
            "propertyNames": {"pattern": r"^[^:\s]{1,128}$"},
            "additionalProperties": {"type": "string", "pattern": _BCRYPT},
        },
        "auth_excluded_paths": {"type": "array", "items": {"type": "string", "pattern": "^/"}, "maxItems": 20},
        "rate_limit": {
            "type": "object",
            "additionalProperties": False,
            "properties": {"interval": _TEXT, "burst": {"type": "integer", "minimum": 1}},
            "required": ["interval"],
        },
    },
}


@dataclass(frozen=True)
class Tls:
    """How a listener identifies itself, and what it asks of its clients."""

    cert: Path | str
    """A file, or the PEM text itself; so are the others."""
    key: Path | str = field(repr=False)
    client_ca: Path | str | None = None
    client_auth: ssl.VerifyMode = ssl.CERT_NONE
    allowed_sans: frozenset[str] = frozenset()
    min_version: ssl.TLSVersion = ssl.TLSVersion.TLSv1_2
    max_version: ssl.TLSVersion = ssl.TLSVersion.MAXIMUM_SUPPORTED
    ciphers: str = ""


@dataclass(frozen=True)
class WebConfig:
    """One file. Without a file: plain HTTP, for everybody who can reach it."""

    tls: Tls | None = None
    users: Mapping[str, str] = field(default_factory=dict, repr=False)
    """bcrypt hash by user."""
    open_paths: frozenset[str] = frozenset()
    headers: tuple[tuple[bytes, bytes], ...] = ()
    rate_interval_seconds: float = 0.0
    """One request each, 0 = any number."""
    rate_burst: int = 1

    def asks_who(self) -> bool:
        """Return whether a client must say who it is."""
        return bool(self.users) or (self.tls is not None and self.tls.client_auth == ssl.CERT_REQUIRED)


def load(path: Path) -> WebConfig:
    """Return the configuration of a file. Raises ConfigError: `FILE: $.path: what is wrong`."""
    import yaml

    try:
        with path.open(encoding="utf-8") as file:
            document = yaml.safe_load(file.read(MAX_FILE_BYTES))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigError(f"{path}: cannot be read as YAML") from error
    try:
        return parse(document or {}, path.parent)
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from error


def parse(document: Any, folder: Path) -> WebConfig:
    """Return the configuration; its relative paths start at `folder`. Raises ConfigError."""
    from topmast_exporter.config import validate

    validate(document, SCHEMA, "$")
    headers = document.get("http_server_config", {}).get("headers", {})
    rate = document.get("rate_limit", {})
    return WebConfig(
        tls=_tls(document["tls_server_config"], folder) if document.get("tls_server_config") else None,
        users=document.get("basic_auth_users", {}),
        open_paths=frozenset(document.get("auth_excluded_paths", ())),
        headers=tuple((name.lower().encode(), value.encode()) for name, value in headers.items()),
        rate_interval_seconds=_seconds(rate["interval"]) if rate else 0.0,
        rate_burst=rate.get("burst", 1),
    )


def _tls(section: Mapping[str, Any], folder: Path) -> Tls:
    cert, key, client_ca = (_file_or_text(section, name, folder) for name in ("cert", "key", "client_ca"))
    client_auth = CLIENT_AUTH[section.get("client_auth_type", "")]
    if cert is None or key is None:
        missing = "cert" if cert is None else "key"
        raise ConfigError(f"$.tls_server_config: '{missing}_file' is missing, or '{missing}', the text itself")
    if client_ca and client_auth == ssl.CERT_NONE:
        raise ConfigError("$.tls_server_config.client_auth_type: a client CA is given, but no certificate asked for")
    if client_auth != ssl.CERT_NONE and not client_ca:
        raise ConfigError(
            "$.tls_server_config.client_ca_file: is missing, and client certificates are to be verified"
        )
    if section.get("client_allowed_sans") and client_auth != ssl.CERT_REQUIRED:
        raise ConfigError("$.tls_server_config.client_allowed_sans: needs RequireAndVerifyClientCert")
    return Tls(
        cert=cert,
        key=key,
        client_ca=client_ca,
        client_auth=client_auth,
        allowed_sans=frozenset(section.get("client_allowed_sans", ())),
        min_version=VERSIONS[section.get("min_version", "TLS12")],
        max_version=VERSIONS[section["max_version"]] if "max_version" in section else Tls.max_version,
        ciphers=":".join(filter(None, (CIPHERS[name] for name in section.get("cipher_suites", ())))),
    )


def _file_or_text(section: Mapping[str, Any], name: str, folder: Path) -> Path | str | None:
    file, text = section.get(f"{name}_file"), section.get(name)
    if file and text:
        raise ConfigError(f"$.tls_server_config: {name!r} and '{name}_file' exclude each other")
    return folder / file if file else text


def _seconds(text: str) -> float:
    matched = _DURATION.fullmatch(text)
    if matched is None:
        raise ConfigError("$.rate_limit.interval: must look like 1s, 500ms or 1m")
    return float(matched[1]) * _SECONDS[matched[2]]


def context(tls: Tls) -> ssl.SSLContext:
    """Return the server's side of TLS. Raises ConfigError when a file is not what it should be."""
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.minimum_version, made.maximum_version = tls.min_version, tls.max_version
    made.verify_mode = tls.client_auth
    try:
        if tls.ciphers:
            made.set_ciphers(tls.ciphers)
        if isinstance(tls.client_ca, Path):
            made.load_verify_locations(tls.client_ca)
        elif tls.client_ca is not None:
            made.load_verify_locations(cadata=tls.client_ca)
        load_pair(made, tls)
    except (OSError, ValueError) as error:
        raise ConfigError(
            f"$.tls_server_config: certificate, key or CA cannot be used: {type(error).__name__}"
        ) from error
    return made


def load_pair(made: ssl.SSLContext, tls: Tls) -> None:
    """Let a context identify itself by the certificate and key. Raises OSError or ValueError when they are none."""
    with _as_file(tls.cert) as cert, _as_file(tls.key) as key:
        # never ask a terminal for a passphrase
        made.load_cert_chain(cert, key, password=lambda: b"")


@contextlib.contextmanager
def _as_file(pem: Path | str) -> Iterator[Path]:
    """Yield where OpenSSL finds it: Python hands it pairs as files only. A text is written to no disk for it."""
    if isinstance(pem, Path):
        yield pem
    elif hasattr(os, "memfd_create"):
        with os.fdopen(os.memfd_create("pem"), "wb", buffering=0) as memory:
            memory.write(pem.encode())
            yield Path(f"/proc/self/fd/{memory.fileno()}")
    else:
        with tempfile.NamedTemporaryFile("w") as file:  # 0600, as mkstemp
            file.write(pem)
            file.flush()
            yield Path(file.name)


def allows(tls: Tls, certificate: Mapping[str, Any] | None) -> bool:
    """Return whether a verified client certificate (`getpeercert()`) has one of the allowed names."""
    if not tls.allowed_sans:
        return True
    names = {value for _, value in (certificate or {}).get("subjectAltName", ())}
    return bool(names & tls.allowed_sans)
