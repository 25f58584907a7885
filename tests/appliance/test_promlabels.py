"""The labels that an expression leaves, worked out without an engine."""

import pytest
from topmast import metrics, promlabels, promql

TARGET = {"job", "instance", "environment"}
RECORDED = {"recorded:x:sum": "sum by (instance) (redis_up)"}


def labels(expression: str) -> set[str] | None:
    found = promlabels.labels_of(promql.parse(expression), promlabels.lookup(metrics.load(), RECORDED))
    return None if found is None else set(found)


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        pytest.param("redis_up", TARGET, id="a metric"),
        pytest.param("rate(llm_retries_total[5m])", {*TARGET, "provider", "model", "reason"}, id="a rate"),
        pytest.param(
            "app_http_request_duration_seconds_bucket",
            {*TARGET, "method", "route", "route_class", "le"},
            id="a bucket",
        ),
        pytest.param("sum by (instance, agent) (agent_tasks_max)", {"instance", "agent"}, id="by"),
        pytest.param("sum by (nothing) (agent_tasks_max)", set(), id="by what is not there"),
        pytest.param("sum without (agent, job) (agent_tasks_max)", {"instance", "environment"}, id="without"),
        pytest.param("sum(redis_up)", set(), id="of everything"),
        pytest.param("recorded:x:sum", {"instance"}, id="a recording rule"),
        pytest.param(
            "histogram_quantile(0.9, sum by (le, agent) (rate(agent_start_seconds_bucket[5m])))",
            {"agent"},
            id="a quantile",
        ),
        pytest.param('absent(up{job="app", instance=~"a.*"})', {"job"}, id="absence"),
        pytest.param("redis_up / on (instance) pg_up", {"instance"}, id="on"),
        pytest.param("agent_tasks_max / ignoring (agent) redis_up", TARGET, id="ignoring"),
        pytest.param(
            "agent_tasks_max / on (instance) group_left (x) redis_up", {*TARGET, "agent", "x"}, id="group_left"
        ),
        pytest.param("redis_up and on () pg_up", TARGET, id="and keeps its left side"),
        pytest.param("sum(redis_up) or sum by (job) (pg_up)", {"job"}, id="or has both"),
        pytest.param("24 * agent_tasks_max > 3", {*TARGET, "agent"}, id="numbers"),
        pytest.param("time() - redis_up", TARGET, id="a scalar"),
        pytest.param("vector(1)", set(), id="a vector of one"),
        pytest.param("topk(3, agent_tasks_max)", {*TARGET, "agent"}, id="topk"),
        pytest.param("somebodys_metric", None, id="not known"),
        pytest.param("sum by (a) (somebodys_metric)", {"a"}, id="known again by its grouping"),
    ],
)
def test_labels_of(expression: str, expected: set[str] | None) -> None:
    assert labels(expression) == expected
