"""Receivers that fail on command: a door before the capturing receivers, open, or shut in one of five ways.

What a shut door takes it never hands on, so nothing that arrives inside was refused outside. HTTP: RFC 9112. SMTP:
RFC 5321 (421: the service is not available), STARTTLS: RFC 3207.
"""

import asyncio
import ssl
import subprocess
import threading
from collections.abc import Coroutine, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from topmast.errors import TopmastError
from topmast.layout import LOOPBACK

HOST = "receivers.drill.invalid"
"""The name whose address can be taken away."""
_PATIENCE_SECONDS = 30.0
_BLOCK = 65_536


@dataclass(frozen=True)
class Failure:
    """One way to fail. `http` and `smtp` are what a caller is answered; empty: nothing, for as long as it waits."""

    name: str
    http: bytes = b""
    smtp: bytes = b""
    tls: bool = False
    """The door speaks TLS, and shut it shows a certificate that nobody signed."""
    named: bool = False
    """The door is reached by a name, and shut the name has no address."""


FAILURES: Sequence[Failure] = (
    Failure("500", b"500 Internal Server Error", b"421 4.3.0 local error\r\n"),
    Failure("429", b"429 Too Many Requests", b"421 4.7.0 too many connections\r\n"),
    Failure("timeout"),
    Failure("tls", tls=True),
    Failure("dns", named=True),
)


@dataclass(frozen=True)
class Certificates:
    """A certificate that its own file vouches for, and one of a stranger."""

    trusted: Path
    good: ssl.SSLContext
    bad: ssl.SSLContext


def certificates(folder: Path) -> Certificates:
    """Return fresh certificates. Raises TopmastError where openssl does not make them."""
    contexts = {}
    for name in ("good", "bad"):
        argv = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
        argv += ["-days", "2", "-subj", f"/CN={name}", "-addext", f"subjectAltName=IP:{LOOPBACK}"]
        argv += ["-keyout", str(folder / f"{name}.key"), "-out", str(folder / f"{name}.crt")]
        try:
            done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=60)
        except OSError as error:
            raise TopmastError(f"openssl: cannot be run: {error.strerror}") from error
        if done.returncode != 0:
            raise TopmastError(f"openssl: {done.stderr.strip()[-200:]}")
        contexts[name] = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        contexts[name].load_cert_chain(folder / f"{name}.crt", folder / f"{name}.key")
    return Certificates(folder / "good.crt", contexts["good"], contexts["bad"])


class Door:
    """The two doors (HTTP and SMTP) of one world. `http` and `smtp` are their HOST:PORT once they are open."""

    def __init__(self, failure: Failure, inside: tuple[str, str], certificates: Certificates) -> None:
        self.failure = failure
        self.http = self.smtp = ""
        self.refused = 0
        """Connections that came while it was shut."""
        self._inside, self._certificates = inside, certificates
        self._shut = False
        self._servers: list[asyncio.Server] = []
        self._connections: dict[asyncio.StreamWriter, None] = {}

    async def listen(self) -> None:
        host = HOST if self.failure.named else LOOPBACK
        context = self._certificates.good if self.failure.tls else None
        if context is not None:
            context.sni_callback = self._certificate
        http = await asyncio.start_server(self._called, LOOPBACK, 0, backlog=256, ssl=context)
        mail = await asyncio.start_server(self._mailed, LOOPBACK, 0, backlog=256)
        self._servers = [http, mail]
        self.http, self.smtp = (f"{host}:{each.sockets[0].getsockname()[1]}" for each in self._servers)

    async def close(self) -> None:
        for server in self._servers:
            server.close()
        await self.turn(shut=True)
        for server in self._servers:
            await server.wait_closed()

    def _certificate(self, connection: ssl.SSLObject, _name: str | None, _context: ssl.SSLContext) -> None:
        """Choose the certificate of a connection that begins."""
        if self._shut:
            self.refused += 1
            connection.context = self._certificates.bad

    async def turn(self, *, shut: bool) -> None:
        """Shut or open it; whoever is in it is thrown out."""
        self._shut = shut
        for writer in list(self._connections):
            writer.transport.abort()

    async def _called(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with self._inhabited(writer):
            if self._shut:
                await self._refuse(reader, writer)
            else:
                await self._hand_on(reader, writer, self._inside[0])

    async def _mailed(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with self._inhabited(writer):
            if self.failure.tls:
                context = self._certificates.bad if self._shut else self._certificates.good
                self.refused += self._shut
                reader, writer = await asyncio.wait_for(_started_tls(reader, writer, context), _PATIENCE_SECONDS)
            with self._inhabited(writer):
                if self._shut:
                    await self._refuse(reader, writer, mail=True)
                else:
                    await self._hand_on(reader, writer, self._inside[1], greeted=self.failure.tls)

    @contextmanager
    def _inhabited(self, writer: asyncio.StreamWriter) -> Iterator[None]:
        """Remember who is in the door; whoever hangs up, or does not like the certificate, is nothing to tell of."""
        self._connections[writer] = None
        try:
            yield
        except (OSError, ValueError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass
        finally:
            self._connections.pop(writer, None)
            writer.transport.abort()

    async def _hand_on(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, inside: str, *, greeted: bool = False
    ) -> None:
        host, _, port = inside.rpartition(":")
        answers, behind = await asyncio.open_connection(host, int(port))
        with self._inhabited(behind):
            if greeted:
                await answers.readline()  # the caller has had ours
            await asyncio.gather(_relay(reader, behind), _relay(answers, writer))

    async def _refuse(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, mail: bool = False
    ) -> None:
        if self.failure.tls:
            return  # whoever accepts a stranger's certificate is not let in either
        self.refused += 1
        said = self.failure.smtp if mail else self.failure.http
        if not said:
            while await reader.read(_BLOCK):  # until the caller, or the end of the outage, ends it
                pass
            return
        if not mail:
            head = await reader.readuntil(b"\r\n\r\n")
            lengths = [line.split(b":")[1] for line in head.lower().split(b"\r\n") if line.startswith(b"content-len")]
            await reader.readexactly(int(lengths[0]) if lengths else 0)
            said = b"HTTP/1.1 " + said + b"\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
        writer.write(said)
        await writer.drain()
        writer.close()
        await writer.wait_closed()


async def _started_tls(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, context: ssl.SSLContext
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Return the streams within TLS once a caller of mail has asked for it. Raises OSError where it comes to none."""
    writer.write(b"220 drill ESMTP\r\n")
    while not (line := (await reader.readline()).upper()).startswith(b"STARTTLS"):
        if not line or line.startswith(b"QUIT"):
            raise ConnectionResetError
        writer.write(b"250-drill\r\n250 STARTTLS\r\n" if line.startswith(b"EHLO") else b"502 5.5.1 TLS first\r\n")
    writer.write(b"220 2.0.0 go ahead\r\n")
    loop = asyncio.get_running_loop()
    within = asyncio.StreamReader(loop=loop)
    protocol = asyncio.StreamReaderProtocol(within, loop=loop)
    # StreamWriter.start_tls (3.11) breaks the writer of a handshake that fails.
    transport = await loop.start_tls(writer.transport, protocol, context, server_side=True)
    if transport is None:
        raise ConnectionResetError
    protocol.connection_made(transport)
    return within, asyncio.StreamWriter(transport, protocol, within, loop)


async def _relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while block := await reader.read(_BLOCK):
        writer.write(block)
        await writer.drain()
    with suppress(OSError):
        writer.close()


async def _ended() -> None:
    """Wait until whoever was in a door is gone."""
    rest = asyncio.all_tasks() - {asyncio.current_task()}
    if rest:
        await asyncio.wait(rest, timeout=_PATIENCE_SECONDS / 2)


@contextmanager
def doors(inside: tuple[str, str], made: Certificates, failures: Sequence[Failure]) -> Iterator["Doors"]:
    """Yield one pair of doors a failure before the receivers at `inside` (HTTP and SMTP, HOST:PORT)."""
    loop = asyncio.new_event_loop()
    # A handshake that fails is what this is for: asyncio need not tell of it.
    loop.set_exception_handler(lambda _loop, _context: None)
    thread = threading.Thread(target=loop.run_forever, name="doors", daemon=True)
    thread.start()
    try:
        found = Doors(loop, [Door(failure, inside, made) for failure in failures])
        found.each("listen")
        yield found
    finally:
        found.each("close")
        asyncio.run_coroutine_threadsafe(_ended(), loop).result(_PATIENCE_SECONDS)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()


@dataclass(frozen=True)
class Doors:
    """All doors, and the loop that they live in."""

    loop: asyncio.AbstractEventLoop
    all: Sequence[Door]

    def each(self, what: str, **options: Any) -> None:
        for door in self.all:
            work: Coroutine[Any, Any, None] = getattr(door, what)(**options)
            asyncio.run_coroutine_threadsafe(work, self.loop).result(_PATIENCE_SECONDS)
