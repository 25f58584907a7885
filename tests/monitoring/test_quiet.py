"""Nothing fires on a healthy system, nor when it is started again, loses a scrape or resets its counters (U9, U10).

All rules at once. Where nothing is scraped at all, exactly the committed list fires.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
from topmast import rulefile
from topmast.proofs.rules import EMPTY, firing_on

RULES = rulefile.load(Path(__file__).resolve().parents[2] / "monitoring" / "prometheus")
MINUTES = 60
EVENT = 30
"""The minute in which something happens to the system."""
ALWAYS = ["Watchdog"]


@dataclass(frozen=True)
class Series:
    """A series of a healthy system: it begins with `start` and grows by `step` a minute."""

    selector: str
    start: float
    step: float = 0.0

    def values(self) -> list[str]:
        return [f"{self.start + self.step * minute:.10g}" for minute in range(MINUTES + 2)]


def histogram(name: str, labels: str, bounds: Sequence[str], shares: Sequence[float], rate: float) -> list[Series]:
    buckets = [
        Series(f'{name}_bucket{{{labels}, le="{le}"}}', 0, rate * share)
        for le, share in zip(bounds, shares, strict=True)
    ]
    return [*buckets, Series(f"{name}_count{{{labels}}}", 0, rate)]


IDLE = [
    *(
        Series(f'up{{job="{job}", instance="{instance}"}}', 1)
        for job, instance in (
            ("prometheus", "a:9090"),
            ("alertmanager", "a:9093"),
            ("node", "a:9100"),
            ("exporter", "a:9470"),
            ("shipper", "a:9471"),
            ("page", "a:3001"),
        )
    ),
    *(Series(f'node_cpu_seconds_total{{instance="a:9100", cpu="{cpu}", mode="user"}}', 0, 2) for cpu in "01"),
    *(Series(f'node_cpu_seconds_total{{instance="a:9100", cpu="{cpu}", mode="idle"}}', 0, 58) for cpu in "01"),
    Series('node_load5{instance="a:9100"}', 0.2),
    Series('node_memory_MemAvailable_bytes{instance="a:9100"}', 2e9),
    Series('node_memory_MemTotal_bytes{instance="a:9100"}', 4e9),
    Series('node_vmstat_oom_kill{instance="a:9100"}', 0),
    Series('node_pressure_memory_waiting_seconds_total{instance="a:9100"}', 0),
    Series('node_filesystem_avail_bytes{instance="a:9100", device="/dev/sda1", mountpoint="/", fstype="ext4"}', 40e9),
    Series('node_filesystem_size_bytes{instance="a:9100", device="/dev/sda1", mountpoint="/", fstype="ext4"}', 80e9),
    Series('node_filesystem_readonly{instance="a:9100", device="/dev/sda1", mountpoint="/", fstype="ext4"}', 0),
    Series('prometheus_rule_evaluation_failures_total{instance="a:9090", rule_group="cpu"}', 0),
    Series('prometheus_rule_group_iterations_missed_total{instance="a:9090", rule_group="cpu"}', 0),
    Series('prometheus_config_last_reload_successful{instance="a:9090"}', 1),
    Series('alertmanager_config_last_reload_successful{instance="a:9093"}', 1),
    Series('prometheus_notifications_alertmanagers_discovered{instance="a:9090"}', 1),
    Series('prometheus_notifications_dropped_total{instance="a:9090"}', 0),
    Series('alertmanager_notifications_failed_total{instance="a:9093", integration="slack"}', 0),
    Series('prometheus_tsdb_head_series{instance="a:9090"}', 9000),
    Series('prometheus_tsdb_wal_writes_failed_total{instance="a:9090"}', 0),
    Series('prometheus_tsdb_compactions_failed_total{instance="a:9090"}', 0),
    Series('shipper_oldest_unsent_seconds{instance="a:9471"}', 0),
    Series('shipper_lost_total{instance="a:9471", reason="truncated"}', 0),
    *(Series(f'llm_budget_usd{{window="{window}", feature=""}}', 0) for window in ("day", "month")),
    *(Series(f'llm_budget_spent_usd{{window="{window}", feature=""}}', 0) for window in ("day", "month")),
]

_CALL = 'provider="openai", model="gpt-x"'
DEMO = [
    *IDLE,
    *(Series(f'app_dependency_configured{{dependency="{name}"}}', 1) for name in ("app", "redis", "postgresql")),
    Series('up{job="app", instance="a:18000"}', 1),
    Series('up{job="redis", instance="a:16379"}', 1),
    Series('up{job="postgres", instance="a:15432"}', 1),
    Series('redis_up{instance="a:16379"}', 1),
    Series('redis_memory_used_bytes{instance="a:16379"}', 20e6),
    Series('redis_memory_max_bytes{instance="a:16379"}', 0),
    Series('redis_total_system_memory_bytes{instance="a:16379"}', 4e9),
    Series('redis_instance_info{instance="a:16379", maxmemory_policy="noeviction"}', 1),
    Series('redis_connected_clients{instance="a:16379"}', 12),
    Series('redis_config_maxclients{instance="a:16379"}', 10000),
    Series('redis_rdb_last_bgsave_status{instance="a:16379"}', 1),
    Series('redis_aof_last_write_status{instance="a:16379"}', 1),
    Series('pg_up{instance="a:15432"}', 1),
    Series('pg_stat_activity_count{instance="a:15432", datname="shop", state="idle"}', 9),
    Series('pg_settings_max_connections{instance="a:15432"}', 100),
    Series('pg_settings_superuser_reserved_connections{instance="a:15432"}', 3),
    Series('pg_stat_activity_max_tx_duration{instance="a:15432", datname="shop", state="active"}', 0.2),
    Series('app_event_loop_lag_seconds{instance="a:18000"}', 0.003),
    Series('app_start_time_seconds{instance="a:18000"}', 0),
    Series('app_http_requests_total{instance="a:18000", route="/cart", route_class="api", status="200"}', 0, 300),
    Series('app_http_requests_total{instance="a:18000", route="/cart", route_class="api", status="500"}', 0, 0.1),
    *histogram(
        "app_http_request_duration_seconds",
        'instance="a:18000", route="/cart", route_class="api"',
        ("0.1", "0.2", "5.0", "+Inf"),
        (0.9, 0.99, 1, 1),
        300,
    ),
    *(
        Series(
            f'cache_requests_total{{instance="a:18000", namespace="session", operation="get", result="{result}"}}',
            0,
            n,
        )
        for result, n in (("hit", 200), ("miss", 40), ("error", 0))
    ),
    Series('db_pool_connections_in_use{instance="a:18000", pool="main"}', 3),
    Series('db_pool_connections_max{instance="a:18000", pool="main"}', 20),
    *histogram(
        "db_query_duration_seconds", 'database="shop", operation="select"', ("0.1", "1.0", "+Inf"), (0.99, 1, 1), 500
    ),
    *(Series(f'llm_requests_total{{{_CALL}, outcome="{name}"}}', 0, n) for name, n in (("ok", 60), ("error", 0.5))),
    *histogram("llm_request_duration_seconds", _CALL, ("20.0", "30.0", "+Inf"), (0.99, 1, 1), 60),
    Series(f'llm_cost_usd_total{{{_CALL}, feature="chat", component="output"}}', 0, 0.05),
    Series(f'llm_unpriced_requests_total{{{_CALL}, reason="unknown_model"}}', 0),
    # People give up streams half-way; what those cost is never known.
    Series(f'llm_unpriced_requests_total{{{_CALL}, reason="cancelled"}}', 0, 2),
    Series('agent_executions_total{agent="coder", status="success"}', 0, 4),
    Series('agent_executions_total{agent="coder", status="failure"}', 0, 0.05),
    *histogram("agent_execution_seconds", 'agent="coder"', ("30.0", "60.0", "+Inf"), (0.97, 0.99, 1), 4),
    Series('log_error_signatures_new_total{instance="a:9471", service="shop"}', 3),
]


Happening = Callable[[Series, list[str]], list[str]]


def nothing(_series: Series, values: list[str]) -> list[str]:
    return values


def _missed(values: list[str], minutes: int) -> list[str]:
    return values[:EVENT] + ["_"] * minutes + values[EVENT + minutes :]


def prometheus_starts_again(_series: Series, values: list[str]) -> list[str]:
    return _missed(values, 2)


def a_scrape_is_missed(series: Series, values: list[str]) -> list[str]:
    if series.selector.startswith("up{"):
        return [*values[:EVENT], "0", *values[EVENT + 1 :]]
    return _missed(values, 1)


def every_counter_is_reset(series: Series, values: list[str]) -> list[str]:
    if not series.step:
        return values
    return values[:EVENT] + [f"{series.step * minute:.10g}" for minute in range(len(values) - EVENT)]


def the_application_starts_again(series: Series, values: list[str]) -> list[str]:
    if 'job="app"' in series.selector:
        return [*values[:EVENT], "0", *values[EVENT + 1 :]]
    if not series.selector.startswith(("app_", "agent_", "cache_", "db_")) or "configured" in series.selector:
        return values
    if series.selector.startswith("app_start_time"):
        return _missed(values[:EVENT] + [str(60 * EVENT)] * (len(values) - EVENT), 1)
    return _missed(every_counter_is_reset(series, values), 1)


def the_exporter_starts_again(series: Series, values: list[str]) -> list[str]:
    if series.selector.startswith("up{") and any(job in series.selector for job in ("exporter", "redis", "postgres")):
        return [*values[:EVENT], "0", *values[EVENT + 1 :]]
    served = ("redis_", "pg_", "llm_", "app_dependency_configured")
    return _missed(values, 1) if series.selector.startswith(served) else values


@pytest.mark.rules
@pytest.mark.parametrize(
    "happening",
    [
        nothing,
        prometheus_starts_again,
        a_scrape_is_missed,
        every_counter_is_reset,
        the_application_starts_again,
        the_exporter_starts_again,
    ],
)
@pytest.mark.parametrize("world", [pytest.param(IDLE, id="idle"), pytest.param(DEMO, id="demo")])
def test_nothing_fires(world: Sequence[Series], happening: Happening, promtool: Path) -> None:
    series = [{"series": each.selector, "values": " ".join(happening(each, each.values()))} for each in world]

    fired = {
        alert
        for minute in (4, 12, EVENT + 3, EVENT + 8, EVENT + 16, MINUTES)
        for alert in firing_on(promtool, RULES, series, f"{minute}m")
    }

    assert sorted(fired) == ALWAYS


@pytest.mark.rules
def test_where_nothing_is_scraped_the_committed_list_fires(promtool: Path) -> None:
    assert firing_on(promtool, RULES, [], "30m") == list(EMPTY)


@pytest.mark.rules
def test_what_was_declared_is_missed_too(promtool: Path) -> None:
    declared = [
        {"series": f'app_dependency_configured{{dependency="{name}"}}', "values": "1x60"}
        for name in ("app", "cadvisor", "redis", "postgresql", "mysql", "elasticsearch", "logstash")
    ]

    assert firing_on(promtool, RULES, declared, "30m") == sorted(
        {
            *EMPTY,
            "AppMetricsMissing",
            "ContainerMetricsMissing",
            "RedisDown",
            "PostgresDown",
            "MySQLDown",
            "ElasticsearchDown",
            "LogstashDown",
        }
    )
