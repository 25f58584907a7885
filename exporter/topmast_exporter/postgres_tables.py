# ruff: noqa: S608 every query is put together from names of ours alone, nothing comes from outside
"""The tables of one database: the largest by rows, partitions rolled up into their parent, and their bloat.

Names and labels of pg_stat_user_tables: postgres_exporter. It shows each partition and has no bound; here a parent
stands for its partitions. Of 10,000 tables that takes 33 ms (of 500, 4 ms), hence once a minute.
"""

from collections.abc import Sequence

from topmast_exporter.collector import Reading
from topmast_exporter.postgres_group import Group, Row

TOP_TABLES = 20
TABLES_SECONDS = 60.0
BLOAT_SECONDS = 300.0

TABLE_COUNTERS = (
    "seq_scan",
    "seq_tup_read",
    "idx_scan",
    "idx_tup_fetch",
    "n_tup_ins",
    "n_tup_upd",
    "n_tup_del",
    "n_tup_hot_upd",
    "vacuum_count",
    "autovacuum_count",
    "analyze_count",
    "autoanalyze_count",
)
TABLE_GAUGES = ("n_live_tup", "n_dead_tup", "n_mod_since_analyze")
TABLE_TIMES = ("last_vacuum", "last_autovacuum", "last_analyze", "last_autoanalyze")


def _tables(reading: Reading, rows: Sequence[Row]) -> None:
    labelled = [(row, {name: row[name] for name in ("datname", "schemaname", "relname")}) for row in rows]
    for column in (*TABLE_COUNTERS, *TABLE_GAUGES, *TABLE_TIMES):
        add = reading.counters if column in TABLE_COUNTERS else reading.gauges
        samples = [(row[column] or 0, labels) for row, labels in labelled]
        add(f"pg_stat_user_tables_{column}", f"{column} of pg_stat_user_tables.", samples)


def _bloat(reading: Reading, rows: Sequence[Row]) -> None:
    for row in rows:
        labels = {name: row[name] for name in ("datname", "schemaname", "relname")}
        text = "Bytes of a table's heap that its rows do not need, estimated from the planner's statistics."
        reading.gauge("topmast_pg_table_bloat_bytes", text, row["bloat_bytes"], **labels)
        text = "Bytes of a table's heap, as the last VACUUM or ANALYZE counted them."
        reading.gauge("topmast_pg_table_heap_bytes", text, row["heap_bytes"], **labels)


# The parent of a partition, else the table. pg_partition_root() came with 12; before it, tables stand alone.
def _root(version: int) -> str:
    return (
        "CASE WHEN c.relispartition THEN pg_partition_root(c.oid)::oid ELSE c.oid END"
        if version >= 120000
        else "c.oid"
    )


def tables_sql(version: int) -> str:
    """Return the query: the TOP_TABLES parents by live and dead rows, what their partitions did summed."""
    sums = ", ".join(f"sum(t.{column})::float AS {column}" for column in TABLE_COUNTERS + TABLE_GAUGES)
    times = ", ".join(f"EXTRACT(EPOCH FROM max(t.{column}))::float AS {column}" for column in TABLE_TIMES)
    return (
        f"WITH member AS MATERIALIZED (SELECT c.oid, {_root(version)} AS root,"
        " pg_stat_get_live_tuples(c.oid) + pg_stat_get_dead_tuples(c.oid) AS tuples"
        " FROM pg_class c WHERE c.relkind IN ('r', 'm')"
        " AND c.relnamespace NOT IN (SELECT oid FROM pg_namespace"
        " WHERE nspname IN ('pg_catalog', 'information_schema') OR nspname LIKE 'pg\\_toast%')),"
        " top AS MATERIALIZED (SELECT root FROM member GROUP BY root"
        f" ORDER BY sum(tuples) DESC, root LIMIT {TOP_TABLES})"
        f" SELECT current_database() AS datname, n.nspname AS schemaname, r.relname, {sums}, {times}"
        " FROM top JOIN member USING (root) CROSS JOIN LATERAL"
        " (SELECT * FROM pg_stat_all_tables s WHERE s.relid = member.oid) AS t"
        " JOIN pg_class r ON r.oid = top.root JOIN pg_namespace n ON n.oid = r.relnamespace"
        " GROUP BY n.nspname, r.relname"
    )


def bloat_sql(_version: int) -> str:
    """Return the query: of the TOP_TABLES largest heaps, the pages that their rows' widths do not explain.

    A row takes its header (23 bytes, aligned to 24) and the widths of its columns that are not null, aligned to 8,
    and an item pointer (4); a page has 24 bytes of its own. Fill factor as set. Only columns that the role may
    read have statistics: a table without them is left out, not guessed.
    """
    return (
        "SELECT current_database() AS datname, n.nspname AS schemaname, c.relname,"
        " c.relpages::float * b.size AS heap_bytes,"
        " GREATEST(0, c.relpages - ceil(c.reltuples * (4 + 8 * ceil((24 + w.width) / 8))"
        " / ((b.size - 24) * f.factor / 100.0)))::float * b.size AS bloat_bytes"
        " FROM (SELECT oid, relname, relnamespace, relpages, reltuples, reloptions FROM pg_class WHERE relkind = 'r'"
        f" AND reltuples > 0 AND relpages > 8 ORDER BY relpages DESC LIMIT {TOP_TABLES}) AS c"
        " JOIN pg_namespace n ON n.oid = c.relnamespace"
        " CROSS JOIN (SELECT current_setting('block_size')::float AS size) AS b"
        " CROSS JOIN LATERAL (SELECT sum((1 - s.null_frac) * s.avg_width)::float AS width FROM pg_stats s"
        " WHERE s.schemaname = n.nspname AND s.tablename = c.relname AND NOT s.inherited) AS w"
        " CROSS JOIN LATERAL (SELECT COALESCE((SELECT option_value::float FROM pg_options_to_table(c.reloptions)"
        " WHERE option_name = 'fillfactor'), 100) AS factor) AS f"
        " WHERE w.width IS NOT NULL AND n.nspname NOT IN ('pg_catalog', 'information_schema')"
    )


GROUPS = (
    Group("tables", tables_sql, _tables, every_seconds=TABLES_SECONDS),
    Group("bloat", bloat_sql, _bloat, every_seconds=BLOAT_SECONDS),
)
