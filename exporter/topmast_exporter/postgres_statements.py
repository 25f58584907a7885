"""pg_stat_statements, bounded, with sums that stay exact.

A statement that was shown stays shown (at most MAX_SHOWN of them); everything else is one series with
`queryid="_other"`. A newcomer's series starts with what it does from then on, and what it did before stays in
`_other`: so no series ever falls, and the sum over all of them is always the server's sum.
The text of a statement is never read.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from topmast_exporter.collector import Reading

Row = Mapping[str, Any]
Key = tuple[str, str, str]

OTHER = "_other"
TOP = 20
MAX_SHOWN = 50

# column of ours -> name after `pg_stat_statements_`; times in ms
COLUMNS: Mapping[str, str] = {
    "calls": "calls_total",
    "exec_ms": "seconds_total",
    "rows": "rows_total",
    "read_ms": "block_read_seconds_total",
    "write_ms": "block_write_seconds_total",
}


def sql(schema: str, version: int, known: Sequence[int]) -> str:
    """Return the query: the first TOP by time, those with a known id, and the totals in each row.

    `schema` is the extension's, as quote_ident() gave it.
    """
    exec_ms = "total_exec_time" if version >= 130000 else "total_time"
    prefix = "shared_" if version >= 170000 else ""
    listed = ", ".join(str(int(one)) for one in known) or "0"
    # Read once, summed in floats (sums of bigint are numeric), and grouped for the chosen ones only: ranking and
    # grouping all rows costs a fifth more. A statement may have two rows (by itself, inside another): hence the sums.
    return (
        "WITH s AS MATERIALIZED (SELECT userid, dbid, queryid, calls::float,"  # noqa: S608 ids are integers, the schema is quoted by the server
        f" {exec_ms}::float AS exec_ms, rows::float,"
        f" {prefix}blk_read_time::float AS read_ms, {prefix}blk_write_time::float AS write_ms"
        f" FROM {schema}.pg_stat_statements(false)), chosen AS (SELECT userid, dbid, queryid FROM"
        f" (SELECT userid, dbid, queryid FROM s WHERE queryid IS NOT NULL ORDER BY exec_ms DESC LIMIT {TOP}) AS top"
        f" UNION SELECT userid, dbid, queryid FROM s WHERE queryid IN ({listed})), totals AS (SELECT"
        " sum(calls) AS all_calls, sum(exec_ms) AS all_exec_ms, sum(rows) AS all_rows, sum(read_ms) AS all_read_ms,"
        " sum(write_ms) AS all_write_ms FROM s), shown AS (SELECT userid, dbid, queryid, sum(calls) AS calls,"
        " sum(exec_ms) AS exec_ms, sum(rows) AS rows, sum(read_ms) AS read_ms, sum(write_ms) AS write_ms"
        " FROM s JOIN chosen USING (userid, dbid, queryid) GROUP BY userid, dbid, queryid)"
        ' SELECT pg_get_userbyid(shown.userid) AS "user", d.datname, shown.*, totals.* FROM totals LEFT JOIN shown'
        " ON true LEFT JOIN pg_database d ON d.oid = shown.dbid ORDER BY shown.exec_ms DESC"
    )


class Statements:
    """Which statements are shown, and what each had done before it was."""

    def __init__(self) -> None:
        self._before: dict[Key, dict[str, float]] = {}
        self._first = True

    def known(self) -> list[int]:
        """Return the query ids that the next query must return whatever their rank."""
        return sorted({int(queryid) for _, _, queryid in self._before if queryid.lstrip("-").isdigit()})

    def read_into(self, reading: Reading, rows: Sequence[Row]) -> None:
        """Add the families. `rows` is what sql() answered."""
        if not rows:
            return
        shown: dict[Key, dict[str, float]] = {}
        for row in rows:
            if row["queryid"] is None:
                # another user's, hidden from a role without pg_monitor, or none at all: the totals have it
                continue
            key = (row["user"] or "unknown", row["datname"] or "unknown", str(row["queryid"]))
            values = {column: float(row[column] or 0) for column in COLUMNS}
            if key not in self._before:
                if len(self._before) >= MAX_SHOWN:
                    continue
                self._before[key] = dict.fromkeys(COLUMNS, 0.0) if self._first else values
            before = self._before[key]
            if any(values[column] < before[column] for column in COLUMNS):  # the server's statistics were reset
                before = self._before[key] = dict.fromkeys(COLUMNS, 0.0)
            shown[key] = {column: values[column] - before[column] for column in COLUMNS}
        self._first = False
        totals = {column: float(rows[0][f"all_{column}"] or 0) for column in COLUMNS}
        for (user, datname, queryid), values in shown.items():
            _add(reading, values, user=user, datname=datname, queryid=queryid)
        rest = {column: totals[column] - sum(one[column] for one in shown.values()) for column in COLUMNS}
        rest = {column: max(0.0, value) for column, value in rest.items()}  # a float's last digit, never a debt
        _add(reading, rest, user=OTHER, datname=OTHER, queryid=OTHER)


def _add(reading: Reading, values: Mapping[str, float], **labels: str) -> None:
    for column, name in COLUMNS.items():
        value = values[column] / 1000 if column.endswith("_ms") else values[column]
        reading.counter(f"pg_stat_statements_{name}", f"{name} of pg_stat_statements.", value, **labels)
