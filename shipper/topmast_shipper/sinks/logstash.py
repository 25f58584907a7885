"""Sends events to Logstash, or whatever else takes Beats: Lumberjack version 2, acknowledged.

At least once: what was sent and not acknowledged is sent again with the same `event.id`. Source of the protocol
and its traps: SHIPPING.md section 2.
"""

import logging
import random
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from threading import Event as Pause
from typing import Any

from topmast_shipper.component import Kind, Receipt, Refusal, Sink
from topmast_shipper.connection import TLS_SCHEMA, Address, Connection, Tls, address
from topmast_shipper.errors import PermanentError, TransientError
from topmast_shipper.event import Event
from topmast_shipper.lumberjack import KEEP_ALIVE, Acknowledgements, ForeignError, FrameError, encode_window
from topmast_shipper.window import of

_log = logging.getLogger(__name__)

_PORT = 5044
# A server holds every window twice in memory (SHIPPING.md section 2.3).
_WINDOW_EVENTS = 2048
# After a failure a window is half as large, after a success larger by this.
_STEP_EVENTS = 128
# A host that failed is asked last for this long, twice as long when it fails again, up to 16 times.
_REST_SECONDS = 30.0
# A server that is alive and takes nothing for so long is worth a line in the log.
_STALL_SECONDS = 60.0
# What a server has to say against us comes within this.
_REFUSAL_SECONDS = 0.3


@dataclass(frozen=True)
class Config:
    """Where to, and how."""

    hosts: tuple[Address, ...]
    tls: Tls | None = None
    timeout_seconds: float = 30.0
    """Without a sign of life; a server that says it is busy (`ACK 0` every few seconds) is waited for."""
    compression: bool = True
    max_window_bytes: int = 8 << 20
    """Of JSON, before compression."""
    balance: bool = True
    """Each window goes to the next host; else all go to the first that answers."""


class _Host:
    """One of the hosts, its connection if it has one, and until when it is asked last."""

    def __init__(self, peer: Address) -> None:
        self.peer = peer
        self.connection: Connection | None = None
        self.failures = 0
        """In a row."""
        self.rests_until = 0.0

    def drop(self) -> None:
        connection, self.connection = self.connection, None
        if connection is not None:
            connection.close()


class LogstashSink:
    """Sends one window at a time, to one host at a time; connections are kept and looked at before they are used."""

    def __init__(
        self,
        config: Config,
        clock: Callable[[], float] = time.monotonic,
        start: Callable[[int], int] = random.randrange,
    ) -> None:
        self._config = config
        self._clock = clock
        self._tls = config.tls.context() if config.tls is not None else None
        self._hosts = [_Host(peer) for peer in config.hosts]
        # many shippers with one configuration do not all begin with the same host
        self._turn = start(len(self._hosts)) if config.balance else 0
        self._limit = _WINDOW_EVENTS
        self.meanwhile: Callable[[], object] = _nothing
        """What is done between a window and its acknowledgement."""

    def send(self, window: Sequence[Event]) -> Receipt:
        """Send as many of the events as fit a Lumberjack window; the receipt says how many are acknowledged."""
        documents = self._fitting(window)
        if not documents:
            return Receipt(1, (Refusal(0, "too_large"),))
        host, connection = self._connected()
        return Receipt(self._exchange(host, connection, documents))

    def check(self) -> str:
        """Connect to every host; one that is away while another answers is told, and no failure."""
        found, failures = list[str](), list[TransientError | PermanentError]()
        for host in self._hosts:
            try:
                connection = Connection(host.peer, self._config.timeout_seconds, self._tls)
                try:
                    # with TLS 1.3 a server refuses our certificate after the handshake
                    Pause().wait(_REFUSAL_SECONDS)
                    connection.waiting()
                finally:
                    connection.close()
                found.append(f"{host.peer}: answers{' over TLS' if self._tls else ''}")
            except (TransientError, PermanentError) as error:
                failures.append(error)
        if not found:
            raise type(failures[0])("; ".join(map(str, failures))) from failures[0]
        return "; ".join([*found, *map(str, failures)])

    def close(self) -> None:
        """Close all connections; a `send` of another thread ends with a TransientError."""
        for host in self._hosts:
            host.drop()

    def _fitting(self, window: Sequence[Event]) -> Sequence[bytes]:
        """Return the first events as documents; none when even the first is too large."""
        documents = of(window).documents[: self._limit]
        room = self._config.max_window_bytes
        if sum(map(len, documents)) > room:
            for fits, document in enumerate(documents):
                room -= len(document)
                if room < 0:
                    return documents[:fits]
        return documents

    def _connected(self) -> tuple[_Host, Connection]:
        """Return the host whose turn it is, connected, or the next that answers. Raises when none does."""
        now, failures = self._clock(), list[TransientError | PermanentError]()
        turn = self._hosts[self._turn :] + self._hosts[: self._turn]
        if self._config.balance:
            self._turn = (self._turn + 1) % len(self._hosts)
        for host in sorted(turn, key=lambda each: each.rests_until if each.rests_until > now else 0.0):
            try:
                connection = self._connection(host)
            except (TransientError, PermanentError) as error:
                self._failed(host)
                failures.append(error)
                continue
            if failures:
                _log.warning("sending to %s instead: %s", host.peer, "; ".join(map(str, failures)))
            return host, connection
        message = "; ".join(map(str, failures))
        if all(isinstance(error, PermanentError) for error in failures):
            raise PermanentError(message) from failures[0]
        raise TransientError(message) from failures[0]

    def _connection(self, host: _Host) -> Connection:
        """Return a connection that the server has not closed meanwhile: it does so after a minute of silence."""
        if host.connection is not None:
            try:
                unasked = host.connection.waiting()
            except (TransientError, PermanentError):
                host.drop()
            else:
                if unasked.replace(KEEP_ALIVE, b""):
                    host.drop()  # an acknowledgement of nothing would be taken for that of the next window
        if host.connection is None:
            host.connection = Connection(host.peer, self._config.timeout_seconds, self._tls)
        return host.connection

    def _exchange(self, host: _Host, connection: Connection, documents: Sequence[bytes]) -> int:
        """Send one window and return how many of its events are acknowledged. Raises when none is."""
        answers = Acknowledgements(len(documents))
        try:
            self._converse(connection, encode_window(documents, self._config.compression), answers)
        except (TransientError, PermanentError, FrameError) as error:
            host.drop()
            self._failed(host)
            self._limit = max(1, len(documents) // 2)
            if answers.settled:
                return answers.settled
            raise _translated(host.peer, error, len(documents)) from error
        except BaseException:
            host.drop()  # whatever stopped us, answers to this window may still come
            raise
        host.failures, host.rests_until = 0, 0.0
        self._limit = min(_WINDOW_EVENTS, self._limit + _STEP_EVENTS)
        return answers.settled

    def _converse(self, connection: Connection, data: bytes, answers: Acknowledgements) -> None:
        try:
            connection.write(data)
        except TransientError:
            # what was acknowledged before the reset, or why it came, may be here already
            with suppress(TransientError):
                answers.feed(connection.waiting())
            raise
        began, warned = self._clock(), False
        self.meanwhile()
        while not answers.complete:
            answers.feed(connection.read())
            if answers.keep_alives and not warned and self._clock() - began > _STALL_SECONDS:
                warned = True
                _log.warning("%s is alive and takes nothing, waiting on", connection.peer)

    def _failed(self, host: _Host) -> None:
        host.rests_until = self._clock() + _REST_SECONDS * 2 ** min(host.failures, 4)
        host.failures += 1


def _nothing() -> None:
    """Nobody has anything to do meanwhile."""


def _translated(peer: Address, error: Exception, events: int) -> TransientError | PermanentError:
    if isinstance(error, ForeignError):
        return PermanentError(f"{peer}: {error}")
    if isinstance(error, PermanentError):
        return error
    return TransientError(f"{error} (before any acknowledgement of {events} events)")


def build(options: Mapping[str, Any]) -> Sink:
    given = {name: value for name, value in options.items() if name != "name"}
    given["hosts"] = tuple(address(host, _PORT) for host in options["hosts"])
    if "tls" in options:
        given["tls"] = Tls(**options["tls"])
    return LogstashSink(Config(**given))


def ask(options: Mapping[str, Any]) -> Sequence[str]:
    build(options).close()  # connects when it sends
    return ()


SINK = Kind[Sink](
    "logstash",
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
                "items": {"type": "string", "minLength": 1},
            },
            "tls": TLS_SCHEMA,
            "timeout_seconds": {"type": "number", "exclusiveMinimum": 0, "maximum": 3600},
            "compression": {"type": "boolean"},
            "max_window_bytes": {"type": "integer", "minimum": 65536, "maximum": 67108864},
            "balance": {"type": "boolean"},
        },
    },
    build,
    ask,
)
