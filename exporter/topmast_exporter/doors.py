"""Who is let in at the two listeners: tokens, web configurations, and what is refused before anything starts."""

from pathlib import Path

from topmast_exporter.collector import read_secret
from topmast_exporter.config import Address, ExporterConfig
from topmast_exporter.errors import CollectError, ConfigError
from topmast_exporter.guard import WebFile
from topmast_exporter.web import is_loopback


class Doors:
    """What a configuration says of its listeners, read and checked."""

    def __init__(self, config: ExporterConfig) -> None:
        """Read all files. Raises ConfigError, also for a listener that is open to the network."""
        where = "$.exporter"
        self.token = _token(config.token_file, f"{where}.token_file")
        self.ingest_token = _token(config.ingest_token_file, f"{where}.ingest.token_file")
        self.scrapes = _web(config.web_config_file, f"{where}.web_config_file")
        self.ingest = _web(config.ingest_web_config_file, f"{where}.ingest.web_config_file")
        if self.ingest_token and self.ingest.config.users:
            raise ConfigError(f"{where}.ingest: a request carries a token or a password: leave one of them out")
        if not config.private_network:
            _refuse_open(config.listen, self.scrapes, self.token, f"{where}.listen")
            _refuse_open(config.ingest, self.ingest, self.ingest_token, f"{where}.ingest.listen")


def _refuse_open(address: Address, web: WebFile, token: str, where: str) -> None:
    if is_loopback(str(address)) or (web.config.tls is not None and (token or web.config.asks_who())):
        return
    raise ConfigError(
        f"{where}: beyond this machine only with TLS and a password, token or client certificate (web_config_file,"
        " token_file); exporter.private_network says that nobody else is in that network"
    )


def _web(file: str, where: str) -> WebFile:
    try:
        return WebFile(Path(file) if file else None)
    except ConfigError as error:
        raise ConfigError(f"{where}: {error}") from error


def _token(file: str, where: str) -> str:
    if not file:
        return ""
    try:
        token = read_secret(file)
    except CollectError as error:
        raise ConfigError(f"{where}: {error}") from error
    if not token:
        raise ConfigError(f"{where}: the file is empty")
    return token
