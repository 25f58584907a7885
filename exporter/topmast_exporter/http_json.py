"""JSON over one kept HTTP connection with a deadline and a bound: how the servers with a REST interface are read.

No redirect is followed and no proxy is asked: the address is a configured one, and a password goes nowhere else.
"""

import base64
import http.client
import json
import ssl
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from topmast_exporter import deadline_socket
from topmast_exporter.collector import Reading, secret, secret_properties
from topmast_exporter.errors import CollectError

# What every collector of this kind takes beside its own options.
PROPERTIES: Mapping[str, Any] = {
    "url": {"type": "string", "pattern": "^https?://[^/@?#]+(/[^?#]*)?$"},
    "user": {"type": "string", "minLength": 1},
    **secret_properties("password"),
    **secret_properties("api_key"),
    "ca_file": {"type": "string"},
}


@dataclass(frozen=True)
class Config:
    """Where a server is, and as whom it is asked: the options of every collector of this kind."""

    target: str
    url: str
    user: str = ""
    password_file: str = ""
    password_env: str = ""
    """The name of a variable, in place of a file."""
    api_key_file: str = ""
    """The Base64 form that Elasticsearch and Kibana give out; in place of user and password."""
    api_key_env: str = ""
    ca_file: str = ""
    interval_seconds: float = 15.0
    timeout_seconds: float = 5.0

    def authorization(self) -> str:
        """Return the header's value, "" without one; secrets are read anew each time. Raises CollectError."""
        if key := secret(self.api_key_file, self.api_key_env):
            return f"ApiKey {key}"
        if self.user:
            password = secret(self.password_file, self.password_env)
            return "Basic " + base64.b64encode(f"{self.user}:{password}".encode()).decode()
        return ""


class HttpJson:
    """One server."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._parts = urlsplit(config.url)
        self._connection: http.client.HTTPConnection | None = None
        self._socket: Any = None
        self._authorization = ""

    def get(self, path: str, deadline: float, accepted: Collection[int] = (200,)) -> Any:
        """Return the JSON at `path` by `deadline` (of time.monotonic). Raises CollectError; no secret is in it."""
        where = f"{self._parts.netloc}{path.partition('?')[0]}"
        try:
            status, body = self._exchange(path, deadline)
        except TimeoutError as error:
            self.close()
            raise CollectError(f"{where}: no answer in time", "timeout") from error
        except deadline_socket.TooLongError as error:
            self.close()
            raise CollectError(f"{where}: {error}", "protocol") from error
        except (OSError, ssl.SSLError) as error:
            self.close()
            raise CollectError(f"{where}: {_said(error)}", "connection") from error
        except http.client.HTTPException as error:
            self.close()
            raise CollectError(f"{where}: not an answer of HTTP: {type(error).__name__}", "protocol") from error
        if status in (401, 403):
            self.close()  # the next one reads the secret again
            raise CollectError(f"{where}: status {status}", "authentication" if status == 401 else "permission")
        if status not in accepted:
            raise CollectError(f"{where}: status {status}", "protocol")
        try:
            return json.loads(body)
        except (ValueError, RecursionError) as error:
            raise CollectError(f"{where}: not JSON: {body[:40]!r}", "protocol") from error

    def close(self) -> None:
        """Let go of the connection."""
        connection, self._connection, self._socket = self._connection, None, None
        if connection is not None:
            connection.close()

    def _exchange(self, path: str, deadline: float) -> tuple[int, bytes]:
        kept = self._connection is not None
        try:
            return self._once(path, deadline)
        except (ConnectionError, http.client.BadStatusLine):
            # a kept connection that the server closed meanwhile is no failure of the server
            self.close()
            if not kept:
                raise
            return self._once(path, deadline)

    def _once(self, path: str, deadline: float) -> tuple[int, bytes]:
        connection = self._connection or self._connect(deadline)
        self._socket.allow(deadline)
        headers = {"Accept": "application/json", "User-Agent": "topmast-exporter"}
        if self._authorization:
            headers["Authorization"] = self._authorization
        connection.request("GET", self._parts.path.rstrip("/") + path, headers=headers)
        answer = connection.getresponse()
        body = answer.read()
        if answer.will_close:
            self.close()
        return answer.status, body

    def _connect(self, deadline: float) -> http.client.HTTPConnection:
        self._authorization = self._config.authorization()
        secure = self._parts.scheme == "https"
        host, port = self._parts.hostname or "", self._parts.port or (443 if secure else 80)
        plain = deadline_socket.connect((host, port), deadline)
        try:
            self._socket = plain
            if secure:
                self._socket = deadline_socket.tls_context(self._config.ca_file).wrap_socket(
                    plain, server_hostname=host
                )
        except BaseException:
            plain.close()
            raise
        connection = http.client.HTTPConnection(host, port)
        connection.auto_open = 0  # never a socket without our bounds
        connection.sock = self._socket
        self._connection = connection
        return connection


class OneAnswer:
    """The source of a collector that reads one server by one answer, over one kept connection."""

    def __init__(
        self, config: Config, path: str, parse: Callable[[Any], Reading], accepted: Collection[int] = (200,)
    ) -> None:
        self._http = HttpJson(config)
        self._timeout = config.timeout_seconds
        self._path = path
        self._parse = parse
        self._accepted = accepted

    def collect(self) -> Reading:
        return self._parse(self._http.get(self._path, time.monotonic() + self._timeout, self._accepted))

    def close(self) -> None:
        self._http.close()


def _said(error: BaseException) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"the certificate is refused: {error.verify_message}"
    return " ".join(str(error).split())[:200] or type(error).__name__


def walk(document: Any, path: str) -> Any:
    """Return what is at `a.b.c`, None when it is not there."""
    for part in path.split("."):
        if not isinstance(document, Mapping):
            return None
        document = document.get(part)
    return document


def number(document: Any, path: str, unit: float = 1.0) -> float | None:
    """Return the number at `a.b.c` times `unit`, None when there is none."""
    value = walk(document, path)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return value * unit
