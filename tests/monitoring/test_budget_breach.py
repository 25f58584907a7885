"""How soon a day's budget that is spent is an alert, at the intervals that Prometheus runs with."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from topmast import rules
from topmast.promtool import run

ALERT = "LlmDailyBudgetExceeded"
SLO = {"availability": 0.999, "latency_p95_seconds": 0.2}
BREACH_MINUTES = 30
"""After so many the budget of 10 USD is spent: half an hour at a quiet pace, then a loop."""


def states(
    promtool: Path, monitoring: Path, folder: Path, alerts: Mapping[str, Any], expected: Mapping[int, str]
) -> str:
    """Return what promtool finds wrong with the alert's state so many seconds after the breach."""
    source = monitoring / "prometheus"
    rules.render(source, folder, alerts=alerts, slo=SLO)
    every = yaml.safe_load((source / "prometheus.yml").read_text())["global"]
    spent = "llm_cost_usd_total{environment='production',provider='acme',model='big',feature='',component='input'}"
    budget = "llm_budget_usd{environment='production',window='day',feature=''}"
    calm = BREACH_MINUTES * 4 - 1
    tests = [
        {
            "interval": every["scrape_interval"],
            "input_series": [
                {"series": spent, "values": f"0+0.05x{calm} 12+1x200"},
                {"series": budget, "values": f"10x{calm + 201}"},
            ],
            "promql_expr_test": [
                {
                    "expr": f"count by (alertstate) (ALERTS{{alertname='{ALERT}'}})",
                    "eval_time": f"{BREACH_MINUTES * 60 + seconds}s",
                    "exp_samples": [{"labels": f'{{alertstate="{state}"}}', "value": 1}] if state else [],
                }
                for seconds, state in expected.items()
            ],
        }
    ]
    file = folder / "breach.yml"
    document = {
        "rule_files": [str(folder / "recording/cost.yml"), str(folder / "alerts/cost.yml")],
        "evaluation_interval": every["evaluation_interval"],
        "tests": tests,
    }
    file.write_text(yaml.safe_dump(document))
    answer = run(promtool, ["test", "rules", str(file)])
    return "" if answer.code == 0 else answer.output


@pytest.mark.rules
def test_a_spent_budget_is_seen_within_a_minute_and_pages_after_its_five(
    promtool: Path, monitoring: Path, tmp_path: Path
) -> None:
    shipped = {-15: "", 60: "pending", 285: "pending", 360: "firing"}

    assert states(promtool, monitoring, tmp_path, {}, shipped) == ""


@pytest.mark.rules
def test_without_its_wait_it_fires_within_a_minute(promtool: Path, monitoring: Path, tmp_path: Path) -> None:
    at_once = {ALERT: {"for": "0s"}}

    assert states(promtool, monitoring, tmp_path, at_once, {-15: "", 60: "firing"}) == ""
