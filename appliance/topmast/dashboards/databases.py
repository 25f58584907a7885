"""The databases as servers, and as the application waits for them: PostgreSQL, MySQL, Redis, Elasticsearch."""

from topmast.dashboard import ENVIRONMENT, INSTANCE, Dashboard, series
from topmast.panel import Panel, exemplars, fixed, query, stat, timeseries, up_or_down

IN = series()
HERE = series(by=(ENVIRONMENT, INSTANCE))
NO_POSTGRES = "no PostgreSQL is watched"
NO_MYSQL = "no MySQL is watched"
NO_REDIS = "no Redis is watched"
NO_ELASTICSEARCH = "no Elasticsearch is watched"


def connections(number: int, server: str, metric: str, alert: str, empty: str) -> Panel:
    return timeseries(
        number,
        f"{server} connections",
        f"Share of {server}'s usable connections that are taken; the line is where {alert} begins.",
        "percentunit",
        query(f"{metric}{HERE}", "{{instance}}"),
        alerts=(alert,),
        steps={0.8: "orange"},
        width=8,
        max=1,
        noValue=empty,
    )


CLIENTS = [
    timeseries(
        1,
        "Query P95 by database",
        "95 of 100 queries are faster than this as the application sees them; the line is where DbQueryLatencyHigh"
        " begins.",
        "s",
        [
            query(f"max by (database) (database:db_query_duration_seconds:p95_5m{IN})", "{{database}}"),
            exemplars(f"db_query_duration_seconds_bucket{HERE}"),
        ],
        alerts=("DbQueryLatencyHigh",),
        steps={1: "orange"},
        width=8,
        noValue="no queries in this range",
    ),
    timeseries(
        2,
        "Queries by operation",
        "Queries a second by operation, stacked, and those that failed.",
        "suffix:/s",
        [
            query(
                f"sum by (operation) (rate(db_query_duration_seconds_count{HERE}[$__rate_interval]))", "{{operation}}"
            ),
            query(f"sum(rate(db_query_errors_total{HERE}[$__rate_interval]))", "failed"),
        ],
        alerts=("DbQueryLatencyHigh",),
        stacked=True,
        width=8,
        overrides=[fixed("failed", "red")],
        noValue="no queries in this range",
    ),
    timeseries(
        3,
        "Client pools",
        "Share of each connection pool that is in use; the line is where DbPoolExhausted begins.",
        "percentunit",
        query(f"max by (pool) (instance_pool:db_pool_used:ratio{HERE})", "{{pool}}"),
        alerts=("DbPoolExhausted",),
        steps={0.95: "red"},
        width=8,
        max=1,
        noValue="no pool is known",
    ),
]

POSTGRES = [
    up_or_down(
        4,
        "PostgreSQL",
        "Whether each PostgreSQL server answers.",
        query(f"max by (instance) (pg_up{HERE})", "{{instance}}"),
        alerts=("PostgresDown",),
        width=8,
        height=8,
        empty=NO_POSTGRES,
    ),
    connections(5, "PostgreSQL", "instance:pg_connections_used:ratio", "PostgresConnectionsHigh", NO_POSTGRES),
    timeseries(
        6,
        "Longest transaction",
        "Age of the longest open transaction; the line is where PostgresLongTransaction begins.",
        "s",
        query(f"max by (instance, datname) (pg_stat_activity_max_tx_duration{HERE})", "{{datname}} {{instance}}"),
        alerts=("PostgresLongTransaction",),
        steps={300: "orange"},
        width=8,
        noValue=NO_POSTGRES,
    ),
    timeseries(
        7,
        "Transactions",
        "Transactions a second that were committed and rolled back.",
        "suffix:/s",
        [
            query(
                f"sum by (instance) (rate(pg_stat_database_xact_{end}{HERE}[$__rate_interval]))",
                f"{end} {{{{instance}}}}",
            )
            for end in ("commit", "rollback")
        ],
        alerts=("PostgresConnectionsHigh",),
        width=8,
        noValue=NO_POSTGRES,
    ),
    timeseries(
        8,
        "Read from memory",
        "Share of the blocks that PostgreSQL found in its own memory; the rest came from the disk or the system.",
        "percentunit",
        query(
            f"sum by (instance) (rate(pg_stat_database_blks_hit{HERE}[$__rate_interval]))"
            f" / (sum by (instance) (rate(pg_stat_database_blks_hit{HERE}[$__rate_interval]))"
            f" + sum by (instance) (rate(pg_stat_database_blks_read{HERE}[$__rate_interval])) > 0)",
            "{{instance}}",
        ),
        alerts=("DbQueryLatencyHigh",),
        width=8,
        calcs=("lastNotNull", "min", "max"),
        max=1,
        noValue=NO_POSTGRES,
    ),
    timeseries(
        9,
        "Size",
        "Size of each database on disk, stacked.",
        "bytes",
        query(f"max by (instance, datname) (pg_database_size_bytes{HERE})", "{{datname}} {{instance}}"),
        alerts=("DatabaseDiskFilling",),
        width=8,
        stacked=True,
        noValue=NO_POSTGRES,
    ),
]

REDIS = [
    up_or_down(
        10,
        "Redis",
        "Whether each Redis server answers.",
        query(f"max by (instance) (redis_up{HERE})", "{{instance}}"),
        alerts=("RedisDown", "RedisPersistenceFailing"),
        width=8,
        height=8,
        empty=NO_REDIS,
    ),
    timeseries(
        11,
        "Redis memory",
        "Share of Redis' memory limit that is in use; at the lines RedisMemoryHigh and RedisMemoryExhausted begin.",
        "percentunit",
        query(f"max by (instance) (instance:redis_memory_used:ratio{HERE})", "{{instance}}"),
        alerts=("RedisMemoryHigh", "RedisMemoryExhausted"),
        steps={0.8: "orange", 0.95: "red"},
        width=8,
        max=1,
        noValue=NO_REDIS,
    ),
    timeseries(
        12,
        "Redis clients",
        "Share of Redis' client connections that are in use; the line is where RedisConnectionsNearMax begins.",
        "percentunit",
        query(f"redis_connected_clients{HERE} / (redis_config_maxclients{HERE} > 0)", "{{instance}}"),
        alerts=("RedisConnectionsNearMax",),
        steps={0.8: "orange"},
        width=8,
        noValue=NO_REDIS,
    ),
    timeseries(
        13,
        "Commands",
        "Commands a second by name, stacked.",
        "ops",
        query(f"sum by (cmd) (rate(redis_commands_total{HERE}[$__rate_interval])) > 0", "{{cmd}}"),
        alerts=("RedisMemoryHigh",),
        width=8,
        stacked=True,
        noValue=NO_REDIS,
    ),
    timeseries(
        14,
        "Evicted and expired",
        "Keys a second that Redis gave up to make room, and that reached their age.",
        "suffix:/s",
        [
            query(
                f"sum by (instance) (rate(redis_{why}_keys_total{HERE}[$__rate_interval]))", f"{why} {{{{instance}}}}"
            )
            for why in ("evicted", "expired")
        ],
        alerts=("RedisMemoryHigh", "CacheHitRateLow"),
        width=8,
        noValue=NO_REDIS,
    ),
    timeseries(
        15,
        "Keys by namespace",
        "Keys that each namespace of the cache holds, stacked; counted by a slow scan, so some minutes old.",
        "short",
        query(f"sum by (namespace) (cache_keys{HERE})", "{{namespace}}"),
        alerts=("RedisMemoryHigh", "CacheHitRateLow"),
        width=8,
        stacked=True,
        noValue=NO_REDIS,
    ),
]

MYSQL = [
    up_or_down(
        16,
        "MySQL",
        "Whether each MySQL server answers.",
        query(f"max by (instance) (mysql_up{HERE})", "{{instance}}"),
        alerts=("MySQLDown",),
        width=8,
        height=8,
        empty=NO_MYSQL,
    ),
    connections(17, "MySQL", "instance:mysql_connections_used:ratio", "MySQLConnectionsHigh", NO_MYSQL),
    timeseries(
        18,
        "MySQL queries",
        "Statements a second, and those among them that were slow.",
        "suffix:/s",
        [
            query(f"sum by (instance) (rate(mysql_global_status_queries{HERE}[$__rate_interval]))", "{{instance}}"),
            query(
                f"sum by (instance) (rate(mysql_global_status_slow_queries{HERE}[$__rate_interval]))",
                "slow: {{instance}}",
            ),
        ],
        alerts=("MySQLConnectionsHigh",),
        width=8,
        noValue=NO_MYSQL,
    ),
]

RED, YELLOW = (series(f'color="{color}"', by=(ENVIRONMENT, INSTANCE)) for color in ("red", "yellow"))
CLUSTER_WORDS = {
    "0": {"text": "GREEN", "color": "green", "index": 0},
    "1": {"text": "YELLOW", "color": "orange", "index": 1},
    "2": {"text": "RED", "color": "red", "index": 2},
}

ELASTICSEARCH = [
    stat(
        19,
        "Cluster",
        "The state of each Elasticsearch cluster: red when data are missing, yellow when only copies are.",
        "none",
        query(
            f"2 * max by (cluster) (elasticsearch_cluster_health_status{RED})"
            f" + max by (cluster) (elasticsearch_cluster_health_status{YELLOW})",
            "{{cluster}}",
        ),
        alerts=("ElasticsearchDown", "ElasticsearchClusterRed", "ElasticsearchShardsUnassigned"),
        width=8,
        height=8,
        filled=True,
        course=False,
        mappings=[{"type": "value", "options": CLUSTER_WORDS}],
        noValue=NO_ELASTICSEARCH,
    ),
    timeseries(
        20,
        "Elasticsearch heap",
        "Share of each node's heap that is in use; the line is where ElasticsearchHeapHigh begins.",
        "percentunit",
        query(f"max by (name) (cluster_name:elasticsearch_heap_used:ratio{IN})", "{{name}}"),
        alerts=("ElasticsearchHeapHigh",),
        steps={0.85: "orange"},
        width=8,
        max=1,
        noValue=NO_ELASTICSEARCH,
    ),
    timeseries(
        21,
        "Elasticsearch disk",
        "Free share of each node's disk; the line is where ElasticsearchDiskLow begins.",
        "percentunit",
        query(
            f"min by (name) (elasticsearch_filesystem_data_available_bytes{HERE}"
            f" / elasticsearch_filesystem_data_size_bytes{HERE})",
            "{{name}}",
        ),
        alerts=("ElasticsearchDiskLow", "ElasticsearchWriteRejections"),
        steps={0.1: "green"},
        base="red",
        width=8,
        calcs=("lastNotNull", "min", "max"),
        max=1,
        noValue=NO_ELASTICSEARCH,
    ),
]

DASHBOARD = Dashboard(
    name="databases",
    title="Databases and caches",
    description="PostgreSQL, Redis, MySQL and Elasticsearch as servers, and how long the application waits for them.",
    variables=(ENVIRONMENT, INSTANCE),
    groups={
        "As the application sees them": CLIENTS,
        "PostgreSQL": POSTGRES,
        "Redis": REDIS,
        "MySQL": MYSQL,
        "Elasticsearch": ELASTICSEARCH,
    },
)
