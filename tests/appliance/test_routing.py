"""Alertmanager's files: the inbox where nothing is set, the channels where they are, no secret anywhere."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from topmast import promtool
from topmast.errors import ConfigError
from topmast.routing import render_alertmanager
from topmast.suites import required

SOURCE = Path(__file__).resolve().parents[2] / "monitoring" / "alertmanager"
EVERY_CHANNEL = {
    "slack": {"api_url_file": "/etc/topmast/slack"},
    "pagerduty": {"routing_key_file": "/etc/topmast/pagerduty"},
    "email": {
        "smarthost": "mail.example.com:587",
        "from": "topmast@example.com",
        "to": "team@example.com",
        "username": "topmast",
        "password_file": "/etc/topmast/mail",
    },
    "webhook": {"url": "https://hooks.example.com/alerts"},
    "heartbeat": {"url": "https://health.example.com/ping/1"},
}


def render(target: Path, notify: dict[str, Any] | None = None, speed: int = 1) -> Any:
    path = render_alertmanager(
        SOURCE,
        target,
        inbox="http://127.0.0.1:3001",
        smtp="127.0.0.1:3025",
        notify=notify or {},
        speed=speed,
        public_url="https://monitoring.example.com/",
    )
    return yaml.safe_load(path.read_text())


def receiver(config: Any, name: str) -> Any:
    return next(each for each in config["receivers"] if each["name"] == name)


def test_everything_lands_in_the_inbox_when_nothing_is_set(tmp_path: Path) -> None:
    text = str(render(tmp_path))

    assert "page:" not in text
    assert text.count("http://127.0.0.1:3001/inbox/") == 6
    assert "'smtp_smarthost': '127.0.0.1:3025'" in text


def test_the_inbox_wakes_nobody_and_has_no_quiet_hours(tmp_path: Path) -> None:
    assert "mute_time_intervals" not in str(render(tmp_path))
    routes = render(tmp_path, {"slack": EVERY_CHANNEL["slack"]})["route"]["routes"]
    quiet = [(each["receiver"], each["mute_time_intervals"]) for each in routes if "mute_time_intervals" in each]
    assert quiet == [("slack-warning", ["nights", "weekends"])]


def test_nothing_is_kept_back_where_the_source_is_mounted_as_it_is() -> None:
    source = yaml.safe_load((SOURCE / "alertmanager.yml").read_text())

    assert "mute_time_intervals" not in str(source["route"])


def test_channels_take_the_inboxs_place_and_name_files_for_their_secrets(tmp_path: Path) -> None:
    config = render(tmp_path, EVERY_CHANNEL)

    assert receiver(config, "slack-critical")["slack_configs"][0]["api_url_file"] == "/etc/topmast/slack"
    assert receiver(config, "pagerduty")["pagerduty_configs"][0]["routing_key_file"] == "/etc/topmast/pagerduty"
    assert receiver(config, "heartbeat")["webhook_configs"][0]["url"] == "https://health.example.com/ping/1"
    assert receiver(config, "email-cost")["email_configs"][0]["to"] == "team@example.com"
    assert config["global"] == {
        "resolve_timeout": "5m",
        "smtp_smarthost": "mail.example.com:587",
        "smtp_auth_username": "topmast",
        "smtp_auth_password_file": "/etc/topmast/mail",
        "smtp_from": "topmast@example.com",
        "smtp_require_tls": True,
    }
    # What `topmast verify` fires is for the inbox alone.
    left = [each["name"] for each in config["receivers"] if "/inbox/" in str(each)]
    assert left == ["verify"]


def test_a_webhook_is_told_what_people_are_told_and_nothing_else(tmp_path: Path) -> None:
    config = render(tmp_path, {"webhook": EVERY_CHANNEL["webhook"]})

    told = [each["name"] for each in config["receivers"] if "hooks.example.com" in str(each)]
    assert told == ["slack-critical", "slack-warning", "email-cost"]


def test_without_slack_every_alert_is_mailed(tmp_path: Path) -> None:
    by_mail = render(tmp_path, {"email": EVERY_CHANNEL["email"]})
    with_slack = render(tmp_path, {key: EVERY_CHANNEL[key] for key in ("email", "slack")})

    def mailed(config: Any) -> list[str]:
        return [each["name"] for each in config["receivers"] if "email_configs" in each]

    assert mailed(by_mail) == ["slack-critical", "slack-warning", "email-cost"]
    assert mailed(with_slack) == ["email-cost"]


def test_the_address_that_people_open_is_in_the_templates(tmp_path: Path) -> None:
    render(tmp_path)

    text = (tmp_path / "templates" / "default.tmpl").read_text()
    assert '{{ define "topmast.public_url" }}https://monitoring.example.com{{ end }}' in text


def test_fast_clocks_divide_the_waits_but_not_the_heartbeats(tmp_path: Path) -> None:
    route = render(tmp_path, speed=10)["route"]

    assert (route["group_wait"], route["group_interval"], route["repeat_interval"]) == ("3s", "30s", "24m")
    assert route["routes"][0]["repeat_interval"] == "1m"


@pytest.mark.parametrize(
    ("notify", "message"),
    [
        pytest.param({"fax": {}}, "$.notify.fax: no such channel", id="unknown channel"),
        pytest.param({"slack": {"api_url": "x"}}, "$.notify.slack.api_url: unknown", id="a secret"),
        pytest.param({"slack": {}}, "$.notify.slack.api_url_file: missing", id="nothing said"),
        pytest.param({"slack": "x"}, "$.notify.slack: a mapping with api_url_file", id="a text"),
        pytest.param({"webhook": {"url": "a'\nb: c"}}, "$.notify.webhook.url: quotes", id="an injection"),
    ],
)
def test_what_is_wrong_is_refused(notify: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as refused:
        render(tmp_path, notify)

    assert str(refused.value).startswith(message)


@pytest.mark.rules
@pytest.mark.parametrize(
    "notify",
    [{}, EVERY_CHANNEL, {"email": EVERY_CHANNEL["email"], "webhook": EVERY_CHANNEL["webhook"]}],
    ids=["the inbox", "every channel", "e-mail and a webhook"],
)
def test_amtool_accepts_what_is_rendered(notify: dict[str, Any], tmp_path: Path) -> None:
    program = promtool.find_amtool()
    if program is None:
        if "rules" in required():
            pytest.fail("no amtool")
        pytest.skip("no amtool: run `./topmast test --suite rules` or set TOPMAST_AMTOOL")
    render(tmp_path, notify, speed=10)

    answer = promtool.run(program, ["check-config", str(tmp_path / "alertmanager.yml")])

    assert (answer.code, "SUCCESS" in answer.output) == (0, True), answer.output
