"""pg_stat_statements, bounded, with sums that stay exact.

A statement that was shown stays shown (at most MAX_SHOWN of them); everything else is one series with
`queryid="_other"`. A newcomer's series starts with what it does from then on, and what it did before stays in
`_other`: so no series ever falls, and the sum over all of them is always the server's sum.
The text of a statement is never read.

The server reads its statements once for that: the totals and the rows that are shown are aggregates over the same
scan (ranking and joining 5,000 rows takes as long as reading them). Which rows may be among the first is known from
the last time: whatever then had more than the last of the first.
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


def rank_sql(schema: str, version: int) -> str:
    """Return the query for the first TOP by time: (queryid, exec_ms). `schema` is as quote_ident() gave it."""
    exec_ms = _columns(version)["exec_ms"]
    return (
        f"SELECT queryid, {exec_ms}::float AS exec_ms FROM {schema}.pg_stat_statements(false)"  # noqa: S608 the schema is quoted by the server
        f" WHERE queryid IS NOT NULL ORDER BY exec_ms DESC LIMIT {TOP}"
    )


def sql(schema: str, version: int, known: Sequence[int], least_ms: float) -> str:
    """Return the query, of one row: the totals, and in `shown` the statements of `known` ids or of so much time.

    One of `shown` is [user, database, queryid, *COLUMNS]. A statement may have two (by itself, inside another).
    """
    columns = _columns(version)
    listed = ", ".join(str(int(one)) for one in known) or "0"
    # sums of bigint are numeric, hence floats
    totals = ", ".join(f"sum({column}::float) AS all_{name}" for name, column in columns.items())
    return (
        f"SELECT {totals}, json_agg(json_build_array(pg_get_userbyid(userid),"  # noqa: S608 numbers, and a quoted schema
        f" (SELECT datname FROM pg_database d WHERE d.oid = dbid), queryid, {', '.join(columns.values())}))"
        f" FILTER (WHERE queryid IN ({listed}) OR ({columns['exec_ms']} >= {float(least_ms)!r}"
        f" AND queryid IS NOT NULL)) AS shown FROM {schema}.pg_stat_statements(false)"
    )


def _columns(version: int) -> dict[str, str]:
    """Return the server's own names of COLUMNS, in their order."""
    prefix = "shared_" if version >= 170000 else ""
    return {
        "calls": "calls",
        "exec_ms": "total_exec_time" if version >= 130000 else "total_time",
        "rows": "rows",
        "read_ms": f"{prefix}blk_read_time",
        "write_ms": f"{prefix}blk_write_time",
    }


class Statements:
    """Which statements are shown, and what each had done before it was."""

    def __init__(self) -> None:
        self.least_ms: float | None = None
        """What the last of the first TOP took; None: they have to be ranked."""
        self._before: dict[Key, dict[str, float]] = {}
        self._candidates: set[int] = set()
        """Among the first, and not asked for by id yet: there may be more of them than was seen."""
        self._asked: set[int] = set()
        self._first = True

    def rank(self, rows: Sequence[Row]) -> None:
        """Take what rank_sql() answered."""
        self._candidates = {row["queryid"] for row in rows}
        self.least_ms = rows[-1]["exec_ms"] if len(rows) == TOP else 0.0

    def known(self) -> list[int]:
        """Return the query ids that the next query must return whatever their rank."""
        shown = {int(queryid) for _, _, queryid in self._before}
        self._asked = shown | self._candidates
        return sorted(self._asked)

    def read_into(self, reading: Reading, answer: Row) -> None:
        """Add the families. `answer` is the row that sql() answered for what known() and `least_ms` are."""
        ranked = sorted(_by_key(answer["shown"] or ()).items(), key=lambda item: item[1]["exec_ms"], reverse=True)
        self.least_ms = ranked[TOP - 1][1]["exec_ms"] if len(ranked) >= TOP else None
        self._admit(ranked[:TOP])
        shown: dict[Key, dict[str, float]] = {}
        for key, values in ranked:
            before = self._before.get(key)
            if before is None:
                continue
            if any(values[column] < before[column] for column in COLUMNS):  # the server's statistics were reset
                before = self._before[key] = dict.fromkeys(COLUMNS, 0.0)
            shown[key] = {column: values[column] - before[column] for column in COLUMNS}
        totals = {column: float(answer[f"all_{column}"] or 0) for column in COLUMNS}
        rest = {column: totals[column] - sum(one[column] for one in shown.values()) for column in COLUMNS}
        rest = {column: max(0.0, value) for column, value in rest.items()}  # a float's last digit, never a debt
        _add(reading, {**shown, (OTHER, OTHER, OTHER): rest})

    def _admit(self, first: Sequence[tuple[Key, dict[str, float]]]) -> None:
        """Show those of the first that were asked for by id; ask for the others the next time."""
        self._candidates = set()
        for key, values in first:
            if key in self._before or len(self._before) + len(self._candidates) >= MAX_SHOWN:
                continue
            if int(key[2]) in self._asked:
                self._before[key] = dict.fromkeys(COLUMNS, 0.0) if self._first else values
            else:
                self._candidates.add(int(key[2]))
        self._first = False


def _by_key(shown: Sequence[Sequence[Any]]) -> dict[Key, dict[str, float]]:
    found: dict[Key, dict[str, float]] = {}
    for user, datname, queryid, *values in shown:
        standing = found.setdefault(
            (user or "unknown", datname or "unknown", str(queryid)), dict.fromkeys(COLUMNS, 0.0)
        )
        for column, value in zip(COLUMNS, values, strict=True):
            standing[column] += float(value or 0)
    return found


def _add(reading: Reading, shown: Mapping[Key, Mapping[str, float]]) -> None:
    labelled = [
        (values, dict(zip(("user", "datname", "queryid"), key, strict=True))) for key, values in shown.items()
    ]
    for column, name in COLUMNS.items():
        scale = 1000 if column.endswith("_ms") else 1
        samples = [(values[column] / scale, labels) for values, labels in labelled]
        reading.counters(f"pg_stat_statements_{name}", f"{name} of pg_stat_statements.", samples)
