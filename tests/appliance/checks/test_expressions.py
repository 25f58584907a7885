"""The check `expressions` is silent about our house and sees each seeded defect."""

from typing import Any

import pytest
from topmast.checks.expressions import CHECK


def test_is_silent_about_our_house(house: Any) -> None:
    assert house.said(CHECK) == []


@pytest.mark.parametrize(
    ("file", "old", "new", "message"),
    [
        pytest.param(
            "monitoring/prometheus/alerts/cpu.yml",
            "ratio_rate5m > 0.85",
            "ratio_rate5m",
            "nothing is compared",
            id="no comparison",
        ),
        pytest.param(
            "monitoring/prometheus/alerts/cache.yml",
            "or redis_aof_last_write_status == 0",
            "or redis_aof_last_write_status",
            "nothing is compared",
            id="one arm without a comparison",
        ),
        pytest.param(
            "monitoring/prometheus/alerts/memory.yml",
            "rate(node_pressure_memory_waiting_seconds_total[5m])",
            "(node_pressure_memory_waiting_seconds_total)",
            "is a counter and only ever grows",
            id="a raw counter",
        ),
        pytest.param(
            "monitoring/prometheus/alerts/database.yml",
            "expr: instance:pg_connections_used:ratio > 0.8",
            "expr: rate(pg_stat_activity_count[5m]) > 0.8",
            "rate() of pg_stat_activity_count, which is no counter",
            id="the rate of a gauge",
        ),
        pytest.param(
            "monitoring/prometheus/alerts/memory.yml",
            "rate(node_pressure",
            "deriv(node_pressure",
            "deriv() of node_pressure_memory_waiting_seconds_total, which is a counter",
            id="the slope of a counter",
        ),
        pytest.param(
            "monitoring/prometheus/alerts/memory.yml",
            "waiting_seconds_total[5m]",
            "waiting_seconds_total[1m]",
            "use more than four scrapes",
            id="a range of four scrapes",
        ),
        pytest.param(
            "monitoring/prometheus/alerts/cpu.yml",
            "max by (environment, instance) (app_event_loop_lag_seconds)",
            "max_over_time(app_event_loop_lag_seconds[5m:1m])",
            "a subquery",
            id="a subquery",
        ),
        pytest.param(
            "monitoring/prometheus/alerts/cache.yml",
            "expr: redis_rdb_last_bgsave_status == 0",
            "expr: redis_instance_info == 0",
            "an info metric is 1 or absent",
            id="an info metric that is 0",
        ),
        pytest.param(
            "monitoring/prometheus/alerts/cpu.yml",
            "max by (environment, instance) (app_event",
            "topk by (environment, instance) (1, app_event",
            "topk changes its series",
            id="topk",
        ),
        pytest.param(
            "monitoring/prometheus/recording/llm.yml",
            "(rate(llm_request_duration_seconds_bucket[10m]))",
            '(rate(llm_request_duration_seconds_bucket{le="30"}[10m]))',
            "use le=~",
            id="a literal le",
        ),
        pytest.param(
            "monitoring/prometheus/alerts/memory.yml",
            "waiting_seconds_total[5m]",
            "waiting_seconds_total[5m] @ 0",
            "an @ modifier",
            id="an @ modifier",
        ),
        pytest.param(
            "monitoring/prometheus/alerts/cpu.yml",
            "max by (environment, instance) (app_event_loop_lag_seconds)",
            "max_over_time(app_event_loop_lag_seconds[5m])",
            "wait twice",
            id="waiting twice",
        ),
    ],
)
def test_sees(house: Any, file: str, old: str, new: str, message: str) -> None:
    house.change(file, old, new)

    assert [said for said in house.said(CHECK) if message in said]
