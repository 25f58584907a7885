"""A Lumberjack server for tests: takes what Logstash or go-lumber would take, and fails as it is told to.

    with LumberjackServer("logstash") as server:
        server.script(partial_ack(2, then="reset"), well(), keep_alive(3))
        ...
        server.wait_for(lambda: len(server.events) == 10)

The script is a queue. A fault of a connection (`accept_then_close`, …) waits for the next connection, one of a
window for the next complete window; when the script is over, everything is answered well.
"""

import socket
import ssl
import struct
import threading
from collections import Counter, deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Literal, Self

from topmast_shipper.lumberjack import KEEP_ALIVE, encode_ack
from topmast_shipper.testing_lumberjack_modes import READERS, Batch, RefusedError

Mode = Literal["logstash", "go-lumber"]
Ending = Literal["answer", "reset", "close", "silence"]
_DEADLINE_SECONDS = 30.0


class Peer:
    """The server's end of one connection, in the hands of a fault."""

    def __init__(self, server: "LumberjackServer", connection: socket.socket) -> None:
        self.server = server
        self.socket = connection
        self.open = True

    def read(self, max_bytes: int = 65536) -> bytes:
        return self.socket.recv(max_bytes)

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def reset(self) -> None:
        """End the connection with RST, as Logstash does: what is under way is lost."""
        self.open = False
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()

    def close(self) -> None:
        """End the connection with FIN. Unread bytes would turn it into RST: they are read first."""
        self.open = False
        self.socket.settimeout(1.0)
        with suppress(OSError):
            self.socket.shutdown(socket.SHUT_WR)
            while self.socket.recv(65536):
                continue
        self.socket.close()

    def hold(self) -> None:
        """Read and answer nothing any more; the connection stays open until the server stops."""
        self.open = False
        self.server.stopping.wait()
        self.socket.close()

    def end(self, how: Ending) -> None:
        if how == "reset":
            self.reset()
        elif how == "close":
            self.close()


@dataclass(frozen=True)
class Fault:
    """What goes wrong once, and when. `act` gets the batch that is complete; an empty one for a connection."""

    name: str
    moment: Literal["connection", "window"]
    act: Callable[[Peer, Batch], None]


def well() -> Fault:
    """One window answered as it should be."""
    return Fault("well", "window", _answer)


def keep_alive(times: int) -> Fault:
    """`ACK 0` so many times, then the answer: Logstash under back-pressure."""

    def act(peer: Peer, batch: Batch) -> None:
        for _ in range(times):
            peer.send(KEEP_ALIVE)
        _answer(peer, batch)

    return Fault("keep_alive", "window", act)


def delay_ack(until: threading.Event) -> Fault:
    """The answer once the test says so."""

    def act(peer: Peer, batch: Batch) -> None:
        until.wait(_DEADLINE_SECONDS)
        _answer(peer, batch)

    return Fault("delay_ack", "window", act)


def partial_ack(settled: int, then: Ending = "reset") -> Fault:
    """Only so many events are taken and acknowledged; then the rest as well, a reset, an end, or nothing."""

    def act(peer: Peer, batch: Batch) -> None:
        peer.server.take(batch.documents[:settled])
        peer.send(encode_ack(settled))
        if then == "answer":
            _answer(peer, Batch(batch.documents[settled:], batch.acks))
        peer.end(then)

    return Fault("partial_ack", "window", act)


def no_ack(then: Ending = "reset", taken: bool = True) -> Fault:
    """The window is taken (or not) and never acknowledged: a reset, an end, or silence."""

    def act(peer: Peer, batch: Batch) -> None:
        peer.server.take(batch.documents if taken else ())
        peer.end(then)

    return Fault("no_ack", "window", act)


def reset_after_ack(when: threading.Event) -> Fault:
    """A good answer, and RST once the test says so: what an idle connection meets after a minute."""

    def act(peer: Peer, batch: Batch) -> None:
        _answer(peer, batch)
        when.wait(_DEADLINE_SECONDS)
        peer.reset()

    return Fault("reset_after_ack", "window", act)


def ack_too_large(by: int = 1) -> Fault:
    """An acknowledgement of events that were never sent."""

    def act(peer: Peer, batch: Batch) -> None:
        peer.send(encode_ack(len(batch.documents) + by))

    return Fault("ack_too_large", "window", act)


def torn_ack() -> Fault:
    """The answer a byte at a time."""

    def act(peer: Peer, batch: Batch) -> None:
        peer.server.take(batch.documents)
        for sequence in batch.acks:
            for byte in encode_ack(sequence):
                peer.send(bytes((byte,)))

    return Fault("torn_ack", "window", act)


def answer_with(data: bytes, then: Ending = "answer") -> Fault:
    """Anything: another type, another version, another protocol."""

    def act(peer: Peer, _batch: Batch) -> None:
        peer.send(data)
        peer.end(then)

    return Fault("answer_with", "window", act)


def half_open() -> Fault:
    """A good answer, and no life behind it: the next window is neither read nor answered."""

    def act(peer: Peer, batch: Batch) -> None:
        _answer(peer, batch)
        peer.hold()

    return Fault("half_open", "window", act)


def accept_then_close() -> Fault:
    """A connection that ends before anything is read."""
    return Fault("accept_then_close", "connection", lambda peer, _batch: peer.close())


def reset_after_bytes(count: int) -> Fault:
    """RST as soon as so many bytes of the connection are read."""

    def act(peer: Peer, _batch: Batch) -> None:
        left = count
        while left and (data := peer.read(left)):
            left -= len(data)
        peer.reset()

    return Fault("reset_after_bytes", "connection", act)


def never_reads() -> Fault:
    """A connection whose bytes stay in the kernel: a large window cannot even be written."""
    return Fault("never_reads", "connection", lambda peer, _batch: peer.hold())


class LumberjackServer:
    """Listens on a free port of 127.0.0.1 (or as it is told) from the moment it is made until it is closed."""

    def __init__(
        self,
        mode: Mode = "logstash",
        *,
        tls: ssl.SSLContext | None = None,
        host: str = "127.0.0.1",
        port: int = 0,
        poisonous: Callable[[Any], bool] = lambda _document: False,
    ) -> None:
        """`poisonous` says of which documents the server chokes, whenever it meets them."""
        self.mode: Mode = mode
        self._poisonous = poisonous
        self.stopping = threading.Event()
        self._tls = tls
        self._changed = threading.Condition()
        self._events: list[Any] = []
        self._windows: list[int] = []
        self._failures: list[str] = []
        self._connections = 0
        self._ended = 0
        self._met = Counter[str]()
        self._script: deque[Fault] = deque()
        self._peers: list[Peer] = []
        self._threads: list[threading.Thread] = []
        self._listener = socket.create_server((host, port))
        self.port: int = self._listener.getsockname()[1]
        self._acceptor = threading.Thread(target=self._accept, name="lumberjack-accept", daemon=True)
        self._acceptor.start()

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def events(self) -> list[Any]:
        """Every document that was taken, in order, as often as it was sent."""
        with self._changed:
            return list(self._events)

    @property
    def windows(self) -> list[int]:
        """How many events each complete window had."""
        with self._changed:
            return list(self._windows)

    @property
    def connections(self) -> int:
        """How many there were so far."""
        return self._connections

    @property
    def ended(self) -> int:
        """How many of them are over."""
        return self._ended

    @property
    def failures(self) -> list[str]:
        """Why the server ended connections: bytes that it refused, handshakes that failed."""
        with self._changed:
            return list(self._failures)

    @property
    def met(self) -> Counter[str]:
        """How many connections and windows met which fault."""
        with self._changed:
            return Counter(self._met)

    def script(self, *faults: Fault) -> None:
        """Put these at the end of what goes wrong."""
        with self._changed:
            self._script.extend(faults)

    def wait_for(self, condition: Callable[[], object], seconds: float = _DEADLINE_SECONDS) -> None:
        """Return once the condition holds. Raises TimeoutError with what there is by then."""
        with self._changed:
            if not self._changed.wait_for(lambda: bool(condition()), seconds):
                raise TimeoutError(f"{len(self._events)} events, windows {self._windows}, failures {self._failures}")

    def take(self, documents: tuple[Any, ...]) -> None:
        """Keep documents as received."""
        with self._changed:
            self._events.extend(documents)
            self._changed.notify_all()

    def close(self) -> None:
        self.stopping.set()
        with suppress(OSError):
            # accept() does not notice that its socket is closed
            socket.create_connection(("127.0.0.1", self.port), 1.0).close()
        self._acceptor.join()
        self._listener.close()
        for peer in list(self._peers):
            with suppress(OSError):
                peer.socket.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(_DEADLINE_SECONDS)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _accept(self) -> None:
        while True:
            connection, _ = self._listener.accept()
            if self.stopping.is_set():
                connection.close()
                return
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with self._changed:
                self._connections += 1
                self._changed.notify_all()
            thread = threading.Thread(target=self._serve, args=(connection,), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _serve(self, connection: socket.socket) -> None:
        peer = Peer(self, connection)
        self._peers.append(peer)
        try:
            if self._tls is not None:
                wrapped = self._tls.wrap_socket(connection, server_side=True, do_handshake_on_connect=False)
                peer.socket = wrapped
                wrapped.do_handshake()
            fault = self._next("connection")
            if fault is not None:
                fault.act(peer, Batch((), ()))
            reader = READERS[self.mode]()
            while peer.open and (data := peer.read()):
                for batch in reader.feed(data):
                    self._answer(peer, batch)
                    if not peer.open:
                        break
        except RefusedError as error:
            self._fail(f"refused: {error}")
            self.take(error.taken)
            peer.reset() if error.reset else peer.close()
        except OSError as error:
            self._fail(f"connection: {error}")
        finally:
            peer.socket.close()
            with self._changed:
                self._peers.remove(peer)
                self._ended += 1
                self._changed.notify_all()

    def _answer(self, peer: Peer, batch: Batch) -> None:
        with self._changed:
            self._windows.append(len(batch.documents))
            self._changed.notify_all()
        for place, document in enumerate(batch.documents):
            if self._poisonous(document):
                raise RefusedError("a poisonous event", reset=True, taken=batch.documents[:place])
        fault = self._next("window")
        (fault.act if fault is not None else _answer)(peer, batch)

    def _next(self, moment: str) -> Fault | None:
        with self._changed:
            if not self._script or self._script[0].moment != moment:
                return None
            self._met[self._script[0].name] += 1
            return self._script.popleft()

    def _fail(self, message: str) -> None:
        with self._changed:
            self._failures.append(message)
            self._changed.notify_all()


def _answer(peer: Peer, batch: Batch) -> None:
    peer.server.take(batch.documents)
    for sequence in batch.acks:
        peer.send(encode_ack(sequence))
