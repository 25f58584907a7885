"""One socket to one host, with or without TLS: what a sink that speaks its own protocol stands on.

Foreign errors end here: nothing that a network or a certificate does leaves as anything but a TransientError (the
network) or a PermanentError (a certificate, a name, a protocol: a person must act). Every wait has an end.
"""

import re
import socket
import ssl
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from topmast_shipper.errors import ConfigError, PermanentError, TransientError
from topmast_shipper.placing import PATH

_ADDRESS = re.compile(r"^(?:\[(?P<v6>[0-9A-Fa-f:.%]+)\]|(?P<host>[^\s:\[\]]+))(?::(?P<port>[0-9]{1,5}))?$")
_READ_BYTES = 65536
# To connect and shake hands: another host may be there to ask.
_CONNECT_SECONDS = 10.0
# What a peer says when our certificate, or the lack of one, is the matter (RFC 8446 section 6), and what OpenSSL
# says when the two sides do not speak the same protocol.
_PERSON_MUST_ACT = (
    "CERTIFICATE",
    "UNKNOWN_CA",
    "ACCESS_DENIED",
    "DECRYPT_ERROR",
    "HANDSHAKE_FAILURE",
    "PROTOCOL_VERSION",
    "UNRECOGNIZED_NAME",
    "WRONG_VERSION_NUMBER",
)


class Address(NamedTuple):
    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def address(text: str, default_port: int) -> Address:
    """Return `host`, `host:port`, `[ipv6]` or `[ipv6]:port` in its parts. Raises ConfigError for anything else."""
    found = _ADDRESS.match(text)
    if found is None or not 0 < int(found["port"] or default_port) < 65536:
        raise ConfigError(f"must be host:port, not {text[:80]!r}")
    return Address(found["v6"] or found["host"], int(found["port"] or default_port))


@dataclass(frozen=True)
class Tls:
    """Which certificates; all are PEM files, read once."""

    ca_file: str = ""
    """Trusted instead of the system's authorities."""
    certificate_file: str = ""
    """Ours, with its chain, for a server that asks for one."""
    key_file: str = ""
    """The certificate's key, when it is not in the same file."""
    key_password_file: str = ""
    verify: bool = True
    """Whether the server must show a trusted certificate for the name we call it by."""

    def context(self) -> ssl.SSLContext:
        """Return what connections are wrapped with. Raises ConfigError naming the file that is no good."""
        try:
            context = ssl.create_default_context(cafile=self.ca_file or None)
        except (OSError, ssl.SSLError) as error:
            raise ConfigError(f"tls.ca_file: {self.ca_file}: {_reason(error)}") from error
        if not self.verify:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        if self.certificate_file:
            try:
                context.load_cert_chain(self.certificate_file, self.key_file or None, self._password())
            except (OSError, ssl.SSLError) as error:
                raise ConfigError(f"tls.certificate_file: {self.certificate_file}: {_reason(error)}") from error
        elif self.key_file:
            raise ConfigError("tls.key_file: a key is of no use without tls.certificate_file")
        return context

    def _password(self) -> Callable[[], str]:
        def password() -> str:
            # without a callback OpenSSL would ask on the terminal
            return Path(self.key_password_file).read_text().rstrip("\r\n") if self.key_password_file else ""

        return password


TLS_SCHEMA: Mapping[str, Any] = {
    "type": "object",
    "additionalProperties": False,
    "properties": {
        **dict.fromkeys(("ca_file", "certificate_file", "key_file", "key_password_file"), PATH),
        "verify": {"type": "boolean"},
    },
}


class Connection:
    """An open connection. `read` and `write` raise TransientError or PermanentError and never wait for ever."""

    def __init__(self, peer: Address, timeout_seconds: float, tls: ssl.SSLContext | None = None) -> None:
        """Connect, and shake hands over TLS."""
        self.peer = peer
        self._timeout_seconds = timeout_seconds
        try:
            raw = socket.create_connection(peer, min(timeout_seconds, _CONNECT_SECONDS))
        except (OSError, UnicodeError) as error:  # UnicodeError: a name that no resolver can be asked for
            raise TransientError(f"{peer}: cannot connect: {_reason(error)}") from error
        self._socket = raw
        try:
            # a batch is written at once: waiting for a fuller packet would cost 40 ms (SHIPPING.md section 0.7)
            raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            if tls is not None:
                self._socket = tls.wrap_socket(raw, server_hostname=peer.host)
            self._socket.settimeout(timeout_seconds)
        except (OSError, UnicodeError, ValueError) as error:
            raw.close()
            raise self._failure("TLS", error) from error

    def write(self, data: bytes) -> None:
        """Hand over all of it; the timeout starts anew with every part that the other side takes."""
        view = memoryview(data)
        try:
            while view:  # once, unless the other side is slower than we are
                view = view[self._socket.send(view) :]
        except OSError as error:
            raise self._failure("writing", error) from error

    def read(self) -> bytes:
        """Return what comes next, at least a byte. Raises TransientError when nothing does, or the end."""
        try:
            data = self._socket.recv(_READ_BYTES)
        except OSError as error:
            raise self._failure("reading", error) from error
        if not data:
            raise TransientError(f"{self.peer}: closed the connection")
        return data

    def waiting(self) -> bytes:
        """Return what is there to read, without waiting. Raises TransientError when the other side is gone."""
        self._socket.settimeout(0)
        try:
            return self.read()
        except TransientError as error:
            if isinstance(error.__cause__, BlockingIOError | ssl.SSLWantReadError):
                return b""
            raise
        finally:
            self._socket.settimeout(self._timeout_seconds)

    def close(self) -> None:
        """Close at once. Also ends a read or a write of another thread."""
        with suppress(OSError):  # not connected any more
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()

    def _failure(self, doing: str, error: Exception) -> TransientError | PermanentError:
        message = f"{self.peer}: {doing}: {_reason(error)}"
        if isinstance(error, ssl.SSLCertVerificationError):
            return PermanentError(f"{self.peer}: its certificate is refused: {error.verify_message}")
        if isinstance(error, ssl.SSLError) and any(word in (error.reason or "") for word in _PERSON_MUST_ACT):
            return PermanentError(message)
        if isinstance(error, TimeoutError):
            return TransientError(f"{self.peer}: {doing}: nothing for {self._socket.gettimeout():g} s")
        return TransientError(message)


def _reason(error: Exception) -> str:
    if isinstance(error, ssl.SSLError) and error.reason:
        return error.reason.replace("_", " ").lower()
    if isinstance(error, OSError) and error.strerror:
        return error.strerror.lower()
    return str(error) or type(error).__name__
