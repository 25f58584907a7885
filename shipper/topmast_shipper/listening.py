"""Where something listens: `host:port`, and whether that is beyond this machine."""

from topmast_shipper.errors import ConfigError

_LOOPBACK = ("127.0.0.1", "::1", "localhost")


def place(listen: str) -> tuple[str, int]:
    """Return host and port, which is 0 for any. Raises ConfigError for a port that is none."""
    host, _, port = listen.rpartition(":")
    if int(port) > 65535:
        raise ConfigError(f"{listen}: a port is at most 65535")
    return host.strip("[]"), int(port)


def is_local(host: str) -> bool:
    """Return whether nobody beyond this machine reaches it."""
    return host in _LOOPBACK
