"""A drill alert through a running Alertmanager: marked, told where it went, and over soon."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest
import requests
import yaml
from topmast import config, rulefile
from topmast.drill import live, receivers, rerouted, world
from topmast.engine import Setup
from topmast.engines import alertmanager
from topmast.errors import NotRunningError, TopmastError
from topmast.layout import Layout
from topmast.page.inbox import Inbox

ROOT = Path(__file__).resolve().parents[3]
RULES = {rule.name: rule for rule in rulefile.load(ROOT / "monitoring" / "prometheus") if rule.kind == "alert"}


@dataclass(frozen=True)
class Running:
    """A real Alertmanager with our routes and receivers that capture."""

    url: str
    config: Path
    capture: receivers.Capture


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Running]:
    """One a test: the end of another's drill would be counted."""
    folder = tmp_path
    layout = Layout(ROOT, ROOT / ".topmast")
    settings = config.load(None, layout).values
    setup = Setup(layout=layout, settings=settings, demo=False, real_clocks=True, say=print)
    _, program, cwd = alertmanager.runnable(setup)
    source = ROOT / "monitoring" / "alertmanager" / "alertmanager.yml"
    with world.guarded() as pipe, receivers.receiving() as capture:
        routes = rerouted.rerouted(source, "live", capture, 120)
        for each in routes["receivers"]:
            if each["name"] == "email-cost":
                each["slack_configs"][0]["api_url"] = f"{capture.http}/nobody"
        path = folder / "alertmanager.yml"
        path.write_text(yaml.safe_dump(routes))
        address = world.free_address()
        argv = [
            *(str(program), f"--config.file={path}", f"--storage.path={folder / 'data'}"),
            *(f"--web.listen-address={address}", "--cluster.listen-address="),
        ]
        with world.running(argv, cwd, address, folder, pipe) as url:
            yield Running(url, path, capture)


def drill(running: Running, name: str, inbox: Path) -> list[live.Check]:
    return live.run(running.url, RULES[name], "production", running.config, Inbox(inbox), 20, print)


@pytest.mark.live
def test_a_critical_arrives_marked_at_each_of_its_channels(running: Running, tmp_path: Path) -> None:
    checks = drill(running, "RedisDown", tmp_path / "inbox")

    assert {each.name: each.ok for each in checks} == {"pagerduty (pagerduty)": True, "slack-critical (slack)": True}
    told = [each.notification for each in running.capture.of("live")]
    assert all(live.MARK in each.text for each in told)
    (held,) = requests.get(f"{running.url}/api/v2/alerts?active=false", timeout=10).json() or [None]
    assert held is None or datetime.fromisoformat(held["endsAt"]) <= datetime.now(UTC)


@pytest.mark.live
def test_a_channel_that_refuses_is_told_with_where_to_look(running: Running, tmp_path: Path) -> None:
    checks = {each.name: each for each in drill(running, "LlmCostSpike", tmp_path / "inbox")}

    assert checks["email-cost (email)"].ok
    assert not checks["email-cost (slack)"].ok
    assert "alertmanager.log" in str(checks["email-cost (slack)"].remedy)


@pytest.mark.live
def test_an_alert_that_fires_is_no_drill(running: Running, tmp_path: Path) -> None:
    real = {"labels": {"alertname": "MySQLDown", "severity": "critical", "category": "database"}}
    requests.post(f"{running.url}/api/v2/alerts", data=json.dumps([real]), headers=_JSON, timeout=10)

    with pytest.raises(TopmastError, match="MySQLDown fires right now"):
        drill(running, "MySQLDown", tmp_path / "inbox")


_JSON = {"content-type": "application/json"}


def test_without_an_alertmanager_it_says_so(tmp_path: Path) -> None:
    with pytest.raises(NotRunningError, match="no Alertmanager answers"):
        live.run("http://127.0.0.1:1", RULES["RedisDown"], "production", tmp_path, Inbox(tmp_path), 1, print)
