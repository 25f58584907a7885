"""Redis and Valkey: INFO in one round trip under redis_exporter's names, and the keys of each cache namespace.

Commands and what they cost a server (measured, 1 M keys): INFO everything 14 µs, SLOWLOG LEN and LATENCY LATEST
0.2 µs, LATENCY HISTOGRAM 39 µs, CONFIG GET of one key 25 µs; never KEYS, MONITOR, DEBUG or a script.
ACL that is enough: `+info +ping +dbsize +scan +pttl +memory|usage +slowlog|len +slowlog|get +latency|latest
+latency|histogram +config|get ~*`.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from topmast_exporter import deadline_socket, redis_latency, redis_library
from topmast_exporter.collector import Collector, Reading, secret, secret_properties
from topmast_exporter.errors import CollectError
from topmast_exporter.redis_info import number
from topmast_exporter.redis_info import parse as parse_info
from topmast_exporter.redis_namespaces import NamespaceScan

# A longer INFO is no INFO: real ones have 6 to 60 kB.
MAX_INFO_BYTES = 8 * 2**20

# Empty databases are shown at 0 up to this one; the default is 16.
MAX_DATABASES = 64


@dataclass(frozen=True)
class Config:
    """One Redis or Valkey server; of a cluster each node is a target of its own, and its keys are that node's."""

    target: str
    url: str = field(repr=False)
    """`redis://[USER@]HOST:PORT/DB`, `rediss://…` for TLS, `unix://PATH`."""
    password_file: str = ""
    password_env: str = ""
    """The name of a variable, in place of a file."""
    ca_file: str = ""
    """Of rediss://, in place of the system's authorities."""
    namespaces: Mapping[str, str] = field(default_factory=dict)
    """NAME: glob of its keys, the first match counts; empty scans nothing."""
    interval_seconds: float = 15.0
    timeout_seconds: float = 2.0
    scan_interval_seconds: float = 30.0
    scan_budget_calls: int = 100


PROPERTIES: Mapping[str, Any] = {
    "url": {"type": "string", "pattern": "^(redis|rediss|unix)://"},
    **secret_properties("password"),
    "ca_file": {"type": "string"},
    "namespaces": {
        "type": "object",
        "maxProperties": 50,
        "propertyNames": {"pattern": "^[a-z][a-z0-9_]{0,63}$"},
        "additionalProperties": {"type": "string", "minLength": 1, "maxLength": 256},
    },
    "scan_interval_seconds": {"type": "number", "minimum": 1},
    "scan_budget_calls": {"type": "integer", "minimum": 1, "maximum": 10_000},
}


def parse(answers: Mapping[str, Any]) -> Reading:
    """Return the metrics of one refresh. `answers` is what each of COMMANDS answered; an exception is a refusal.

    Raises CollectError when there is no INFO.
    """
    info = answers["info"]
    if isinstance(info, Exception):
        raise CollectError(f"INFO: {info}", _reason(info))
    if not isinstance(info, bytes) or len(info) > MAX_INFO_BYTES or b":" not in info:
        raise CollectError("INFO: not an answer of Redis", "protocol")
    reading = parse_info(info.decode("utf-8", "replace"))
    maximum = reading.value("redis_max_clients")
    if maximum is None:
        maximum = _setting(answers["config_maxclients"])  # before 7.0 INFO has no maxclients
    reading.gauge("redis_config_maxclients", "maxclients of CONFIG.", maximum)
    if isinstance(answers["config_maxmemory"], Exception):
        reading.leave_out("CONFIG GET", str(answers["config_maxmemory"]))
    reading.gauge("redis_config_maxmemory", "maxmemory of CONFIG.", _setting(answers["config_maxmemory"]))
    reading.gauge("redis_config_io_threads", "io-threads of CONFIG.", _setting(answers["config_io_threads"]))
    for number_of in range(min(MAX_DATABASES, int(_setting(answers["config_databases"]) or 0))):
        if reading.value("redis_db_keys", db=f"db{number_of}") is None:  # INFO leaves the empty ones out
            reading.gauge("redis_db_keys", "Keys by database.", 0.0, db=f"db{number_of}")
            reading.gauge("redis_db_keys_expiring", "Keys with a TTL by database.", 0.0, db=f"db{number_of}")
    _slow_log(reading, answers["slowlog_len"], answers["slowlog_last"])
    if isinstance(answers["latency_latest"], Exception):
        reading.leave_out("LATENCY LATEST", str(answers["latency_latest"]))
    else:
        for name, at, last_milliseconds, *_ in answers["latency_latest"]:
            event = {"event_name": name.decode("utf-8", "replace")}
            reading.gauge("redis_latency_spike_last", "Unix time of the last latency spike.", float(at), **event)
            seconds = float(last_milliseconds) / 1000
            reading.gauge("redis_latency_spike_duration_seconds", "Length of the last spike.", seconds, **event)
    redis_latency.read_into(reading, answers["latency_histogram"], _spent(reading))
    return reading


def _spent(reading: Reading) -> dict[str, float]:
    """Return the microseconds of each command, as INFO has them."""
    return {
        sample.labels["cmd"]: float(round(sample.value * 1e6))
        for metric in reading.metrics()
        if metric.name == "redis_commands_duration_seconds"
        for sample in metric.samples
    }


def _setting(answer: Any) -> float | None:
    """Return the number of a CONFIG GET, None when it was refused or is none."""
    pair = [] if isinstance(answer, Exception) else list(answer)
    return number(pair[1].decode("utf-8", "replace")) if len(pair) == 2 else None


def _slow_log(reading: Reading, length: Any, last: Any) -> None:
    if isinstance(length, Exception):
        reading.leave_out("SLOWLOG LEN", str(length))
        return
    reading.gauge("redis_slowlog_length", "Entries in the slow log.", float(length))
    if isinstance(last, Exception):  # an ACL may allow the one and not the other
        reading.leave_out("SLOWLOG GET", str(last))
        return
    # of an entry its number and time alone: what was asked may be somebody's secret
    entry = last[0] if last else (0, 0, 0)
    reading.gauge("redis_slowlog_last_id", "Number of the last slow command.", float(entry[0]))
    seconds = float(entry[2]) / 1e6
    reading.gauge("redis_last_slow_execution_duration_seconds", "Time the last slow command took.", seconds)


COMMANDS: Mapping[str, tuple[str, ...]] = {
    "info": ("INFO", "everything"),
    "slowlog_len": ("SLOWLOG", "LEN"),
    "latency_latest": ("LATENCY", "LATEST"),
    "latency_histogram": ("LATENCY", "HISTOGRAM"),
    "slowlog_last": ("SLOWLOG", "GET", "1"),
    "config_maxclients": ("CONFIG", "GET", "maxclients"),
    "config_maxmemory": ("CONFIG", "GET", "maxmemory"),
    "config_io_threads": ("CONFIG", "GET", "io-threads"),
    "config_databases": ("CONFIG", "GET", "databases"),
}


class RedisSource:
    """One server, one kept connection."""

    def __init__(self, config: Config) -> None:
        redis_library.load()  # here, in one thread: two that import it at the same time meet it half made
        self._config = config
        self._connection: Any = None
        self._socket: deadline_socket.WatchedSocket | None = None
        self._deadline = 0.0
        self._scan = NamespaceScan(config.namespaces, config.scan_budget_calls) if config.namespaces else None
        self._scan_due = 0.0
        self._scan_refused: str | None = None

    def collect(self) -> Reading:
        from redis.exceptions import RedisError

        self._deadline = time.monotonic() + self._config.timeout_seconds
        try:
            if self._connection is None:
                self._connect()
            answers = dict(zip(COMMANDS, self.run(list(COMMANDS.values())), strict=True))
            whole = answers["info"]
            if isinstance(whole, Exception) or whole == b"":  # refused, or a word that it does not know (before 6.0)
                answers["info"] = self.run([("INFO",)])[0]
            reading = parse(answers)
            if isinstance(whole, Exception):
                reading.leave_out("INFO everything", str(whole))
            if self._scan is not None:
                self._continue_scan(self._scan, reading)
        except (RedisError, OSError) as error:
            self.close()
            raise CollectError(f"{self._where()}: {error}", _reason(error)) from error
        except CollectError:
            self.close()
            raise
        return reading

    def run(self, commands: Sequence[Sequence[object]]) -> list[Any]:
        """Return the answers of one round trip, error replies in their places. Raises past the deadline."""
        from redis.exceptions import ResponseError

        if self._socket is not None:
            self._socket.allow(self._deadline)
        if time.monotonic() > self._deadline:
            raise CollectError(f"{self._where()}: not done in {self._config.timeout_seconds:g} s", "timeout")
        connection = self._connection
        connection.send_packed_command(connection.pack_commands(commands), check_health=False)
        answers: list[Any] = []
        for _ in commands:
            try:
                answers.append(connection.read_response(timeout=max(0.001, self._deadline - time.monotonic())))
            except ResponseError as error:
                answers.append(error)
        return answers

    def swept(self) -> bool:
        """Return whether a whole sweep has ended: what is shown of the namespaces is counted, no estimate."""
        return self._scan is None or self._scan.swept

    def close(self) -> None:
        connection, self._connection, self._socket = self._connection, None, None
        if connection is not None:
            connection.disconnect()

    def _continue_scan(self, scan: NamespaceScan, reading: Reading) -> None:
        from redis.exceptions import ResponseError

        now = time.monotonic()
        if now >= self._scan_due:
            self._scan_refused = None
            try:
                scan.tick(self.run)
            except ResponseError as error:
                self._scan_refused = str(error)
            self._scan_due = now + self._config.scan_interval_seconds
        if self._scan_refused is not None:  # until it is asked again
            reading.leave_out("SCAN", self._scan_refused)
        if scan.sizes_refused is not None:
            reading.leave_out("MEMORY USAGE", scan.sizes_refused)
        scan.read_into(reading)

    def _connect(self) -> None:
        from redis.backoff import NoBackoff
        from redis.connection import Connection, parse_url
        from redis.retry import Retry

        options = dict(parse_url(self._config.url))  # type: ignore[no-untyped-call]  # the library has no types here
        kind = options.pop("connection_class", Connection)
        if password := secret(self._config.password_file, self._config.password_env):
            options["password"] = password
        if self._config.ca_file:
            options["ssl_ca_certs"] = self._config.ca_file
        timeout = self._config.timeout_seconds
        options |= {"socket_timeout": timeout, "retry": Retry(NoBackoff(), 0)}
        if "path" not in options:
            options["socket_connect_timeout"] = timeout
        connection = _watching(kind, self._watch)(
            protocol=2, **options
        )  # RESP 2 has one shape on every server since 2.8
        connection.connect()
        self._connection = connection
        self.run([("CLIENT", "SETNAME", "topmast-exporter")])  # for people at CLIENT LIST; an ACL may refuse it

    def _watch(self, connected: Any) -> deadline_socket.WatchedSocket:
        self._socket = deadline_socket.WatchedSocket(connected)
        self._socket.allow(self._deadline)
        return self._socket

    def _where(self) -> str:
        parts = urlsplit(self._config.url)
        return parts.netloc.rpartition("@")[2] or parts.path  # never the password


def _watching(kind: Any, watch: Callable[[Any], Any]) -> Any:
    """Return the library's class of connections with `watch` around each socket that it connects."""

    class Watching(kind):  # type: ignore[misc]  # which class it is, the URL says
        def _connect(self) -> Any:
            return watch(super()._connect())

    return Watching


def _reason(error: Exception) -> str:
    from redis import exceptions

    if isinstance(error.__context__, deadline_socket.TooLongError):
        return "protocol"
    text = str(error)
    if isinstance(error, (exceptions.TimeoutError, TimeoutError)):
        return "timeout"
    if isinstance(error, exceptions.AuthenticationError) or text.startswith(("NOAUTH", "WRONGPASS")):
        return "authentication"
    if isinstance(error, exceptions.NoPermissionError) or text.startswith(("NOPERM", "ERR unknown command")):
        return "permission"
    if isinstance(error, (exceptions.InvalidResponse, exceptions.ResponseError)):
        return "protocol"
    return "connection"


COLLECTOR = Collector(
    name="redis",
    summary="Redis and Valkey: redis_exporter's names, and the keys, bytes and TTL of each cache namespace.",
    config=Config,
    properties=PROPERTIES,
    required=("url",),
    build=RedisSource,
    up="redis_up",
    up_documentation="Whether the last refresh of this server succeeded.",
)
