"""Sends events to Elasticsearch (8 or 9, or what answers as it does), each under its own id, into a data stream.

What is sent is in topmast_shipper.bulk, which needs the extra `elasticsearch`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from topmast_shipper.component import Kind, Sink
from topmast_shipper.connection import TLS_SCHEMA, Tls
from topmast_shipper.errors import ConfigError
from topmast_shipper.placing import PATH


@dataclass(frozen=True)
class Config:
    """Where to, and how."""

    hosts: tuple[str, ...]
    """URLs; all are used in turn, one that fails rests."""
    data_stream: str = "logs-app-default"
    """`logs-<dataset>-<namespace>`, as the data streams of Elastic's own shippers are named."""
    username: str = ""
    password_file: str = ""
    api_key_file: str = ""
    """The base64 of `id:key`, as Kibana shows it."""
    tls: Tls | None = None
    timeout_seconds: float = 60.0
    max_request_bytes: int = 8 << 20
    """Of JSON, before compression; the server's own limit is 100 MB."""
    setup: str = "install"
    """Index template and lifecycle: `install` what is missing, only `check`, or `none`."""
    retention_days: int = 30
    """Of the lifecycle, when it is installed."""


def build(options: Mapping[str, Any]) -> Sink:
    config = _config(options)
    ask(options)
    # here, not above: the client costs 40 MB and a second, which only who sends to Elasticsearch pays
    from topmast_shipper.bulk import ElasticsearchSink

    return ElasticsearchSink(config)


def ask(options: Mapping[str, Any]) -> Sequence[str]:
    config = _config(options)
    for host in config.hosts:
        _refuse_port(host)
    for file in (config.password_file, config.api_key_file):
        if file:
            secret(file)
    if config.tls is not None:
        config.tls.context()
    for name in ("elasticsearch", "elastic_transport"):
        if find_spec(name) is None:
            raise ConfigError(f"{name} is not installed: pip install 'topmast-shipper[elasticsearch]'")
    return ()


def secret(path: str) -> str:
    """Return what a file keeps. Raises ConfigError naming the file."""
    try:
        return Path(path).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: {getattr(error, 'strerror', None) or 'is not text'}") from error


def _refuse_port(host: str) -> None:
    try:
        _ = urlsplit(host).port
    except ValueError as error:
        raise ConfigError(f"hosts: {host}: {str(error).lower()}") from error


def _config(options: Mapping[str, Any]) -> Config:
    given = {name: value for name, value in options.items() if name != "name"}
    given["hosts"] = tuple(options["hosts"])
    if "tls" in options:
        given["tls"] = Tls(**options["tls"])
    if given.get("username") and not given.get("password_file"):
        raise ConfigError("username: a password_file belongs to it")
    return Config(**given)


SINK = Kind[Sink](
    "elasticsearch",
    {
        "type": "object",
        "additionalProperties": False,
        "required": ["hosts"],
        "properties": {
            "name": {"type": "string", "pattern": "^[a-z0-9][a-z0-9_.-]{0,63}$"},
            "hosts": {
                "type": "array",
                "minItems": 1,
                "maxItems": 64,
                "uniqueItems": True,
                "items": {"type": "string", "pattern": "^https?://[^/@]+(:[0-9]+)?/?$"},
            },
            "data_stream": {"type": "string", "pattern": "^logs-[a-z0-9_.]{1,100}-[a-z0-9_.]{1,100}$"},
            "username": {"type": "string", "minLength": 1},
            "password_file": PATH,
            "api_key_file": PATH,
            "tls": TLS_SCHEMA,
            "timeout_seconds": {"type": "number", "exclusiveMinimum": 0, "maximum": 3600},
            "max_request_bytes": {"type": "integer", "minimum": 65536, "maximum": 67108864},
            "setup": {"enum": ["install", "check", "none"]},
            "retention_days": {"type": "integer", "minimum": 1, "maximum": 36500},
        },
    },
    build,
    ask,
)
