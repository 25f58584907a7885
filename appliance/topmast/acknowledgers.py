"""Servers that acknowledge everything without looking into it, for benchmarks of who sends: they are no stores.

Each follows the frames of its protocol, answers as the real one does when all is well, and counts the events; so
that it is never what is waited for.
"""

import re
import socket
import zlib
from collections.abc import Callable
from functools import cache
from threading import Condition, Thread

from topmast_shipper.lumberjack import Compressed, Json, Window, decode, encode_ack

from topmast.errors import TopmastError

_ITEM = (
    b'{"create":{"_index":".ds-logs-app-default-2026.11.22-000001","_id":"0123456789abcdef000100000000022a",'
    b'"_version":1,"result":"created","_shards":{"total":2,"successful":1,"failed":0},"_seq_no":1,'
    b'"_primary_term":1,"status":201}}'
)
_FILTERED_ITEM = b'{"create":{"status":201}}'


Count = Callable[[int], None]
"""Told of so many more events."""


class Acknowledger:
    """Listens on a free port of 127.0.0.1 from the moment it is made, and speaks `lumberjack` or `bulk`."""

    def __init__(self, protocol: Callable[[socket.socket, Count], None]) -> None:
        self._protocol = protocol
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._listener.getsockname()[1]}"
        self._changed = Condition()
        self._events = 0
        Thread(target=self._accept, daemon=True).start()

    def wait_for(self, events: int, seconds: float) -> None:
        """Return once so many events have arrived. Raises TopmastError with how many there are by then."""
        with self._changed:
            if not self._changed.wait_for(lambda: self._events >= events, seconds):
                raise TopmastError(f"{self._events} of {events} events arrived within {seconds:g} s")

    def close(self) -> None:
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            Thread(target=self._protocol, args=(connection, self._count), daemon=True).start()

    def _count(self, events: int) -> None:
        with self._changed:
            self._events += events
            self._changed.notify_all()


def lumberjack(connection: socket.socket, count: Count) -> None:
    """Acknowledge every complete window."""
    buffer = bytearray()
    announced = plain = last = 0
    with connection:
        while data := connection.recv(1 << 20):
            buffer += data
            frames, used = decode(buffer)
            del buffer[:used]
            for frame in frames:
                if isinstance(frame, Window):
                    announced, plain = frame.events, 0
                if isinstance(frame, Json):
                    plain, last = plain + 1, frame.sequence
                if isinstance(frame, Compressed):
                    # `2J`, then the first number; pylogbeat counts on from window to window
                    head = zlib.decompressobj().decompress(frame.payload, 6)
                    last = int.from_bytes(head[2:6], "big") + announced - 1
                if isinstance(frame, Compressed) or (plain and plain == announced):
                    # as Logstash does: the highest sequence number (SHIPPING.md section 2.2)
                    connection.sendall(encode_ack(last))
                    count(announced)


def bulk(connection: socket.socket, count: Count) -> None:
    """Answer every `_bulk` request with 201 for each of its documents."""
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    with connection, connection.makefile("rb", buffering=1 << 20) as stream:
        while request := stream.readline():
            head = b""
            while (line := stream.readline()).strip():
                head += line.lower()
            length = re.search(rb"content-length: *(\d+)", head)
            body = stream.read(int(length[1])) if length else b""
            if b"content-encoding: gzip" in head:
                body = zlib.decompressobj(31).decompress(body)
            events = body.count(b"\n") // 2
            answer = _answer(events, b"filter_path" in request)
            connection.sendall(
                b"HTTP/1.1 200 OK\r\nx-elastic-product: Elasticsearch\r\ncontent-type: application/json\r\n"
                b"content-length: %d\r\n\r\n" % len(answer) + answer
            )
            count(events)


@cache
def _answer(events: int, filtered: bool) -> bytes:
    """Return what Elasticsearch answers, with the fields of each document or only those that were asked for."""
    items = b",".join([_FILTERED_ITEM if filtered else _ITEM] * events)
    head = b"" if filtered else b'"took":30,'
    return b'{%b"errors":false,"items":[%b]}' % (head, items)
