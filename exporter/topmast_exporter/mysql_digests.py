"""performance_schema's statement digests, bounded, with sums that stay exact: as postgres_statements.py has it.

Names: mysqld_exporter's collector.perf_schema.eventsstatements; `digest_text` is empty, a statement's text is never
read. The rest is one series with `digest="_other"`.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from topmast_exporter.collector import Reading

Key = tuple[str, str]

OTHER = "_other"
TOP = 20
MAX_SHOWN = 50

# column of the table -> (name after `mysql_perf_schema_events_statements_`, what one is in base units)
COLUMNS: Mapping[str, tuple[str, float]] = {
    "count_star": ("total", 1.0),
    "sum_timer_wait": ("seconds_total", 1e-12),  # picoseconds
    "sum_errors": ("errors_total", 1.0),
    "sum_warnings": ("warnings_total", 1.0),
    "sum_rows_affected": ("rows_affected_total", 1.0),
    "sum_rows_sent": ("rows_sent_total", 1.0),
    "sum_rows_examined": ("rows_examined_total", 1.0),
    "sum_created_tmp_tables": ("tmp_tables_total", 1.0),
    "sum_created_tmp_disk_tables": ("tmp_disk_tables_total", 1.0),
    "sum_sort_merge_passes": ("sort_merge_passes_total", 1.0),
    "sum_sort_rows": ("sort_rows_total", 1.0),
    "sum_no_index_used": ("no_index_used_total", 1.0),
}

_DIGEST = re.compile(r"[0-9a-f]{32,64}")
_TABLE = "performance_schema.events_statements_summary_by_digest"


def sql(known: Sequence[str]) -> str:
    """Return the query: the first TOP by time, those with a known digest, and a row of totals (digest `_other`)."""
    columns = ", ".join(COLUMNS)
    sums = ", ".join(f"COALESCE(SUM({column}), 0) AS {column}" for column in COLUMNS)
    listed = ", ".join(f"'{one}'" for one in known if _DIGEST.fullmatch(one)) or "''"
    return (
        f"SELECT '' AS schema_name, '{OTHER}' AS digest, {sums} FROM {_TABLE} UNION ALL"  # noqa: S608 digests are hexadecimal
        f" (SELECT COALESCE(schema_name, 'NONE'), COALESCE(digest, 'NONE'), {columns} FROM {_TABLE}"
        f" ORDER BY sum_timer_wait DESC LIMIT {TOP}) UNION"
        f" (SELECT COALESCE(schema_name, 'NONE'), digest, {columns} FROM {_TABLE} WHERE digest IN ({listed}))"
    )


class Digests:
    """Which digests are shown, and what each had done before it was."""

    def __init__(self) -> None:
        self._before: dict[Key, dict[str, float]] = {}
        self._first = True

    def known(self) -> list[str]:
        """Return the digests that the next query must return whatever their rank."""
        return sorted({digest for _, digest in self._before})

    def read_into(self, reading: Reading, rows: Sequence[Mapping[str, Any]]) -> None:
        """Add the families. `rows` is what sql() answered; nothing where performance_schema is off."""
        totals: dict[str, float] = {}
        shown: dict[Key, dict[str, float]] = {}
        for row in rows:
            values = {column: float(row[column] or 0) for column in COLUMNS}
            key = (str(row["schema_name"]), str(row["digest"]))
            if key == ("", OTHER):
                totals = values
                continue
            if key not in self._before:
                if len(self._before) >= MAX_SHOWN:
                    continue
                self._before[key] = dict.fromkeys(COLUMNS, 0.0) if self._first else values
            before = self._before[key]
            if any(values[column] < before[column] for column in COLUMNS):  # the table was truncated
                before = self._before[key] = dict.fromkeys(COLUMNS, 0.0)
            shown[key] = {column: values[column] - before[column] for column in COLUMNS}
        if not totals.get("count_star"):
            return
        self._first = False
        rest = {
            column: max(0.0, total - sum(one[column] for one in shown.values())) for column, total in totals.items()
        }
        for (schema, digest), values in [*shown.items(), ((OTHER, OTHER), rest)]:
            for column, (name, unit) in COLUMNS.items():
                reading.counter(
                    f"mysql_perf_schema_events_statements_{name}",
                    f"{column} of {_TABLE}.",
                    values[column] * unit,
                    schema=schema,
                    digest=digest,
                    digest_text="",
                )
