"""Takes syslog over UDP and TCP: RFC 5424 and RFC 3164, frames counted in octets or ended by a newline (RFC 6587).

UDP cannot be told to wait: what comes when the spool is full is counted (`shipper_lost_total{reason="full"}`). A TCP
sender waits: its connection is not read while the spool is full.
"""

import logging
import select
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from threading import BoundedSemaphore, Thread
from typing import Any

from topmast_shipper import listening, redacting, rooms
from topmast_shipper.component import Input, Kind, Parser
from topmast_shipper.errors import ConfigError, StateError
from topmast_shipper.push import MAX_SPOOL_BYTES, FullError, Pushed
from topmast_shipper.rooms import Setting

_log = logging.getLogger(__name__)
_MAX_CONNECTIONS = 64
_MAX_FRAME_BYTES = 1 << 20
_MAX_DATAGRAM_BYTES = 65_535
_MANY = 512
# How soon a listener notices that it is to close, and a full spool is tried again.
_LOOK_SECONDS = 0.25
_IDLE_SECONDS = 600.0


@dataclass(frozen=True)
class Config:
    """Where it listens. Beyond this machine only when `private_network` says that the network is yours."""

    name: str
    listen: str = "127.0.0.1:5514"
    service: str = ""
    parser: Any = "syslog"
    redact: Any = False
    private_network: bool = False
    max_spool_bytes: int = MAX_SPOOL_BYTES


class SyslogInput(Pushed):
    """A UDP socket and a TCP listener of one address, and their spool."""

    def __init__(self, config: Config, parser: Parser, setting: Setting) -> None:
        host, port = _permitted(config)
        super().__init__(config, parser, setting)
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        try:
            self._tcp = socket.create_server((host, port), family=family, backlog=128)
            self._udp = socket.socket(family, socket.SOCK_DGRAM)
            self._udp.bind(self._tcp.getsockname()[:2])
        except OSError as error:
            super().close()
            raise StateError(f"{config.listen}: {error.strerror}") from error
        self._closing = False
        self._places = BoundedSemaphore(_MAX_CONNECTIONS)
        for target in (self._datagrams, self._connections):
            Thread(target=target, name=f"syslog {config.name}", daemon=True).start()

    @property
    def address(self) -> str:
        host, port, *_ = self._tcp.getsockname()
        return f"{host}:{port}"

    def close(self) -> None:
        self._closing = True
        self._tcp.close()
        self._udp.close()
        super().close()

    def _datagrams(self) -> None:
        while not self._closing:
            try:
                if not select.select([self._udp], [], [], _LOOK_SECONDS)[0]:
                    continue
                found = [self._udp.recv(_MAX_DATAGRAM_BYTES)]
                while len(found) < _MANY and select.select([self._udp], [], [], 0)[0]:
                    found.append(self._udp.recv(_MAX_DATAGRAM_BYTES))
            except (OSError, ValueError):
                if self._closing:
                    return
                continue
            lines = [line for each in found if (line := each.rstrip(b"\r\n\0"))]
            try:
                self.put(lines)
            except FullError:
                self.drop("full", sum(map(len, lines)))

    def _connections(self) -> None:
        while not self._closing:
            try:
                if not select.select([self._tcp], [], [], _LOOK_SECONDS)[0]:
                    continue
                connection, _ = self._tcp.accept()
            except (OSError, ValueError):
                continue
            if not self._places.acquire(blocking=False):
                connection.close()
                continue
            Thread(target=self._connection, args=(connection,), name=f"syslog {self.name}", daemon=True).start()

    def _connection(self, connection: socket.socket) -> None:
        rest = b""
        try:
            with connection:
                connection.settimeout(_IDLE_SECONDS)
                while not self._closing and (data := connection.recv(1 << 16)):
                    lines, rest = split(rest + data)
                    self._put(lines)
                if rest.strip():
                    self._put([rest.strip()])
        except OSError:
            _log.debug("a connection of the syslog input broke", exc_info=True)
        finally:
            self._places.release()

    def _put(self, lines: list[bytes]) -> None:
        """Take lines in, as soon as there is room for them; until then the sender waits."""
        while lines and not self._closing:
            try:
                self.put(lines)
                return
            except FullError:
                select.select([], [], [], _LOOK_SECONDS)


def split(data: bytes) -> tuple[list[bytes], bytes]:
    """Return the whole frames in a stream and what is left of it. An endless frame is cut."""
    lines: list[bytes] = []
    position = 0
    while position < len(data):
        blank = data.find(b" ", position, position + 8)
        if blank > position and data[position:blank].isdigit() and data[blank + 1 : blank + 2] in (b"<", b""):
            end = blank + 1 + int(data[position:blank])
            if end > len(data) and end - position <= _MAX_FRAME_BYTES:
                break
            frame = data[blank + 1 : end]
        else:
            newline = data.find(b"\n", position)
            if newline < 0:
                if len(data) - position <= _MAX_FRAME_BYTES:
                    break
                newline = position + _MAX_FRAME_BYTES
            frame, end = data[position:newline], newline + (data[newline : newline + 1] == b"\n")
        if frame := frame.strip(b"\r\n\0 "):
            lines.append(frame)
        position = end
    return lines, data[position:]


def _permitted(config: Config) -> tuple[str, int]:
    """Return where it listens. Raises ConfigError where it may not."""
    host, port = listening.place(config.listen)
    if not listening.is_local(host) and not config.private_network:
        raise ConfigError(f"{config.listen}: syslog has no password: beyond this machine only with private_network")
    return host, port


def ask(options: Mapping[str, Any]) -> Sequence[str]:
    config = Config(**{"name": "syslog", **options})
    _permitted(config)
    redacting.redactor_of(config.redact, f"input {config.name}")
    return ()


def build(options: Mapping[str, Any], setting: Setting) -> Input:
    config = Config(**{"name": "syslog", **options})
    return SyslogInput(config, rooms.parser(config.parser, f"input {config.name}"), setting)


INPUT = Kind[Input](
    "syslog",
    {
        "type": "object",
        "additionalProperties": False,
        "properties": {
            "name": {"type": "string", "pattern": "^[a-z0-9][a-z0-9_.-]{0,63}$"},
            "listen": {"type": "string", "pattern": "^([^:]+|\\[[0-9a-fA-F:]+\\]):[0-9]{1,5}$"},
            "service": {"type": "string", "maxLength": 100},
            "parser": {"type": ["string", "object"]},
            "redact": redacting.SCHEMA,
            "private_network": {"type": "boolean"},
            "max_spool_bytes": {"type": "integer", "minimum": 1 << 20},
        },
    },
    build,
    ask,
)
