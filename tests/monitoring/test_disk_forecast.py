"""`topmast doctor` and the alert DatabaseDiskFilling say the same of the same disk, as promtool evaluates both."""

from pathlib import Path

import pytest
from topmast import forecast, rulecases, rulefile
from topmast.layout import Layout, find_home

SIZE, MINUTES = 100e9, 7 * 60
[ALERT] = [
    rule for rule in rulefile.load(find_home() / "monitoring/prometheus") if rule.name == "DatabaseDiskFilling"
]
RETENTION = {"metrics_bytes": 5e9, "logs_bytes": 2e9}


@pytest.mark.rules
@pytest.mark.parametrize(
    ("free", "hours_left"),
    [
        pytest.param(0.24, 3.5, id="a quarter free, full before four hours"),
        pytest.param(0.24, 4.5, id="a quarter free, full after four hours"),
        pytest.param(0.26, 3.5, id="more than a quarter free, filling fast"),
        pytest.param(0.09, None, id="nearly full, and not filling"),
        pytest.param(0.11, None, id="not nearly full, and not filling"),
        pytest.param(0.11, 100.0, id="filling slowly"),
        pytest.param(0.09, -5.0, id="nearly full, and getting emptier"),
    ],
)
def test_the_forecast_fails_exactly_when_the_alert_is_raised(
    free: float, hours_left: float | None, promtool: Path, tmp_path: Path
) -> None:
    avail = free * SIZE
    pace = -avail / (hours_left * 3600) if hours_left else 0.0
    labels = f'job="node", instance="a:9100", mountpoint="{forecast.mountpoint(tmp_path)}", fstype="ext4"'
    asked: dict[str, float] = {}

    def ask(expression: str) -> float | None:
        known = {"predict_linear": avail, "deriv(": pace, "size_bytes": free}
        found = next((value for part, value in known.items() if part in expression), None)
        if found is not None:
            asked[expression] = found
        return MINUTES * 60.0 if "timestamp" in expression else found

    said = forecast.forecast(Layout(find_home(), tmp_path), RETENTION, ask)

    assert said is not None
    assert len(asked) == 3
    test = {
        "interval": "1m",
        "input_series": [
            {"series": f"node_filesystem_avail_bytes{{{labels}}}",
             "values": f"{avail - pace * 60 * MINUTES:.0f}{pace * 60:+.0f}x{MINUTES}"},
            {"series": f"node_filesystem_size_bytes{{{labels}}}", "values": f"{SIZE:.0f}x{MINUTES}"},
            {"series": f"node_filesystem_readonly{{{labels}}}", "values": f"0x{MINUTES}"},
        ],
        "promql_expr_test": [
            # What doctor asks is what it was answered, to a thousandth.
            *(
                {"expr": f"abs(({expression}) - ({value:.12f})) <= bool {max(abs(value) / 1000, 1e-6):.12f}",
                 "eval_time": f"{MINUTES}m", "exp_samples": [{"labels": "{}", "value": 1}]}
                for expression, value in asked.items()
            ),
            {"expr": 'count by (alertname) (ALERTS{alertname="DatabaseDiskFilling"})', "eval_time": f"{MINUTES}m",
             "exp_samples": [{"labels": '{alertname="DatabaseDiskFilling"}', "value": 1}] if said.alarming else []},
        ],
    }  # fmt: skip

    verdict = rulecases.run(promtool, [ALERT], [test])

    assert verdict.ok, verdict.output
