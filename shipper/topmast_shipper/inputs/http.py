"""Takes lines over HTTP: NDJSON, JSON arrays or text, gzip or not; a token, or a body signed with HMAC.

`POST /` (any path) answers 200 `{"accepted": n}` when the records are in the spool, 429 with Retry-After when it is
full: nothing of that request was taken. Log drains of hosting platforms sign their bodies (x-vercel-signature,
x-hub-signature-256: hex of HMAC over the bytes as sent). Framing: RFC 9110, RFC 9112; Heroku's application/logplex-1.
"""

import hashlib
import hmac
import json
import logging
import socket
import ssl
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import BoundedSemaphore, Thread
from typing import Any, NamedTuple, cast

import orjson

from topmast_shipper import listening, redacting, rooms
from topmast_shipper.component import Input, Kind, Parser
from topmast_shipper.errors import ConfigError, StateError
from topmast_shipper.placing import PATH
from topmast_shipper.push import MAX_SPOOL_BYTES, FullError, Pushed
from topmast_shipper.rooms import Setting

_log = logging.getLogger(__name__)
_MAX_CONNECTIONS = 64
_TIMEOUT_SECONDS = 30.0
_RETRY_AFTER_SECONDS = 5


@dataclass(frozen=True)
class Config:
    """Where it listens, who may send, and how much."""

    name: str
    listen: str = "127.0.0.1:9472"
    service: str = ""
    parser: Any = "auto"
    redact: Any = False
    token_file: str = ""
    """Sent as `Authorization: Bearer …`."""
    hmac_secret_file: str = ""
    hmac_header: str = "x-vercel-signature"
    hmac_algorithm: str = "sha1"
    tls_certificate: str = ""
    tls_key: str = ""
    max_body_bytes: int = 16 << 20
    """Of one request, unpacked."""
    max_spool_bytes: int = MAX_SPOOL_BYTES


class _Door(NamedTuple):
    """Where it listens, and what a sender must know."""

    place: tuple[str, int]
    token: bytes
    hmac: bytes
    context: ssl.SSLContext | None


class RefusedError(Exception):
    """A request that is not taken; the status says why."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status


class HttpInput(Pushed):
    """One listener and its spool."""

    def __init__(self, config: Config, parser: Parser, setting: Setting) -> None:
        door = _door(config, setting.base)
        super().__init__(config, parser, setting)
        self._config = config
        self._token, self._hmac = door.token, door.hmac
        try:
            self._server = _Server(door.place, self)
        except OSError as error:
            super().close()
            raise StateError(f"{config.listen}: {error.strerror}") from error
        self._server.context = door.context
        # how often it looks whether it is to close
        serve = partial(self._server.serve_forever, poll_interval=0.05)
        Thread(target=serve, name=f"http {config.name}", daemon=True).start()

    @property
    def address(self) -> str:
        return f"{self._server.server_address[0]!s}:{self._server.server_address[1]}"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        super().close()

    def take(self, headers: Mapping[str, str], body: bytes) -> int:
        """Return how many records of a request are in the spool now. Raises RefusedError or FullError."""
        config = self._config
        self.admit(headers)
        if self._hmac:
            said = headers.get(config.hmac_header, "").rpartition("=")[2].strip().lower()
            if not hmac.compare_digest(said, hmac.new(self._hmac, body, config.hmac_algorithm).hexdigest()):
                raise RefusedError(401, f"{config.hmac_header} is not the signature of this body")
        encoding = headers.get("content-encoding", "identity").lower()
        if encoding in ("gzip", "deflate"):
            body = unpack(body, config.max_body_bytes)
        elif encoding != "identity":
            raise RefusedError(415, f"content-encoding {encoding[:40]!r}: gzip, deflate or none")
        lines = list(records_of(body, headers.get("content-type", "")))
        if lines:
            self.put(lines)
        return len(lines)

    def admit(self, headers: Mapping[str, str]) -> None:
        """Raise RefusedError when the token is not the right one; asked before the body is read."""
        if self._token:
            said = headers.get("authorization", "").partition(" ")[2].strip()
            if not hmac.compare_digest(said.encode(), self._token):
                raise RefusedError(401, "Authorization: Bearer with the token of token_file")


def unpack(body: bytes, max_bytes: int) -> bytes:
    """Return what was packed with gzip or zlib. Raises RefusedError for more than `max_bytes`, or other data."""
    unpacking = zlib.decompressobj(zlib.MAX_WBITS | 32)
    try:
        data = unpacking.decompress(body, max_bytes + 1)
        while unpacking.eof and unpacking.unused_data and len(data) <= max_bytes:
            # gzip files may follow each other (RFC 1952)
            following = unpacking.unused_data
            unpacking = zlib.decompressobj(zlib.MAX_WBITS | 32)
            data += unpacking.decompress(following, max_bytes + 1 - len(data))
    except zlib.error as error:
        raise RefusedError(400, f"not gzip: {error}") from error
    if len(data) > max_bytes:
        raise RefusedError(413, f"more than {max_bytes} bytes, unpacked")
    if not unpacking.eof:
        raise RefusedError(400, "the gzip data ends in the middle")
    return data


def records_of(body: bytes, kind: str) -> Iterator[bytes]:
    """Yield the records of a body: a JSON array's items, one JSON object, Heroku's frames, else its lines."""
    if kind.startswith("application/logplex-1"):
        yield from frames(body)
        return
    start = body[:64].lstrip()[:1]
    if start == b"[" or (start == b"{" and b"\n" in body.rstrip()):
        try:
            value = orjson.loads(body)
        except orjson.JSONDecodeError:
            pass  # NDJSON, or what is no JSON: its lines
        else:
            yield from (orjson.dumps(each) for each in (value if isinstance(value, list) else [value]))
            return
    for line in body.split(b"\n"):
        stripped = line.strip()
        if stripped:
            yield stripped


def frames(body: bytes) -> Iterator[bytes]:
    """Yield the records of octet-counted frames (`83 <40>1 …`); what follows a broken frame is one record."""
    position = 0
    while position < len(body):
        blank = body.find(b" ", position, position + 12)
        count = body[position:blank]
        if blank < 0 or not count.isdigit():
            yield body[position:]
            return
        record = body[blank + 1 : blank + 1 + int(count)].strip()
        if record:
            yield record
        position = blank + 1 + int(count)


class _Server(ThreadingHTTPServer):
    """A thread a connection, at most so many."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, address: tuple[str, int], owner: HttpInput) -> None:
        self.owner = owner
        self.context: ssl.SSLContext | None = None
        self._places = BoundedSemaphore(_MAX_CONNECTIONS)
        if ":" in address[0]:
            self.address_family = socket.AF_INET6
        super().__init__(address, _Handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        if not self._places.acquire(timeout=_TIMEOUT_SECONDS):
            self.shutdown_request(request)
            return
        super().process_request(request, client_address)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            request.settimeout(_TIMEOUT_SECONDS)
            if self.context is not None:
                request = self.context.wrap_socket(request, server_side=True)
            super().process_request_thread(request, client_address)
        except OSError:
            self.shutdown_request(request)
        finally:
            self._places.release()

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ARG002 - socketserver's signature
        _log.debug("a connection of the HTTP input broke", exc_info=True)


class _Handler(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    server_version = "topmast"
    sys_version = ""
    wbufsize = -1  # an answer is one write

    def do_POST(self) -> None:
        owner = cast(_Server, self.server).owner
        headers = {name.lower(): value for name, value in self.headers.items()}
        try:
            owner.admit(headers)
            accepted = owner.take(headers, self._body(headers, owner._config.max_body_bytes))
        except RefusedError as error:
            self.close_connection = True  # its body may not have been read
            self._answer(error.status, {"error": str(error)})
        except FullError as error:
            self._answer(429, {"error": str(error)}, {"Retry-After": str(_RETRY_AFTER_SECONDS)})
        else:
            self._answer(200, {"accepted": accepted})

    def do_GET(self) -> None:
        self._answer(405, {"error": "POST lines here"}, {"Allow": "POST"})

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing: a log of the log's senders would be a log too many."""

    def _body(self, headers: Mapping[str, str], limit: int) -> bytes:
        if headers.get("transfer-encoding", "").lower() == "chunked":
            return self._chunks(limit)
        said = headers.get("content-length", "")
        if not said.isdigit():
            raise RefusedError(411, "needs Content-Length")
        if int(said) > limit:
            raise RefusedError(413, f"more than {limit} bytes")
        body = self.rfile.read(int(said))
        if len(body) < int(said):
            raise RefusedError(400, "the body ended in the middle")
        return body

    def _chunks(self, limit: int) -> bytes:
        parts: list[bytes] = []
        size = 0
        while True:
            try:
                count = int(self.rfile.readline(64).split(b";")[0], 16)
            except ValueError as error:
                raise RefusedError(400, "not a chunk") from error
            if count < 0 or size + count > limit:
                raise RefusedError(413, f"more than {limit} bytes")
            part = self.rfile.read(count)
            if len(part) < count or self.rfile.readline(3) not in (b"\r\n", b"\n"):
                raise RefusedError(400, "the body ended in the middle")
            if count == 0:
                return b"".join(parts)
            parts.append(part)
            size += count

    def _answer(self, status: int, told: Mapping[str, Any], headers: Mapping[str, str] | None = None) -> None:
        body = json.dumps(told).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(body)


def _secret(file: str, base: Path) -> bytes:
    if not file:
        return b""
    try:
        secret = (base / file).read_bytes().strip()
    except OSError as error:
        raise ConfigError(f"{file}: {error.strerror}") from error
    if not secret:
        raise ConfigError(f"{file}: is empty")
    return secret


def _door(config: Config, base: Path) -> _Door:
    """Return what is listened with. Raises ConfigError for a secret that cannot be read, or a door without one."""
    place = listening.place(config.listen)
    token, key = _secret(config.token_file, base), _secret(config.hmac_secret_file, base)
    if not listening.is_local(place[0]) and not ((token or key) and config.tls_certificate):
        raise ConfigError(f"{config.listen}: beyond this machine only with tls_certificate and a token_file")
    if not config.tls_certificate:
        return _Door(place, token, key, None)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        context.load_cert_chain(base / config.tls_certificate, base / config.tls_key if config.tls_key else None)
    except OSError as error:
        raise ConfigError(f"{config.tls_certificate}: {error}") from error
    return _Door(place, token, key, context)


def ask(options: Mapping[str, Any]) -> Sequence[str]:
    config = Config(**{"name": "http", **options})
    _door(config, Path())
    redacting.redactor_of(config.redact, f"input {config.name}")
    return ()


def build(options: Mapping[str, Any], setting: Setting) -> Input:
    config = Config(**{"name": "http", **options})
    if config.hmac_algorithm not in hashlib.algorithms_available:
        raise ConfigError(f"hmac_algorithm: {config.hmac_algorithm!r} is not known")
    return HttpInput(config, rooms.parser(config.parser, f"input {config.name}"), setting)


INPUT = Kind[Input](
    "http",
    {
        "type": "object",
        "additionalProperties": False,
        "properties": {
            "name": {"type": "string", "pattern": "^[a-z0-9][a-z0-9_.-]{0,63}$"},
            "listen": {"type": "string", "pattern": "^([^:]+|\\[[0-9a-fA-F:]+\\]):[0-9]{1,5}$"},
            "service": {"type": "string", "maxLength": 100},
            "parser": {"type": ["string", "object"]},
            "redact": redacting.SCHEMA,
            "token_file": PATH,
            "hmac_secret_file": PATH,
            "hmac_header": {"type": "string", "pattern": "^[a-z][a-z0-9-]{0,63}$"},
            "hmac_algorithm": {"enum": ["sha1", "sha256", "sha512"]},
            "tls_certificate": PATH,
            "tls_key": PATH,
            "max_body_bytes": {"type": "integer", "minimum": 1024, "maximum": 1 << 28},
            "max_spool_bytes": {"type": "integer", "minimum": 1 << 20},
        },
    },
    build,
    ask,
)
