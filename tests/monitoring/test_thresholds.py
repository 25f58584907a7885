"""The documented thresholds are those of the rules, as they are shipped."""

from pathlib import Path

import pytest
from topmast import promql, rulefile, selectors

RULES = rulefile.load(Path(__file__).resolve().parents[2] / "monitoring" / "prometheus")
BY_NAME = {rule.name: rule for rule in RULES}


@pytest.mark.parametrize(
    ("alert", "numbers"),
    [
        pytest.param("ApiResponseSlow", {"5"}, id="API: slower than 5 s"),
        pytest.param("ApiErrorRateHigh", {"0.01"}, id="API: more than 1 % errors"),
        pytest.param("ApiLatencyTargetMissed", {"0.2"}, id="API: P95 below 200 ms"),
        pytest.param("ApiErrorBudgetBurn", {"14.4", "6", "0.001"}, id="availability: 99.9 %"),
        pytest.param("AgentExecutionSlow", {"60"}, id="agent: longer than 60 s"),
        pytest.param("RedisMemoryHigh", {"0.8"}, id="Redis: above 80 %"),
        pytest.param("PostgresConnectionsHigh", {"0.8"}, id="PostgreSQL: above 80 % of the usable connections"),
        pytest.param("MySQLConnectionsHigh", {"0.8"}, id="MySQL: above 80 % of the connections"),
    ],
)
def test_documented_threshold(alert: str, numbers: set[str]) -> None:
    assert numbers <= set(promql.numbers(BY_NAME[alert].expr))


def test_only_the_slots_that_a_user_can_have_count() -> None:
    rule = BY_NAME["instance:pg_connections_used:ratio"]

    reserved = {"pg_settings_superuser_reserved_connections", "pg_settings_reserved_connections"}
    found = selectors.of(rule.expr)
    assert [name for name in reserved if not any(each.picks(name, {}) for each in found)] == []
