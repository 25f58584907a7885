"""Where something listens: `host:port`, and whether that is beyond this machine."""

import socket

from topmast_shipper.errors import ConfigError

_LOOPBACK = ("127.0.0.1", "::1", "localhost")


def place(listen: str) -> tuple[str, int]:
    """Return host and port, which is 0 for any. Raises ConfigError for a port that is none."""
    host, _, port = listen.rpartition(":")
    if int(port) > 65535:
        raise ConfigError(f"{listen}: a port is at most 65535")
    return host.strip("[]"), int(port)


def try_out(listen: str) -> None:
    """Raise OSError when the address is taken or not ours; nothing is listened on."""
    host, port = place(listen)
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        # as a server does: what was closed just now is no hindrance
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind((host, port))


def is_local(host: str) -> bool:
    """Return whether nobody beyond this machine reaches it."""
    return host in _LOOPBACK
