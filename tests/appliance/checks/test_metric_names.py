"""The check `metric_names` is silent about our house and sees each seeded defect."""

from typing import Any

import pytest
from topmast.checks.metric_names import CHECK


def test_is_silent_about_our_house(house: Any) -> None:
    assert house.said(CHECK) == []


@pytest.mark.parametrize(
    ("file", "old", "new", "message"),
    [
        pytest.param(
            "monitoring/prometheus/alerts/cache.yml",
            "redis_connected_clients /",
            "redis_clients_connected /",
            "redis_clients_connected: no metric of this name",
            id="a name that nothing exports",
        ),
        pytest.param(
            "monitoring/prometheus/recording/llm.yml",
            'rate(llm_requests_total{outcome!="cached"}[5m])',
            'rate(llm_requests{outcome!="cached"}[5m])',
            "llm_requests: no metric of this name",
            id="a counter without _total",
        ),
        pytest.param(
            "monitoring/prometheus/alerts/llm.yml",
            "app_http_requests_total{status=~",
            "app_http_requests_total{code=~",
            "app_http_requests_total has no label code",
            id="a label that it does not have",
        ),
        pytest.param(
            "monitoring/prometheus/recording/database.yml",
            "reserved_connections|pg_settings_reserved_connections",
            "reserved_connections|pg_settings_reserved_slots",
            "pg_settings_reserved_slots: no metric of this name",
            id="one of several names",
        ),
        pytest.param(
            "monitoring/prometheus/recording/agent.yml",
            "sum by (environment, agent) (increase(agent_executions_total{status!",
            "sum by (environment, agent_name) (increase(agent_executions_total{status!",
            "grouped by agent_name",
            id="grouped by nothing",
        ),
        pytest.param(
            "monitoring/prometheus/alerts/cpu.yml",
            'absent(up{job="node"})',
            'absent(up{job="nodes"})',
            'job="nodes": no such job',
            id="a job that there is not",
        ),
    ],
)
def test_sees(house: Any, file: str, old: str, new: str, message: str) -> None:
    house.change(file, old, new)

    assert [said for said in house.said(CHECK) if message in said]
