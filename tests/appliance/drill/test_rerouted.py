"""Only addresses, secrets, waits and quiet hours change: no message of a drill can leave the machine."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from topmast.drill import rerouted
from topmast.drill.receivers import Capture
from topmast.errors import TopmastError

REAL = """
global: {smtp_smarthost: 'mail.example.com:587', smtp_auth_password_file: /secret, slack_api_url_file: /secret}
templates: [templates/*.tmpl]
route:
  receiver: team
  group_wait: 30s
  group_interval: 5m
  routes:
    - {matchers: ['severity="critical"'], receiver: pager, group_wait: 10s, mute_time_intervals: [nights]}
time_intervals: [{name: nights, time_intervals: [{weekdays: [sunday]}]}]
receivers:
  - name: team
    slack_configs: [{api_url_file: /secret, channel: '#a', text: '{{ template "x" . }}'}]
    email_configs: [{to: boss@example.com, smarthost: 'mail.example.com:25', auth_password_file: /secret}]
    webhook_configs: [{url: 'https://example.com/hook', http_config: {bearer_token_file: /secret}}]
  - name: pager
    pagerduty_configs: [{routing_key_file: /secret, severity: critical}]
"""


@pytest.fixture
def found(tmp_path: Path) -> dict[str, Any]:
    source = tmp_path / "alertmanager.yml"
    source.write_text(REAL)
    return rerouted.rerouted(source, "w", Capture(http="http://127.0.0.1:1", smtp="127.0.0.1:2"), 120)


def test_nothing_leads_out_and_no_secret_is_read(found: dict[str, Any]) -> None:
    text = yaml.safe_dump(found)

    assert [word for word in ("example.com", "/secret", "_file") if word in text] == []
    assert found["receivers"][0]["email_configs"] == [{"to": "team@w.drill.invalid"}]
    assert found["receivers"][1]["pagerduty_configs"] == [
        {"severity": "critical", "url": "http://127.0.0.1:1/w/pagerduty/pager", "routing_key": "drill"}
    ]


def test_what_a_message_says_is_kept(found: dict[str, Any]) -> None:
    assert found["receivers"][0]["slack_configs"] == [
        {"channel": "#a", "text": '{{ template "x" . }}', "api_url": "http://127.0.0.1:1/w/slack/team"}
    ]


def test_waits_are_shorter_and_quiet_hours_lifted(found: dict[str, Any]) -> None:
    route = found["route"]

    assert route["routes"] == [{"matchers": ['severity="critical"'], "receiver": "pager", "group_wait": "666ms"}]
    assert (route["group_wait"], route["group_interval"]) == ("2s", "2s500ms")


def test_a_channel_that_cannot_be_captured_is_refused(tmp_path: Path) -> None:
    source = tmp_path / "alertmanager.yml"
    source.write_text("route: {receiver: a}\nreceivers: [{name: a, opsgenie_configs: [{api_key: k}]}]\n")

    with pytest.raises(TopmastError, match="receiver a: opsgenie_configs: the drill cannot capture"):
        rerouted.rerouted(source, "w", Capture(), 1)
