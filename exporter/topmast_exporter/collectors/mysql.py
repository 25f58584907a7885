"""MySQL and MariaDB: mysqld_exporter's names over one kept connection, and the statements that take the most time.

A user that is enough: GRANTS below (`topmast mysql grants` prints it). What a lesser one may not read is left out and
said once. Every wait ends at the deadline of the refresh, and so does every statement, on the server.
"""

import importlib
import struct
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from topmast_exporter import deadline_socket, mysql_digests, mysql_status
from topmast_exporter.collector import Collector, Reading, secret, secret_properties
from topmast_exporter.errors import CollectError

GRANTS = (
    "CREATE USER IF NOT EXISTS {account} WITH MAX_USER_CONNECTIONS 2;",
    "GRANT PROCESS, REPLICATION CLIENT ON *.* TO {account};",
    "GRANT SELECT ON performance_schema.* TO {account};",
)
# 10.5 made a right of its own of it.
GRANTS_MARIADB = ("GRANT SLAVE MONITOR ON *.* TO {account};",)

# Each by itself: MySQL has the first, MariaDB the second, and a refusal costs only the one.
SESSION = (
    "SET SESSION max_execution_time = 2000",
    "SET SESSION max_statement_time = 2",
    "SET SESSION lock_wait_timeout = 2",
    "SET SESSION long_query_time = 10",  # our own queries do not fill the slow log
)


@dataclass(frozen=True)
class Config:
    """One MySQL or MariaDB server."""

    target: str
    host: str = "127.0.0.1"
    port: int = 3306
    socket: str = ""
    """A Unix socket, in place of host and port."""
    user: str = "topmast"
    password_file: str = ""
    password_env: str = ""
    """The name of a variable, in place of a file."""
    tls: bool = False
    ca_file: str = ""
    """Implies tls."""
    digests: bool = True
    """Read performance_schema's statement digests where it is on."""
    interval_seconds: float = 15.0
    timeout_seconds: float = 5.0


PROPERTIES: Mapping[str, Any] = {
    "host": {"type": "string", "minLength": 1},
    "port": {"type": "integer", "minimum": 1, "maximum": 65_535},
    "socket": {"type": "string"},
    "user": {"type": "string", "minLength": 1},
    **secret_properties("password"),
    "tls": {"type": "boolean"},
    "ca_file": {"type": "string"},
    "digests": {"type": "boolean"},
}


@dataclass
class Answers:
    """What the server said, before it is metrics. A part that was refused is absent."""

    status: Sequence[Sequence[Any]] = ()
    variables: Sequence[Sequence[Any]] = ()
    replication: Sequence[Mapping[str, Any]] = ()
    compression: Sequence[Mapping[str, Any]] = ()
    compressed_memory: Sequence[Mapping[str, Any]] = ()
    transactions: Sequence[Mapping[str, Any]] = ()
    refused: dict[str, tuple[str, str]] = field(default_factory=dict)


def parse(answers: Answers) -> Reading:
    """Return the metrics of one refresh, the digests aside. Raises CollectError when there is no status."""
    if not answers.status:
        raise CollectError("SHOW GLOBAL STATUS: no rows", "protocol")
    reading = Reading()
    mysql_status.read_status(reading, [(row[0], row[1]) for row in answers.status])
    mysql_status.read_variables(reading, [(row[0], row[1]) for row in answers.variables])
    mysql_status.read_replication(reading, answers.replication)
    mysql_status.read_compression(reading, answers.compression, answers.compressed_memory)
    for row in answers.transactions:
        reading.gauge(
            "topmast_mysql_oldest_transaction_seconds",
            "Age of the oldest open InnoDB transaction; 0 without one.",
            mysql_status.number(row["oldest"]),
        )
        reading.gauge(
            "topmast_mysql_waiting_transactions",
            "InnoDB transactions that wait for a lock.",
            mysql_status.number(row["waiting"]),
        )
    for what, (reason, message) in answers.refused.items():
        reading.leave_out(what, message, reason)
    return reading


class MysqlSource:
    """One server, one kept connection."""

    def __init__(self, config: Config) -> None:
        # here, in one thread: two that import it at the same time meet it half made
        importlib.import_module("pymysql")
        self._config = config
        self._connection: Any = None
        self._socket: Any = None
        self._digests = mysql_digests.Digests() if config.digests else None

    def collect(self) -> Reading:
        import pymysql

        deadline = time.monotonic() + self._config.timeout_seconds
        try:
            if self._connection is None:
                self._connect(deadline)
            self._allow(deadline)
            answers = self._ask()
            reading = parse(answers)
            if self._digests is not None:
                rows = self._part("digests", mysql_digests.sql(self._digests.known()), answers.refused)
                self._digests.read_into(reading, rows)
            for what, (reason, message) in answers.refused.items():
                reading.leave_out(what, message, reason)
        except (pymysql.Error, OSError) as error:
            self.close()
            raise CollectError(f"{self._config.target}: {_one_line(error)}", _reason(error)) from error
        except (ValueError, IndexError, KeyError, TypeError, AttributeError, struct.error) as error:
            # the library's own parsing of what is no answer of MySQL
            self.close()
            raise CollectError(f"{self._config.target}: not an answer of MySQL", "protocol") from error
        except CollectError:
            self.close()
            raise
        return reading

    def close(self) -> None:
        connection, self._connection, self._socket = self._connection, None, None
        if connection is not None:
            connection._force_close()  # close() would send a QUIT, and may wait for a server that hangs

    def _ask(self) -> Answers:
        answers = Answers()
        answers.status = self._query("SHOW GLOBAL STATUS", rows_as_dict=False)
        answers.variables = self._query("SHOW GLOBAL VARIABLES", rows_as_dict=False)
        maria = "mariadb" in str(self._connection.server_version).lower()
        asked = "SHOW ALL SLAVES STATUS" if maria else "SHOW REPLICA STATUS"
        answers.replication = self._part("replication", asked, answers.refused, instead="SHOW SLAVE STATUS")
        answers.compression = self._part(
            "innodb_cmp",
            "SELECT page_size, compress_ops, compress_ops_ok, compress_time, uncompress_ops, uncompress_time"
            " FROM information_schema.innodb_cmp",
            answers.refused,
        )
        answers.compressed_memory = self._part(
            "innodb_cmpmem",
            "SELECT page_size, buffer_pool_instance, pages_used, pages_free, relocation_ops, relocation_time"
            " FROM information_schema.innodb_cmpmem",
            answers.refused,
        )
        answers.transactions = self._part(
            "innodb_trx",
            "SELECT COALESCE(MAX(TIMESTAMPDIFF(SECOND, trx_started, NOW())), 0) AS oldest,"
            " COALESCE(SUM(trx_state = 'LOCK WAIT'), 0) AS waiting FROM information_schema.innodb_trx",
            answers.refused,
        )
        return answers

    def _part(
        self, name: str, sql: str, refused: dict[str, tuple[str, str]], instead: str = ""
    ) -> list[dict[str, Any]]:
        """Return the rows of a part that may be refused, which costs only the part."""
        import pymysql

        try:
            return self._query(sql)
        except pymysql.err.ProgrammingError:
            if not instead:  # a table that this server has not
                return []
        except (pymysql.err.OperationalError, pymysql.err.InternalError) as error:
            if error.args[0] not in _DENIED:
                raise
            refused[name] = ("permission", _one_line(error))
            return []
        return self._part(name, instead, refused)

    def _query(self, sql: str, rows_as_dict: bool = True) -> list[Any]:
        from pymysql.cursors import Cursor, DictCursor

        with self._connection.cursor(DictCursor if rows_as_dict else Cursor) as cursor:
            cursor.execute(sql)
            rows = list(cursor.fetchmany(mysql_status.MAX_ROWS))
        return [{str(key).lower(): value for key, value in row.items()} for row in rows] if rows_as_dict else rows

    def _connect(self, deadline: float) -> None:
        import pymysql

        config = self._config
        password = secret(config.password_file, config.password_env)
        options: dict[str, Any] = {
            "user": config.user,
            "password": password,
            "autocommit": True,
            "local_infile": False,
        }
        if config.tls or config.ca_file:
            options["ssl"] = deadline_socket.tls_context(config.ca_file)
        options |= {"unix_socket": config.socket} if config.socket else {"host": config.host, "port": config.port}
        connection = pymysql.connect(
            defer_connect=True, connect_timeout=config.timeout_seconds, program_name="topmast-exporter", **options
        )
        address = config.socket or (config.host, config.port)
        connection.connect(deadline_socket.connect(address, deadline))
        self._connection = connection
        self._allow(deadline)
        for statement in SESSION:
            try:
                self._query(statement)
            except pymysql.MySQLError as error:
                if error.args[0] not in (_UNKNOWN_VARIABLE, *_DENIED):
                    raise

    def _allow(self, deadline: float) -> None:
        self._connection._sock.allow(deadline)  # after TLS it is another one than was handed in


# https://dev.mysql.com/doc/mysql-errors/8.4/en/server-error-reference.html
_UNKNOWN_VARIABLE = 1193
_DENIED = (1044, 1142, 1143, 1227, 1370)
_NOT_LET_IN = (1045, 1130, 1251, 1396, 1698, 2059, 3118, 3955)
_TOO_LONG = (1205, 1969, 3024)


def _reason(error: BaseException) -> str:
    code = error.args[0] if error.args and isinstance(error.args[0], int) else 0
    chain = (error, error.__cause__, error.__context__)
    if any(isinstance(one, deadline_socket.TooLongError) for one in chain):
        return "protocol"
    if code in _TOO_LONG or any(isinstance(one, TimeoutError) for one in chain) or "timed out" in str(error):
        return "timeout"
    if code in _NOT_LET_IN:
        return "authentication"
    if code in _DENIED:
        return "permission"
    return "connection" if isinstance(error, OSError) or 2000 <= code < 2100 or code == 1040 else "protocol"


def _one_line(error: BaseException) -> str:
    text = error.args[1] if len(error.args) > 1 else str(error)
    return " ".join(str(text).split())[:200] or type(error).__name__


COLLECTOR = Collector(
    name="mysql",
    summary="MySQL and MariaDB: mysqld_exporter's names, bounded statement digests with exact sums, one connection.",
    config=Config,
    properties=PROPERTIES,
    required=(),
    build=MysqlSource,
    up="mysql_up",
    up_documentation="Whether the last refresh of this server succeeded.",
)
