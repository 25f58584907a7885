"""What we render is valid on the newest Alertmanager too, and one alert is told through it (suite `newest`)."""

import os
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import requests
import yaml
from topmast import newest, promtool, routing, rulefile
from topmast.drill import receivers, rerouted, world
from topmast.suites import required

HOME = Path(__file__).resolve().parents[2]
SOURCE = HOME / "monitoring" / "alertmanager"
pytestmark = pytest.mark.newest


@pytest.fixture(scope="module")
def programs() -> Path:
    named = os.environ.get(newest.ALERTMANAGER, "")
    if not (Path(named) / "alertmanager").is_file():
        reason = f"no newest Alertmanager: run `./topmast test --suite newest`, or name it in {newest.ALERTMANAGER}"
        if "newest" in required():
            pytest.fail(reason)
        pytest.skip(reason)
    return Path(named)


@pytest.mark.parametrize(
    "notify",
    [
        pytest.param({}, id="the inbox"),
        pytest.param(
            {
                "slack": {"api_url_file": "/s/slack"},
                "pagerduty": {"routing_key_file": "/s/pagerduty"},
                "email": {"smarthost": "mail:587", "from": "a@example.com", "to": "b@example.com"},
                "webhook": {"url": "https://hooks.example.com/a"},
                "heartbeat": {"url": "https://hc.example.com/a"},
            },
            id="every channel",
        ),
    ],
)
def test_what_is_rendered_is_accepted(notify: dict[str, Any], programs: Path, tmp_path: Path) -> None:
    path = routing.render_alertmanager(
        SOURCE, tmp_path, inbox="http://page:3002", smtp="page:3025", notify=notify, speed=1
    )

    answer = promtool.run(programs / "amtool", ["check-config", str(path)])

    assert (answer.code, "FAILED" in answer.output) == (0, False), answer.output


def test_an_alert_is_told_at_every_receiver(programs: Path, tmp_path: Path, eventually: Callable[..., None]) -> None:
    rule = next(each for each in rulefile.load(HOME / "monitoring" / "prometheus") if each.name == "RedisDown")
    with world.guarded() as pipe, receivers.receiving() as capture:
        config = rerouted.rerouted(SOURCE / "alertmanager.yml", "newest", capture, 120)
        path = tmp_path / "alertmanager.yml"
        path.write_text(yaml.safe_dump(config))
        address = world.free_address()
        argv = [
            *(str(programs / "alertmanager"), f"--config.file={path}", f"--storage.path={tmp_path / 'data'}"),
            *(f"--web.listen-address={address}", "--cluster.listen-address="),
        ]
        with world.running(argv, tmp_path, address, tmp_path, pipe) as url:
            labels = {**rule.labels, "alertname": rule.name, "environment": "production"}
            ends = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
            alert = {"labels": labels, "annotations": dict(rule.annotations), "endsAt": ends}
            requests.post(f"{url}/api/v2/alerts", json=[alert], timeout=30).raise_for_status()

            def told() -> set[tuple[str, str]]:
                return {(each.notification.receiver, each.notification.channel) for each in capture.of("newest")}

            wanted = {("pagerduty", "pagerduty"), ("slack-critical", "slack")}
            eventually(lambda: told() == wanted, "both receivers", 60)
        assert not [each for each in capture.of("newest") if each.refused]
        assert all("/runbooks/RedisDown" in str(each.notification.raw) for each in capture.of("newest"))
