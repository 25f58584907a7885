"""A socket whose every wait ends at one deadline, and which takes in so many bytes and no more.

A timeout of each read is none of the whole: a server that sends a byte a second is read for ever, and one that never
stops fills the memory.
"""

import socket
import ssl
import time
from typing import Any

# The largest answers are those of Elasticsearch's nodes: 20 kB each.
MAX_BYTES = 16 * 2**20

HANDSHAKE_SECONDS = 5.0


class TooLongError(OSError):
    """More arrived than any server of the kind has to say."""


class _Bounded:
    deadline = float("inf")
    room = MAX_BYTES

    def allow(self, deadline: float, max_bytes: int = MAX_BYTES) -> None:
        """Wait until `deadline` (of time.monotonic) from now on, for so many bytes."""
        self.deadline, self.room = deadline, max_bytes

    def _arm(self) -> None:
        left = self.deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError("no answer within the deadline")
        self.settimeout(min(left, 3600.0))  # type: ignore[attr-defined]  # of the socket that this is mixed into

    def _took(self, count: int) -> int:
        self.room -= count
        if self.room < 0:
            raise TooLongError("the answer does not end")
        return count

    def recv_into(self, *args: Any, **options: Any) -> int:
        self._arm()
        return self._took(super().recv_into(*args, **options))  # type: ignore[misc]  # the socket is mixed in

    def recv(self, *args: Any, **options: Any) -> bytes:
        self._arm()
        data: bytes = super().recv(*args, **options)  # type: ignore[misc]  # the socket is mixed in
        self._took(len(data))
        return data

    def sendall(self, *args: Any, **options: Any) -> None:
        self._arm()
        super().sendall(*args, **options)  # type: ignore[misc]  # the socket is mixed in


class DeadlineSocket(_Bounded, socket.socket):
    """Over TCP or a Unix socket."""


class DeadlineTlsSocket(_Bounded, ssl.SSLSocket):
    """Over TLS."""


class _Given:
    """What a library connected."""

    def __init__(self, given: socket.socket) -> None:
        self._given = given

    def __getattr__(self, name: str) -> Any:
        return getattr(self._given, name)

    def recv(self, *args: Any, **options: Any) -> bytes:
        return self._given.recv(*args, **options)

    def recv_into(self, *args: Any, **options: Any) -> int:
        return self._given.recv_into(*args, **options)

    def sendall(self, *args: Any, **options: Any) -> None:
        self._given.sendall(*args, **options)


class WatchedSocket(_Bounded, _Given):
    """Around a socket that a library has connected, over whatever it is."""

    def _arm(self) -> None:
        left = self.deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError("no answer within the deadline")
        # the library's own timeout stays where it is the shorter one; 0 is its look without waiting
        own = self._given.gettimeout()
        self._given.settimeout(left if own is None else min(own, left))


def connect(address: tuple[str, int] | str, deadline: float) -> DeadlineSocket:
    """Return a connection to (host, port), or to the path of a Unix socket. Raises OSError."""
    left = max(0.001, deadline - time.monotonic())
    if isinstance(address, str):
        made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            made.settimeout(left)
            made.connect(address)
        except BaseException:
            made.close()
            raise
    else:
        made = socket.create_connection(address, timeout=left)
    bounded = DeadlineSocket(made.family, made.type, made.proto, fileno=made.detach())
    bounded.allow(deadline)
    bounded.settimeout(left)
    return bounded


def tls_context(ca_file: str = "") -> ssl.SSLContext:
    """Return the client's side of TLS: names and certificates are verified, by the system's authorities or one file.

    Raises OSError or ssl.SSLError when the file is none.
    """
    context = ssl.create_default_context(cafile=ca_file or None)
    context.sslsocket_class = DeadlineTlsSocket
    return context
