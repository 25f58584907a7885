"""Is it ready? One question of a few bytes over a socket, or a look at a file. Standard library only."""

import contextlib
import socket
from pathlib import Path
from urllib.parse import urlsplit

SECONDS = 1.0


def answers(where: str, seconds: float = SECONDS) -> bool:
    """Return whether `where` is ready: `http://…` answers 200, `tcp://HOST:PORT` or `unix://PATH` accepts a
    connection, `file://PATH` exists. Never raises, never waits longer than `seconds`."""
    parts = urlsplit(where)
    with contextlib.suppress(OSError, ValueError):
        if parts.scheme == "file":
            return Path(parts.path).exists()
        if parts.scheme == "unix":
            with socket.socket(socket.AF_UNIX) as plug:
                plug.settimeout(seconds)
                plug.connect(parts.path)
                return True
        with socket.create_connection((parts.hostname or "", parts.port or 0), seconds) as plug:
            if parts.scheme == "tcp":
                return True
            path = parts.path + (f"?{parts.query}" if parts.query else "")
            plug.sendall(f"GET {path or '/'} HTTP/1.0\r\nHost: {parts.netloc}\r\n\r\n".encode())
            # The status line is all we read: `HTTP/1.1 200 OK`.
            return plug.recv(64).split(b" ")[1:2] == [b"200"]
    return False
