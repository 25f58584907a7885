"""SHOW GLOBAL STATUS, VARIABLES and the replication status as metrics, under mysqld_exporter's names and values.

Names: https://github.com/prometheus/mysqld_exporter (collector/global_status.go, global_variables.go,
slave_status.go, info_schema_innodb_cmp.go, v0.17).
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from topmast_exporter.collector import Reading

# Beyond these a server has no more to say: 1,000 variables and a bit are the most that one has.
MAX_ROWS = 5_000

_GROUPED = re.compile(r"(com|handler|connection_errors|innodb_buffer_pool_pages|innodb_rows|performance_schema)_(.+)")
_NOT_IN_NAMES = re.compile(r"[^a-z0-9_]")
_NUMBER = re.compile(r"[-+]?[0-9]+(\.[0-9]*)?([eE][-+]?[0-9]+)?")

_WORDS = {
    "yes": 1.0,
    "on": 1.0,
    "primary": 1.0,
    "no": 0.0,
    "off": 0.0,
    "disabled": 0.0,
    "connecting": 0.0,  # Slave_IO_Running: it does not run
    "non-primary": 0.0,
    "disconnected": 0.0,
}

# group -> (name after `mysql_global_status_`, label, documentation)
_GROUPS: Mapping[str, tuple[str, str, str]] = {
    "com": ("commands_total", "command", "Statements executed, by command."),
    "handler": ("handlers_total", "handler", "Handler calls, by handler."),
    "connection_errors": ("connection_errors_total", "error", "Connections that failed, by error."),
    "innodb_rows": ("innodb_row_ops_total", "operation", "InnoDB row operations, by operation."),
    "performance_schema": (
        "performance_schema_lost_total",
        "instrumentation",
        "Instrumentations that could not be made for want of memory.",
    ),
}
_PAGE_STATES = frozenset({"data", "dirty", "free", "misc"})


def number(text: Any) -> float | None:
    """Return a value as mysqld_exporter does: a number, 1 for ON and its like, 0 for OFF; else None."""
    if text is None:
        return None
    word = str(text).strip()
    if word.lower() in _WORDS:
        return _WORDS[word.lower()]
    return float(word) if _NUMBER.fullmatch(word) else None


def read_status(reading: Reading, rows: Iterable[tuple[Any, Any]]) -> None:
    """Add SHOW GLOBAL STATUS."""
    texts: dict[str, str] = {}
    for raw, text in rows:
        key = _name(raw)
        value = number(text)
        if value is None:
            texts[key] = str(text)
            continue
        grouped = _GROUPED.fullmatch(key)
        if grouped is None:
            reading.untyped(f"mysql_global_status_{key}", f"{key} of SHOW GLOBAL STATUS.", value)
        elif grouped[1] != "innodb_buffer_pool_pages":
            name, label, documentation = _GROUPS[grouped[1]]
            reading.counter(f"mysql_global_status_{name}", documentation, value, **{label: grouped[2]})
        elif grouped[2] in _PAGE_STATES:
            name = "mysql_global_status_buffer_pool_pages"
            reading.gauge(name, "InnoDB buffer pool pages, by state.", value, state=grouped[2])
        else:
            name = "mysql_global_status_buffer_pool_page_changes_total"
            reading.counter(name, "InnoDB buffer pool page changes.", value, operation=grouped[2])
    if texts.get("wsrep_local_state_uuid"):
        labels = ("wsrep_local_state_uuid", "wsrep_cluster_state_uuid", "wsrep_provider_version")
        named = {name: texts.get(name, "") for name in labels}
        reading.gauge("mysql_galera_status_info", "Galera status.", 1, **named)


def read_variables(reading: Reading, rows: Iterable[tuple[Any, Any]]) -> None:
    """Add SHOW GLOBAL VARIABLES."""
    texts = dict.fromkeys(("innodb_version", "version", "version_comment"), "")
    for raw, text in rows:
        key = _name(raw)
        value = number(text)
        if value is not None:
            name = f"mysql_global_variables_{key}"
            reading.gauge(name, f"{key} of SHOW GLOBAL VARIABLES.", value)
        elif key in ("tx_isolation", "transaction_isolation"):
            reading.gauge("mysql_transaction_isolation", "Isolation of transactions.", 1, level=str(text))
        elif key in texts or key == "wsrep_cluster_name":
            texts[key] = str(text)
    cluster = texts.pop("wsrep_cluster_name", "")
    reading.gauge("mysql_version_info", "Version and distribution.", 1, **texts)
    if cluster:
        reading.gauge("mysql_galera_variables_info", "Galera variables.", 1, wsrep_cluster_name=cluster)


def read_replication(reading: Reading, rows: Iterable[Mapping[str, Any]]) -> None:
    """Add SHOW ALL SLAVES STATUS, SHOW REPLICA STATUS or SHOW SLAVE STATUS, under the names of the last."""
    for row in rows:
        plain = {_old_name(str(key)): value for key, value in row.items()}
        labels = {
            name: str(plain.get(name) or "")
            for name in ("master_host", "master_uuid", "channel_name", "connection_name")
        }
        for key, text in plain.items():
            name = f"mysql_slave_status_{key}"
            reading.untyped(name, f"{key} of SHOW SLAVE STATUS.", number(text), **labels)


def read_compression(
    reading: Reading, rows: Iterable[Mapping[str, Any]], memory: Iterable[Mapping[str, Any]]
) -> None:
    """Add information_schema.innodb_cmp and innodb_cmpmem."""
    for row in rows:
        of = {"page_size": str(row["page_size"])}
        for column, name in _COMPRESSION.items():
            reading.counter(
                f"mysql_info_schema_innodb_cmp_{name}", f"{column} of INNODB_CMP.", number(row[column]), **of
            )
    for row in memory:
        of = {"page_size": str(row["page_size"]), "buffer_pool": str(row["buffer_pool_instance"])}
        for column, name in _COMPRESSED_MEMORY.items():
            value = number(row[column])
            if value is not None and column == "relocation_time":
                value /= 1000  # milliseconds
            reading.counter(f"mysql_info_schema_innodb_cmpmem_{name}", f"{column} of INNODB_CMPMEM.", value, **of)


_COMPRESSION = {
    "compress_ops": "compress_ops_total",
    "compress_ops_ok": "compress_ops_ok_total",
    "compress_time": "compress_time_seconds_total",
    "uncompress_ops": "uncompress_ops_total",
    "uncompress_time": "uncompress_time_seconds_total",
}
_COMPRESSED_MEMORY = {
    "pages_used": "pages_used_total",
    "pages_free": "pages_free_total",
    "relocation_ops": "relocation_ops_total",
    "relocation_time": "relocation_time_seconds_total",
}


def _name(raw: Any) -> str:
    return _NOT_IN_NAMES.sub("_", str(raw).lower())


def _old_name(column: str) -> str:
    # MySQL 8.4 says replica and source, and every rule and dashboard slave and master
    return _name(column).replace("replica", "slave").replace("source", "master")
