"""The short way of a small request that comes whole: no task, and of a head that was read before, no reading again.

Events that come alone cost mostly what HTTP costs. A task for each is half of that; and who sends them repeats the
bytes of the head, so that what they mean is known when the same bytes come again.
"""

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple, cast

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from topmast_exporter.web import Headers, Reply

# Clients differ in their heads by the length of the body.
MAX_HEADS = 512
MAX_HEAD_BYTES = 1_024
_END_OF_HEAD = b"\r\n\r\n"


class AtOnce(NamedTuple):
    """The way of a request that is small and came whole: without a task, which would cost more than it does."""

    url: bytes
    """Of the requests, all of them POST."""
    admit: Callable[[Headers], object | None]
    """Says what a head means, as `take` knows it; None: the application is asked."""
    take: Callable[[Any, bytes, Reply], bool]
    """Takes that and a body; False: it is not plain, nothing has happened yet, and the application is asked."""


class Heads:
    """Heads that come again: of requests that were taken at once, by what they mean, and of answers. Bounded."""

    def __init__(self) -> None:
        self._known: dict[bytes, tuple[int, object]] = {}
        self._usual: Headers = ()
        self._answers: dict[tuple[int, str], bytes] = {}

    def known(self, head: bytes, body: bytes) -> object | None:
        """Return what the head means; None where it is not known, or the body is not as long as it says."""
        length, admitted = self._known.get(head, (-1, None))
        return admitted if length == len(body) else None

    def learn(self, request: bytes, body: bytes, admitted: object) -> None:
        """Remember the head of a request that was nothing but this head and this body."""
        head, _, rest = request.partition(_END_OF_HEAD)
        if rest == body and len(head) <= MAX_HEAD_BYTES:
            if len(self._known) >= MAX_HEADS:
                self._known.clear()
            self._known[head] = len(body), admitted

    def of_answer(self, status: int, content_type: str, usual: Headers) -> bytes:
        """Return an answer's head up to the length of its body. `usual` is another list when the date is another."""
        if usual is not self._usual:
            self._answers.clear()
            self._usual = usual
        head = self._answers.get((status, content_type))
        if head is None:
            lines = b"".join([b"%b: %b\r\n" % each for each in usual])
            head = b"%b%bcontent-type: %b\r\n" % (STATUS_LINE[status], lines, content_type.encode())
            self._answers[status, content_type] = head
        return head


class Joined:
    """A transport that sends what is written before the loop turns as one: an answer's head goes with its body."""

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._loop = asyncio.get_running_loop()
        self._parts: list[bytes] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def write(self, data: bytes) -> None:
        if not self._parts:
            self._loop.call_soon(self._flush)
        self._parts.append(data)

    def send(self, data: bytes) -> None:
        """Send what is whole, without waiting for more."""
        self._flush()
        self._transport.write(data)

    def close(self) -> None:
        self._flush()
        self._transport.close()

    def _flush(self) -> None:
        if self._parts:
            parts, self._parts = self._parts, []
            self._transport.write(b"".join(parts))


class _Taken:
    """A request that was taken at once, where uvicorn has the cycle of one that has a task."""

    __slots__ = ("disconnected", "keep_alive", "response_complete")

    message_event = asyncio.Event()  # nobody waits for it

    def __init__(self) -> None:
        self.disconnected = self.response_complete = False
        self.keep_alive = True


class AtOnceProtocol(HttpToolsProtocol):
    """One connection, whose transport is Joined."""

    at_once: AtOnce | None = None
    heads: Heads
    """Those that the listener's connections have seen."""
    _held: list[bytes] | None = None
    """The body, so far, of a request that may be taken at once."""
    _admitted: object | None = None
    """What its head means."""
    _between = True
    """Whether the parser stands between two requests: all that was sent so far was read to its end."""
    _whole = b""
    """What came, when the parser stood there."""
    _answered_at = 0.0

    def is_idle(self) -> bool:
        """Return whether no request of this connection is being answered."""
        return self.cycle is None or bool(self.cycle.response_complete)

    def data_received(self, data: bytes) -> None:
        if self._between and self.at_once is not None:
            if self._take_known(data):
                return
            self._whole = data
        super().data_received(data)
        self._whole = b""
        if self._held is not None and not self.transport.is_closing():
            self._take_slowly()  # not all of it came

    def on_message_begin(self) -> None:
        self._between = False
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        self._admitted = self._admit()
        if self._admitted is None:
            super().on_headers_complete()
        else:
            self._held = []

    def on_body(self, body: bytes) -> None:
        if self._held is None:
            super().on_body(body)
        else:
            self._held.append(body)

    def on_message_complete(self) -> None:
        self._between = not self.parser.should_upgrade()
        if self._held is not None:
            body = b"".join(self._held)
            if self._take(self._admitted, body):
                self._held = None
                self.heads.learn(self._whole, body, self._admitted)
                return
            self._take_slowly()
        super().on_message_complete()

    def timeout_keep_alive_handler(self) -> None:
        """Close what was silent for so long. Answers at once do not wind the clock: it looks at the last of them."""
        left = self._answered_at + self.timeout_keep_alive - self.loop.time()
        if left > 0 or not self.is_idle():
            delay = max(left, 1.0)
            self.timeout_keep_alive_task = self.loop.call_later(delay, self.timeout_keep_alive_handler)
        else:
            super().timeout_keep_alive_handler()

    def _take_known(self, data: bytes) -> bool:
        """Take a request whose head was read before, whole; else return False, and nothing has happened."""
        head, _, body = data.partition(_END_OF_HEAD)
        admitted = self.heads.known(head, body)
        return (
            admitted is not None and self.is_idle() and not self.transport.is_closing() and self._take(admitted, body)
        )

    def _admit(self) -> object | None:
        if (
            self.at_once is not None
            and self.url == self.at_once.url
            and self.is_idle()
            and not self.transport.is_closing()
            and not self.expect_100_continue
            and self.parser.get_method() == b"POST"
            and self.parser.get_http_version() == "1.1"
            and self.parser.should_keep_alive()
            and not self.parser.should_upgrade()
        ):
            return self.at_once.admit(self.headers)
        return None

    def _take(self, admitted: object, body: bytes) -> bool:
        taken = _Taken()
        if self.at_once is None or not self.at_once.take(admitted, body, partial(self._reply, taken)):
            return False
        self.cycle = cast("Any", taken)
        return True

    def _take_slowly(self) -> None:
        """Give what is held to a task, as if it had never been held."""
        held, self._held = self._held, None
        super().on_headers_complete()
        for body in held or ():
            super().on_body(body)

    def _reply(self, taken: _Taken, status: int, body: bytes, content_type: str, headers: Headers) -> None:
        taken.response_complete = True
        if taken.disconnected or self.transport.is_closing():
            return
        head = self.heads.of_answer(status, content_type, self.server_state.default_headers)
        closing = () if taken.keep_alive else ((b"connection", b"close"),)
        lines = b"".join([b"%b: %b\r\n" % each for each in (*headers, *closing)])
        cast("Joined", self.transport).send(b"%bcontent-length: %d\r\n%b\r\n%b" % (head, len(body), lines, body))
        if not taken.keep_alive:
            self.transport.close()
        self._answered_at = self.loop.time()
        if self.timeout_keep_alive_task is None or self.pipeline:
            self.on_response_complete()
        else:
            self.server_state.total_requests += 1  # the clock of the silence runs already
