"""Events as bulk requests to Elasticsearch: one `_bulk` a window into a data stream, each event under its own id.

Action `create` with the event's id: what is sent again is answered 409 and counts as stored. That holds for each
backing index, so a window that is sent again after a rollover between the two may be there twice (SHIPPING.md
section 7.4). The official client does addresses, login and TLS; it is handed ready bytes, because a body that it
serialises costs seven times as much (section 6.5).
"""

import logging
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from elastic_transport import ConnectionError as NoConnection
from elastic_transport import NdjsonSerializer, TlsError, TransportError
from elasticsearch import ApiError, Elasticsearch, SerializationError, UnsupportedProductError

from topmast_shipper.component import Receipt, Refusal
from topmast_shipper.elasticsearch_setup import missing, set_up
from topmast_shipper.errors import ConfigError, PermanentError, TransientError
from topmast_shipper.event import Event
from topmast_shipper.sinks.elasticsearch import Config, secret
from topmast_shipper.window import of

try:
    from isal import igzip as gzip
except ImportError:  # without the extra `fast`: the same format at three times the cost
    import gzip  # type: ignore[no-redef] # the same functions

_log = logging.getLogger(__name__)

_HEADERS = {"content-type": "application/x-ndjson", "accept": "application/json", "content-encoding": "gzip"}
# Of the answer only what is read: a window's verdicts in 60 KB instead of 500.
_PARAMETERS = {"filter_path": "errors,items.*.status,items.*.error.type"}
_DUPLICATE = 409
# The queue is full, or a shard or node is not there yet: a matter of time. Any other verdict is about the event.
_BUSY = frozenset({429, 502, 503, 504})
_REFUSED_LOGIN = frozenset({401, 403})
_TOO_LARGE = 413


class _Ready(NdjsonSerializer):
    """Hands ready bytes on as they are: the client's own puts a newline behind them, also behind compressed ones."""

    def dumps(self, data: Any) -> bytes:
        return bytes(data)


class ElasticsearchSink:
    """Sends one request at a time. Retries, waits and order are the pipeline's."""

    def __init__(self, config: Config, connect: Callable[[Config], Elasticsearch] | None = None) -> None:
        self._config = config
        self._connect = connect or client
        self._client: Elasticsearch | None = None
        self._limit_bytes = config.max_request_bytes

    def send(self, window: Sequence[Event]) -> Receipt:
        """Store as many of the events as fit one request; the receipt says which were refused, and how many are done.

        Raises TransientError (nobody answers, all are too busy) or PermanentError (login, certificate, template).
        """
        columns = of(window)
        count = _fitting(columns.documents, self._limit_bytes)
        if count == 0:
            return Receipt(1, (Refusal(0, "too_large"),))
        server = self.connected()
        body = _body(columns.ids[:count], columns.documents[:count])
        try:
            answer = server.perform_request(
                "POST", f"/{self._config.data_stream}/_bulk", params=_PARAMETERS, headers=_HEADERS, body=body
            ).body
        except ApiError as error:
            if error.status_code == _TOO_LARGE:
                # one event that is too much for the server alone is refused by the next try
                self._limit_bytes = max(1, sum(map(len, columns.documents[:count])) // 2)
                raise TransientError(f"{self._where}: a request of {len(body)} bytes is too large for it") from error
            raise self._translated(error) from error
        except (TransportError, SerializationError, UnsupportedProductError) as error:
            raise self._translated(error) from error
        self._limit_bytes = min(self._config.max_request_bytes, self._limit_bytes * 2)
        items = answer.get("items", ()) if isinstance(answer, Mapping) else ()
        if len(items) != count:
            # something between us and the server: an answer is no receipt for what it does not speak of
            raise TransientError(f"{self._where}: answers with {len(items)} verdicts on {count} events")
        if answer.get("errors") is False:
            return Receipt(count)
        return self._receipt([next(iter(item.values())) for item in items])

    def close(self) -> None:
        server, self._client = self._client, None
        if server is not None:
            server.close()

    def check(self) -> str:
        """Connect and log in; look for the index template, and install nothing."""
        server = self._connect(self._config)
        try:
            lacking = missing(server, self._config.data_stream)
        except ApiError as error:
            if error.status_code != 403:
                raise self._translated(error) from error
            return f"{self._where}: answers; this login may not look at index templates"
        except (TransportError, SerializationError, UnsupportedProductError) as error:
            raise self._translated(error) from error
        finally:
            server.close()
        if lacking and self._config.setup == "check":
            raise self._lacks(lacking)
        installs = self._config.setup == "install"
        told = (
            f"{lacking}{', which the first start installs' * installs}" if lacking else "its index template is there"
        )
        return f"{self._where}: answers; the data stream is {self._config.data_stream}; {told}"

    @property
    def _where(self) -> str:
        return ", ".join(self._config.hosts)

    def connected(self) -> Elasticsearch:
        """Return a client whose server has the template, which is looked at once a connection."""
        if self._client is not None:
            return self._client
        try:
            server = self._connect(self._config)
        except ConfigError as error:  # a secret or a certificate that was there at the start
            raise PermanentError(f"{self._where}: {error}") from error
        try:
            self._prepare(server)
        except (ApiError, TransportError, SerializationError, UnsupportedProductError) as error:
            server.close()
            raise self._translated(error) from error
        except BaseException:
            server.close()
            raise
        self._client = server
        return server

    def _prepare(self, server: Elasticsearch) -> None:
        if self._config.setup == "none":
            return
        if self._config.setup == "install":
            try:
                for each in set_up(server, self._config.data_stream, self._config.retention_days):
                    _log.info("%s: %s installed", self._where, each)
                return
            except ApiError as error:
                if error.status_code != 403:
                    raise
                _log.info("%s: this login may install no index template; looking whether it is there", self._where)
        lacking = missing(server, self._config.data_stream)
        if lacking:
            raise self._lacks(lacking)

    def _lacks(self, lacking: str) -> PermanentError:
        return PermanentError(
            f"{self._where}: {lacking}; start once with a login that may write index templates and setup: install"
        )

    def _receipt(self, verdicts: Sequence[Mapping[str, Any]]) -> Receipt:
        """Return what is settled: all up to the first event that the server was too busy for."""
        refused: list[Refusal] = []
        for at, verdict in enumerate(verdicts):
            status = verdict["status"]
            if status < 300 or status == _DUPLICATE:
                continue
            kind = str(verdict.get("error", {}).get("type", status))[:80]
            if status in _BUSY:
                if at == 0:
                    raise TransientError(f"{self._where}: busy: {kind}")
                return Receipt(at, tuple(refused))
            if status in _REFUSED_LOGIN:
                raise self._login_refused(f"may not write to {self._config.data_stream}: {kind}")
            refused.append(Refusal(at, kind))
        return Receipt(len(verdicts), tuple(refused))

    def _login_refused(self, why: str) -> PermanentError:
        self.close()  # the next try reads the secrets from their files again
        return PermanentError(f"{self._where}: the login is refused: {why}")

    def _translated(self, error: Exception) -> TransientError | PermanentError:
        if isinstance(error, ApiError):
            status, reason = error.status_code, str(error.message)[:200]
            if status in _REFUSED_LOGIN:
                return self._login_refused(reason)
            if status in _BUSY or status >= 500:
                return TransientError(f"{self._where}: {status}: {reason}", _retry_after(error.meta.headers))
            return PermanentError(f"{self._where}: {status}: {reason}")
        if isinstance(error, TlsError):
            self.close()
            return PermanentError(f"{self._where}: TLS: {str(error.message)[:200]}")
        if isinstance(error, UnsupportedProductError):
            self.close()
            return PermanentError(f"{self._where}: is no Elasticsearch")
        kind = "cannot connect" if isinstance(error, NoConnection) else "no answer"
        return TransientError(f"{self._where}: {kind}: {str(error)[:200]}")


def client(config: Config) -> Elasticsearch:
    """Return the official client; secrets are read from their files now. Raises ConfigError naming the file."""
    options: dict[str, Any] = {}
    if config.api_key_file:
        options["api_key"] = secret(config.api_key_file)
    elif config.username:
        options["basic_auth"] = (config.username, secret(config.password_file))
    if config.tls is not None:
        options["ssl_context"] = config.tls.context()
    # it has a line for every request, and one for every try of it: what failed is told by the pipeline, once
    logging.getLogger("elastic_transport").setLevel(logging.WARNING)
    with warnings.catch_warnings():
        # a configuration that turns verification off has said so
        warnings.simplefilter("ignore")
        return Elasticsearch(
            list(config.hosts),
            request_timeout=config.timeout_seconds,
            max_retries=0,
            retry_on_timeout=False,
            serializers={_Ready.mimetype: _Ready()},
            **options,
        )


def _retry_after(headers: Mapping[str, str]) -> float | None:
    """Return the seconds that the server asks to wait; None when it names none (or a date)."""
    said = headers.get("retry-after", "")
    return min(float(said), 300.0) if said.isdecimal() else None


def _fitting(documents: Sequence[bytes], room: int) -> int:
    """Return how many of the first documents a request takes."""
    if sum(map(len, documents)) <= room:
        return len(documents)
    for count, document in enumerate(documents):
        room -= len(document)
        if room < 0:
            return count
    return len(documents)


def _body(ids: Sequence[str], documents: Sequence[bytes]) -> bytes:
    """Return the request, compressed: an action and a document a line each."""
    lines: list[bytes] = []
    for key, document in zip(ids, documents, strict=True):
        lines += (b'{"create":{"_id":"%b"}}' % key.encode(), document)
    lines.append(b"")
    data = b"\n".join(lines)
    packed: bytes = gzip.compress(data, 1)
    return packed
