"""Is it up, is it slow, what does it cost, what broke: the 17 panels in eight groups, from recorded series."""

from topmast.dashboard import ENVIRONMENT, FEATURE, INSTANCE, MODEL, NAMESPACE, Dashboard, series
from topmast.panel import (
    bar_gauge,
    exemplars,
    fixed,
    link,
    override,
    query,
    stat,
    thresholds,
    timeseries,
    up_or_down,
)

HERE = series(by=(ENVIRONMENT, INSTANCE))
IN = series()
LATENCY = "route_class:app_http_request_duration_seconds"
# What a mount is not: memory, images, and what the system and its containers mount for themselves.
REAL_MOUNTS = series(
    'fstype!~"tmpfs|ramfs|squashfs|devtmpfs"',
    'mountpoint!~"/(etc|run|snap|var/lib/(docker|containerd|kubelet))/.+"',
    by=(ENVIRONMENT, INSTANCE),
)


def until(expr: str, otherwise: str, witness: str) -> str:
    """Return the expression, and `otherwise` while `witness` has no series at all: a new machine has no gap."""
    return f"{expr} or ({otherwise} unless on () count({witness} @ end()))"


def recorded(name: str, otherwise: int) -> str:
    return until(f"max by (environment) ({name}{IN})", f"vector({otherwise})", name)


FIRING = 'count(ALERTS{{alertstate="firing", severity="{}", alertname!="Watchdog"}}) or vector(0)'
UP = '__name__=~"up|redis_up|pg_up|mysql_up|elasticsearch_up|logstash_up|kibana_up"'

SYSTEM = [
    up_or_down(
        1,
        "Services up",
        "The lowest `up` of each job's targets; for Redis and the databases also whether the server itself answers.",
        query(f"min by (job) ({series(UP, by=(ENVIRONMENT, INSTANCE))})", "{{job}}"),
        alerts=("AppMetricsMissing", "HostMetricsMissing", "RedisDown", "PostgresDown"),
        width=17,
        height=5,
        empty="nothing is scraped yet",
    ),
    stat(
        2,
        "Firing alerts",
        "Alerts that fire now, by severity; the Watchdog, which always fires, is left out.",
        "none",
        [query(FIRING.format(severity), severity) for severity in ("critical", "warning")],
        steps={1: "red"},
        width=7,
        height=5,
        filled=True,
        decimals=0,
        links=[link("All alerts", "/alerts")],
        overrides=[override("warning", thresholds=thresholds({1: "orange"}))],
    ),
]

CACHE = [
    timeseries(
        3,
        "Hit ratio by namespace",
        "Share of cache lookups of the last 15 minutes that the cache answered; a miss may be a paid call.",
        "percentunit",
        query(
            f"namespace:cache_hit:ratio_rate15m{series(by=(NAMESPACE, ENVIRONMENT))}",
            "{{namespace}} {{environment}}",
        ),
        alerts=("CacheHitRateLow",),
        steps={0.5: "green"},
        base="red",
        calcs=("lastNotNull", "min", "max"),
        max=1,
        noValue="no cache lookups in this range",
    ),
    timeseries(
        4,
        "Latency P95 by namespace",
        "95 of 100 cache operations are faster than this; the line is the 5 ms that a cache on the same"
        " network keeps.",
        "s",
        query(
            f"namespace:cache_operation_duration_seconds:p95_5m{series(by=(NAMESPACE, ENVIRONMENT))}",
            "{{namespace}} {{environment}}",
        ),
        alerts=("CacheErrorsHigh", "RedisConnectionsNearMax"),
        steps={0.005: "red"},
        noValue="no cache operations in this range",
    ),
]

API = [
    timeseries(
        5,
        "Latency P50, P95, P99",
        "Time until the last byte of the answer, by route class, health checks left out; the lines are the target"
        " (P95 under 0.2 s) and the limit (5 s) of the class api.",
        "s",
        [
            *(
                query(
                    f"{LATENCY}:p{part}_5m" + series('route_class!="health"'),
                    f"{{{{route_class}}}} P{part} {{{{environment}}}}",
                )
                for part in (50, 95, 99)
            ),
            exemplars("app_http_request_duration_seconds_bucket" + series('route_class!="health"')),
        ],
        alerts=("ApiLatencyTargetMissed", "ApiResponseSlow"),
        steps={0.2: "orange", 5: "red"},
        height=10,
        log=True,
        overrides=[
            fixed("/^api /", "green"),
            fixed("/^llm /", "purple"),
            fixed("/^stream /", "blue"),
            override("/ P50/", custom__lineWidth=1),
            override("/ P99/", custom__lineWidth=1, custom__lineStyle={"fill": "dash", "dash": [4, 4]}),
        ],
        noValue="no requests in this range",
    ),
    timeseries(
        6,
        "Requests by status class",
        "Requests a second by the class of their status code, stacked.",
        "reqps",
        query(
            f"sum by (class) (label_replace(rate(app_http_requests_total{HERE}[$__rate_interval]),"
            ' "class", "${1}xx", "status", "(.).*")) or on () label_replace(vector(0), "class", "2xx", "", "")',
            "{{class}}",
        ),
        alerts=("ApiErrorRateHigh",),
        height=10,
        stacked=True,
        overrides=[fixed("2xx", "green"), fixed("3xx", "blue"), fixed("4xx", "yellow"), fixed("5xx", "red")],
        noValue="no requests in this range",
    ),
]

IDLE = series('mode="idle"')
PROCESSORS = f"count(node_cpu_seconds_total{IDLE})"
TOTAL_MEMORY = f"sum(node_memory_MemTotal_bytes{IN})"
CONTAINERS = series('name!=""')

RESOURCES = [
    timeseries(
        7,
        "CPU",
        "Busy share of the host's processors, and what containers and our own processes take of them.",
        "percentunit",
        [
            query(f"instance:node_cpu_busy:ratio_rate5m{HERE}", "host {{instance}} {{environment}}"),
            query(
                f"sum by (name) (rate(container_cpu_usage_seconds_total{CONTAINERS}[$__rate_interval]))"
                f" / on () group_left () {PROCESSORS}",
                "{{name}}",
            ),
            query(
                f"sum by (job) (rate(process_cpu_seconds_total{HERE}[$__rate_interval]))"
                f" / on () group_left () {PROCESSORS}",
                "{{job}}",
            ),
        ],
        alerts=("HostCpuHigh", "HostCpuSaturated", "ContainerCpuThrottled"),
        steps={0.85: "orange", 0.95: "red"},
        width=8,
        overrides=[override("/^host/", custom__fillOpacity=12)],
        max=1,
        noValue="no host is watched",
    ),
    timeseries(
        8,
        "Memory",
        "Used share of the host's memory, and what containers and our own processes hold of it.",
        "percentunit",
        [
            query(f"1 - instance:node_memory_available:ratio{HERE}", "host {{instance}} {{environment}}"),
            query(
                f"sum by (name) (container_memory_working_set_bytes{CONTAINERS})"
                f" / on () group_left () {TOTAL_MEMORY}",
                "{{name}}",
            ),
            query(
                f"sum by (job) (process_resident_memory_bytes{HERE}) / on () group_left () {TOTAL_MEMORY}",
                "{{job}}",
            ),
        ],
        alerts=(
            "HostMemoryLow",
            "HostMemoryCritical",
            "HostMemoryStalled",
            "OomKillDetected",
            "ContainerMemoryNearLimit",
        ),
        steps={0.85: "orange", 0.95: "red"},
        width=8,
        overrides=[override("/^host/", custom__fillOpacity=12)],
        max=1,
        noValue="no host is watched",
    ),
    bar_gauge(
        9,
        "Disk",
        "Used share of each mounted file system; the linked runbook shows how many days are left until it is full.",
        "percentunit",
        query(
            f"max by (mountpoint) (1 - node_filesystem_avail_bytes{REAL_MOUNTS} / (node_filesystem_size_bytes > 0))",
            "{{mountpoint}}",
            now=True,
        ),
        alerts=("DatabaseDiskFilling",),
        steps={0.9: "red"},
        width=8,
        max=1,
        noValue="no host is watched",
    ),
]

DATABASE = [
    timeseries(
        10,
        "Query P95 by operation",
        "95 of 100 queries are faster than this, by operation; the line is where DbQueryLatencyHigh begins.",
        "s",
        query(f"operation:db_query_duration_seconds:p95_5m{IN}", "{{operation}} {{environment}}"),
        alerts=("DbQueryLatencyHigh", "PostgresLongTransaction"),
        steps={1: "red"},
        noValue="no queries in this range",
    ),
    timeseries(
        11,
        "Connections against the limit",
        "Share of the usable connections that are taken: on the servers, and in the application's own pools.",
        "percentunit",
        [
            query(f"instance:pg_connections_used:ratio{HERE}", "PostgreSQL {{instance}}"),
            query(f"instance:mysql_connections_used:ratio{HERE}", "MySQL {{instance}}"),
            query(f"max by (pool) (instance_pool:db_pool_used:ratio{IN})", "pool {{pool}}"),
            query(f"redis_connected_clients{HERE} / (redis_config_maxclients > 0)", "Redis {{instance}}"),
        ],
        alerts=("PostgresConnectionsHigh", "MySQLConnectionsHigh", "DbPoolExhausted"),
        steps={0.8: "red"},
        max=1,
        noValue="no database is watched",
    ),
]

ERRORS = [
    timeseries(
        12,
        "Error ratio",
        "Share of requests that the application answered with 5xx, and of model calls that failed; the line is 1 %.",
        "percentunit",
        [
            query(recorded("app:http_errors:ratio_rate5m", 0), "requests (5xx) {{environment}}"),
            query(
                f"max by (provider) (provider_model:llm_errors:ratio_rate5m{series(by=(MODEL, ENVIRONMENT))})",
                "model calls to {{provider}}",
            ),
        ],
        alerts=("ApiErrorRateHigh", "ApiErrorBudgetBurn", "LlmProviderErrorsHigh"),
        steps={0.01: "red"},
        fill=8,
        noValue="no requests in this range",
    ),
    timeseries(
        13,
        "Errors in the logs",
        "Log lines at error level and above, by service; search them in the logs of the same time.",
        "short",
        query(
            until(
                "sum by (service) (increase(log_events_total"
                + series('level=~"error|critical|fatal|alert|emergency"')
                + "[$__rate_interval]))",
                'label_replace(vector(0), "service", "no log is read", "", "")',
                "log_events_total",
            ),
            "{{service}}",
        ),
        alerts=("NewErrorSignatures",),
        bars=True,
        stacked=True,
        links=[link("Search these lines", "/logs?q=level:error&from=${__from}&to=${__to}")],
        decimals=0,
    ),
]

# The budget of everything has the feature "".
WHOLE = series('feature=""')
CHOSEN = series('feature=~"$feature|"')

COST = [
    timeseries(
        14,
        "Spend per hour by model",
        "What calling the models costs an hour at the rate of the last 30 minutes, by model, stacked.",
        "currencyUSD",
        query(
            until(
                f"sum by (model) (provider_model:llm_cost_usd_hourly:rate30m{series(by=(MODEL, ENVIRONMENT))})",
                'label_replace(vector(0), "model", "no calls yet", "", "")',
                "llm_cost_usd_total",
            ),
            "{{model}}",
        ),
        alerts=("LlmCostSpike", "LlmCostUntracked"),
        stacked=True,
    ),
    bar_gauge(
        15,
        "Spent against budget",
        "Share of the day's and the month's budget that is spent, and that the forecast says will be by its end.",
        "percentunit",
        [
            query(
                f"sum by (window, feature) (llm_budget_spent_usd{CHOSEN})"
                f" / (sum by (window, feature) (llm_budget_usd{IN}) > 0) or on (window) label_replace("
                f"0 * sum by (window) (llm_budget_spent_usd{WHOLE}),"
                ' "note", "(no budget set)", "", "")',
                "{{window}} {{feature}} {{note}}",
                now=True,
            ),
            query(
                f"sum by (window) (llm_budget_forecast_usd{WHOLE}) / (sum by (window) (llm_budget_usd{WHOLE}) > 0)",
                "{{window}}, forecast",
                now=True,
            ),
        ],
        alerts=("LlmDailyBudgetExceeded", "LlmDailyBudgetForecast", "LlmMonthlyBudgetNearLimit"),
        steps={0.8: "orange", 1: "red"},
        width=6,
        max=1,
        noValue="no ledger is running",
    ),
    stat(
        16,
        "Saved by the cache",
        "What cache hits of the last 24 hours did not cost, and its share of what would have been spent.",
        "currencyUSD",
        [
            query(f"sum(llm:cache_saved_usd:increase24h{IN}) or vector(0)", "saved in 24 h"),
            query(f"avg(llm:cache_saved:ratio_increase24h{IN}) or vector(0)", "of what would have been spent"),
        ],
        alerts=("CacheHitRateLow",),
        height=8,
        orientation="horizontal",
        overrides=[override("of what would have been spent", unit="percentunit", decimals=1)],
    ),
]

LEVEL = [
    stat(
        17,
        "Availability and error budget left",
        "Share of the last 30 days' requests without a 5xx, what is left of the error budget, and how much of the"
        " time P95 met its target.",
        "percentunit",
        [
            query(recorded("app:http_availability:ratio_rate30d", 1), "available {{environment}}"),
            query(recorded("app:http_error_budget_left:ratio_rate30d", 1), "error budget left {{environment}}"),
            query(recorded("app:http_latency_target_met:avg30d", 1), "time with P95 within target {{environment}}"),
        ],
        alerts=("ApiErrorBudgetBurn", "ApiLatencyTargetMissed"),
        steps={0.999: "green"},
        base="red",
        width=24,
        overrides=[
            override("/^error budget left/", thresholds=thresholds({0: "orange", 0.25: "green"}, "red"), decimals=1),
            override("/^time with P95/", thresholds=thresholds({0.95: "green"}, "orange"), decimals=1),
            override("/^available/", decimals=3),
        ],
    ),
]

DASHBOARD = Dashboard(
    name="application-overview",
    title="Application overview",
    description="Is it up, is it slow, what does it cost, what broke: one look at a team's LLM application.",
    variables=(ENVIRONMENT, INSTANCE, MODEL, FEATURE, NAMESPACE),
    groups={
        "System health": SYSTEM,
        "Cache": CACHE,
        "API": API,
        "Resources": RESOURCES,
        "Database": DATABASE,
        "Errors and logs": ERRORS,
        "LLM cost": COST,
        "SLA": LEVEL,
    },
)
