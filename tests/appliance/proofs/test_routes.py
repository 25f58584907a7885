"""The proof of the routes agrees with the file, and each of its parts sees what it is for."""

import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml
from topmast import promtool, routedefects, rulefile
from topmast.proofs import routes
from topmast.suites import required

HOME = Path(__file__).resolve().parents[3]
SOURCE = HOME / "monitoring" / "alertmanager"
ALERTS = [rule for rule in rulefile.load(HOME / "monitoring" / "prometheus") if rule.kind == "alert"]


def changed(old: str = "", new: str = "") -> Any:
    text = (SOURCE / routedefects.CONFIG).read_text()
    assert old in text
    return yaml.safe_load(text.replace(old, new, 1))


def test_our_routes_are_as_promised() -> None:
    config = changed()

    assert list(routes.misrouted(config, ALERTS)) == []
    assert list(routes.promises(config)) == []
    assert routes.muted(config, ALERTS) == routes.MUTED


def test_a_page_that_waits_is_misrouted() -> None:
    config = changed("receiver: pagerduty\n      group_wait: 10s", "receiver: pagerduty\n      group_wait: 5m")

    assert any("RedisDown at pagerduty" in each for each in routes.misrouted(config, ALERTS))


def test_muting_another_machines_alert_is_seen() -> None:
    config = changed("equal: [category, pair, instance, ", "equal: [category, pair, ")

    assert ("HostCpuSaturated", "HostCpuHigh of another instance") in routes.muted(config, ALERTS)


@pytest.mark.parametrize(
    ("key", "said", "told"),
    [
        pytest.param("title", "[FIRING:1] CRITICAL HostCpuHigh\nBcc: x", "breaks out", id="a header line"),
        pytest.param("title", "[FIRING:1] HostCpuHigh", "CRITICAL", id="no severity"),
        pytest.param("text", "<!channel>", "speaks Slack", id="a mention"),
        pytest.param("text", "of <no value>", "a hole", id="a hole"),
        pytest.param("html", "<script>", "speaks HTML", id="a script"),
    ],
)
def test_a_bad_text_is_told(key: str, said: str, told: str) -> None:
    text = routes.Text("slack-critical: slack_configs", key, "")

    assert told in routes.wrong(text, said, 1, 0, "hostile")


def test_thirty_defects_fit_our_files() -> None:
    lacking = [each.name for each in routedefects.DEFECTS if each.old not in (SOURCE / each.file).read_text()]

    assert (len(routedefects.DEFECTS), lacking) == (30, [])


@pytest.mark.rules
def test_amtool_renders_our_texts_as_they_must_be_and_not_a_defects(tmp_path: Path) -> None:
    amtool = promtool.find_amtool()
    if amtool is None:
        if "rules" in required():
            pytest.fail("no amtool")
        pytest.skip("no amtool: run `./topmast test --suite rules` or set TOPMAST_AMTOOL")
    defect = next(each for each in routedefects.DEFECTS if each.name == "a label that speaks Slack")
    broken = tmp_path / "broken"
    shutil.copytree(SOURCE, broken)
    path = broken / defect.file
    path.write_text(path.read_text().replace(defect.old, defect.new, 1))

    assert routes.problems(amtool, SOURCE, ALERTS) == []
    assert any("speaks Slack" in each for each in routes.problems(amtool, broken, ALERTS))
