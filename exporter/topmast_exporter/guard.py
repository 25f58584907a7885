"""Who may ask a listener: passwords, a bearer token, a rate; and the headers of every answer.

bcrypt takes 70 ms on purpose: a verdict is remembered by a keyed hash of what was presented, so that each scrape
after the first costs nothing, and guesses are worked on two at a time, so that they cannot take the processor.
"""

import asyncio
import base64
import binascii
import hashlib
import hmac
import logging
import os
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable, MutableMapping
from pathlib import Path
from typing import Any

from topmast_exporter.errors import ConfigError
from topmast_exporter.web import App, HttpError, Receive, Scope, Send, header, refuse
from topmast_exporter.web_config import WebConfig, context, load, load_pair

log = logging.getLogger("topmast_exporter")

MAX_VERDICTS = 200
MAX_CHECKS_AT_ONCE = 2
MAX_CHECKS_WAITING = 20

# bcrypt reads no further.
MAX_PASSWORD_BYTES = 72

# Somebody who reads an answer slower than this does not want it.
ANSWER_SECONDS = 60.0

# A user who does not exist costs as much time as one who does. The hash is of nothing anybody knows.
NOBODY = "$2b$10$" + "abcdefghijklmnopqrstuu" + "Nw6Zl9Vv7f5Jm1d0o2q8xS4t3rYbKcE"


class WebFile:
    """A web.config.yml and the files that it names, read again when one of them changes."""

    def __init__(self, path: Path | None) -> None:
        """Read it. Raises ConfigError."""
        self._path = path
        self.config = load(path) if path is not None else WebConfig()
        self.context = context(self.config.tls) if self.config.tls is not None else None
        self._seen = self._times()

    @property
    def is_named(self) -> bool:
        """Whether there is a file: without one there is nobody to be asked and no header to be added."""
        return self._path is not None

    def refresh(self) -> None:
        """Read what has changed; a file that is refused changes nothing. Whether there is TLS needs a restart."""
        if self._path is None or (times := self._times()) == self._seen:
            return
        self._seen = times
        try:
            config = load(self._path)
            if (config.tls is None) != (self.config.tls is None):
                raise ConfigError(f"{self._path}: switching TLS needs a restart")
            if config.tls is not None and self.context is not None:
                context(config.tls)  # first on the side: a broken pair must not spoil the one in use
                load_pair(self.context, config.tls)
        except (ConfigError, OSError) as error:
            log.error("the web configuration is refused, the old one stays", extra={"error": str(error)})
            return
        self.config = config

    def _times(self) -> tuple[int, ...]:
        tls = self.config.tls
        files = [self._path, *((tls.cert, tls.key) if tls is not None else ())]
        return tuple(_changed_at(file) for file in files if isinstance(file, Path))


def _changed_at(file: Path) -> int:
    try:
        return os.stat(file).st_mtime_ns  # noqa: PTH116 a request's path, and this is half of Path.stat()
    except OSError:
        return 0


class Guard:
    """The ASGI application around a listener's."""

    def __init__(self, app: App, web: WebFile, token: str = "", clock: Callable[[], float] = time.monotonic) -> None:
        self.token = token
        """A bearer token that lets in, beside the users. May be changed at any time."""
        self._app = app
        self.web = web
        self._clock = clock
        self._key = secrets.token_bytes(32)
        self._verdicts: OrderedDict[bytes, bool] = OrderedDict()
        self._checking = asyncio.Semaphore(MAX_CHECKS_AT_ONCE)
        self._waiting = 0
        self._allowance = float(web.config.rate_burst)
        self._allowed_at = clock()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        self.web.refresh()
        config = self.web.config
        if config.headers:
            send = _adding(send, config.headers)
        try:
            self._take_turn(config)
            if scope["path"] not in config.open_paths:
                await self._check(scope, config)
        except HttpError as error:
            await refuse(send, error)
            return
        # one that never reads its answer is hung up on: the server logs it and closes the connection
        async with asyncio.timeout(ANSWER_SECONDS):
            await self._app(scope, receive, send)

    def _take_turn(self, config: WebConfig) -> None:
        interval = config.rate_interval_seconds
        if not interval:
            return
        now = self._clock()
        self._allowance = min(float(config.rate_burst), self._allowance + (now - self._allowed_at) / interval)
        self._allowed_at = now
        if self._allowance < 1.0:
            raise HttpError(429, "too many requests", [(b"retry-after", b"%d" % max(1, round(interval)))])
        self._allowance -= 1.0

    async def _check(self, scope: Scope, config: WebConfig) -> None:
        if not self.token and not config.users:
            return
        kind, _, given = header(scope, b"authorization").partition(" ")
        if self.token and kind.lower() == "bearer":
            if hmac.compare_digest(given.strip().encode(), self.token.encode()):
                return
        elif config.users and kind.lower() == "basic" and await self._knows(given.strip(), config):
            return
        challenge = b"Basic" if config.users else b"Bearer"
        raise HttpError(401, "Unauthorized", [(b"www-authenticate", challenge)])

    async def _knows(self, given: str, config: WebConfig) -> bool:
        try:
            user, colon, password = base64.b64decode(given, validate=True).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError):
            return False
        if not colon:
            return False
        hashed = config.users.get(user, NOBODY)
        told = b"\0".join((hashed.encode(), user.encode(), password.encode()))
        fingerprint = hmac.digest(self._key, told, hashlib.sha256)
        known = self._verdicts.get(fingerprint)
        if known is not None:
            self._verdicts.move_to_end(fingerprint)
            return known
        if self._waiting >= MAX_CHECKS_WAITING:
            raise HttpError(429, "too many passwords to check", [(b"retry-after", b"1")])
        self._waiting += 1
        try:
            async with self._checking:
                right = self._verdicts.get(fingerprint)
                if right is None:
                    right = await asyncio.to_thread(_is_password, password, hashed) and user in config.users
        finally:
            self._waiting -= 1
        self._remember(fingerprint, right)
        return right

    def _remember(self, fingerprint: bytes, right: bool) -> None:
        self._verdicts[fingerprint] = right
        if len(self._verdicts) > MAX_VERDICTS:
            # guesses make room for guesses: who is known stays known
            wrong = next((one for one, verdict in self._verdicts.items() if not verdict), None)
            del self._verdicts[next(iter(self._verdicts)) if wrong is None else wrong]


def _is_password(password: str, hashed: str) -> bool:
    import bcrypt

    try:
        return bcrypt.checkpw(password.encode()[:MAX_PASSWORD_BYTES], hashed.encode())
    except ValueError:
        return False


def _adding(send: Send, headers: tuple[tuple[bytes, bytes], ...]) -> Send:
    async def added(message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            message = {**message, "headers": [*message.get("headers", ()), *headers]}
        await send(message)

    return added
