"""Each disaster with every rule at once: what else fires is known and committed (U11).

together.yml lists, for an alert's fire case, the other alerts that fire with it; who is not listed is alone.
"""

from pathlib import Path

import pytest
import yaml
from topmast import rulecases, rulefile
from topmast.proofs.rules import EMPTY, firing_on

HERE = Path(__file__).parent
RULES = rulefile.load(HERE.parents[1] / "monitoring" / "prometheus")
CATALOGUE = [rule for rule in RULES if rule.kind == "alert" and rule.file.parent.name == "alerts"]
TOGETHER = yaml.safe_load((HERE / "together.yml").read_text())
# The rest of the machine is well.
AROUND = [
    {"series": 'up{job="node", instance="around:9100"}', "values": "1x*"},
    {"series": 'up{job="exporter", instance="around:9470"}', "values": "1x*"},
]
# These look back for a day: their cases are long, and nothing but money is in them.
LONG = {"LlmCostSpike"}


@pytest.mark.rules
@pytest.mark.parametrize("rule", [rule for rule in CATALOGUE if rule.name not in LONG], ids=lambda rule: rule.name)
def test_what_fires_with_it(rule: rulefile.Rule, promtool: Path) -> None:
    fire = next(
        case.test for case in rulecases.read(HERE / "alerts" / f"{rule.name}.yml", rule).cases if case.name == "fire"
    )
    at = fire["alert_rule_test"][0]["eval_time"]
    minutes = rulecases.minutes(at)
    around = [{**each, "values": f"1x{minutes + 1}"} for each in AROUND]

    firing = firing_on(promtool, RULES, [*fire["input_series"], *around], at)

    others = sorted(set(firing) - {rule.name, "Watchdog"})
    assert rule.name in firing
    assert others == TOGETHER.get(rule.name, [])


def test_the_list_names_alerts() -> None:
    names = {rule.name for rule in RULES if rule.kind == "alert"}

    assert {name for name, others in TOGETHER.items() for name in [name, *others]} <= names
    assert set(EMPTY) <= names
