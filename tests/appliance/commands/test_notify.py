"""`topmast notify` on receivers that speak Slack's, PagerDuty's and SMTP's protocol and refuse what these refuse."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from topmast.drill.receivers import DOMAIN, Capture, receiving


@pytest.fixture
def capture() -> Iterator[Capture]:
    with receiving() as found:
        yield found


@pytest.fixture
def notify(tmp_path: Path, topmast: Any) -> Callable[..., Any]:
    """Call `topmast -c OWN notify …`."""
    own = tmp_path / "topmast.yml"
    own.write_text("# ours\nenvironment: staging\n")
    return lambda *arguments: topmast("--config", str(own), "notify", *arguments)


def secret(folder: Path, text: str) -> str:
    path = folder / "secret"
    path.write_text(text)
    path.chmod(0o600)
    return str(path)


def set_up(folder: Path) -> Any:
    return yaml.safe_load((folder / "topmast.yml").read_text()).get("notify", {})


def test_nobody_is_told_at_first(notify: Callable[..., Any]) -> None:
    found = json.loads(notify("list", "--json").out)["channels"]

    assert {each["channel"]: each["configured"] for each in found} == dict.fromkeys(
        ("slack", "pagerduty", "email", "webhook"), False
    )
    assert "Nobody is told yet" in notify("list").out
    assert "no channel is set up" in notify("test").err


def test_slack_is_set_up_tested_and_taken_away(notify: Callable[..., Any], capture: Capture, tmp_path: Path) -> None:
    address = secret(tmp_path, f"{capture.http}/test/slack/alerts")

    made = notify("setup", "slack", "--secret-file", address)
    tested = notify("test", "slack", "--json")

    assert (made.code, set_up(tmp_path)) == (0, {"slack": {"api_url_file": address}})
    assert json.loads(tested.out)["channels"] == [{"channel": "slack", "ok": True, "answer": "ok"}]
    (message,) = capture.of("test")
    assert message.refused == ""
    assert "Nothing is wrong, and nothing is to be done" in message.notification.text

    assert notify("setup", "slack", "--remove").code == 0
    assert set_up(tmp_path) == {}
    assert (tmp_path / "topmast.yml").read_text().startswith("# ours\nenvironment: staging\n")


def test_pagerduty_is_resolved_in_the_same_breath(
    notify: Callable[..., Any], capture: Capture, tmp_path: Path
) -> None:
    key = secret(tmp_path, "0123456789abcdef0123456789abcdef")

    notify("setup", "pagerduty", "--secret-file", key, "--url", f"{capture.http}/test/pagerduty/key")
    tested = notify("test", "--json")

    assert json.loads(tested.out)["channels"][0]["answer"] == "accepted, and resolved again"
    assert [each.notification.status for each in capture.of("test")] == ["firing", "resolved"]
    assert all(not each.refused for each in capture.of("test"))


def test_a_mail_arrives(notify: Callable[..., Any], capture: Capture, tmp_path: Path) -> None:
    to = f"team@test.{DOMAIN}"

    made = notify("setup", "email", "--smarthost", capture.smtp, "--from", "a@b.example", "--to", to, "--no-tls")
    tested = notify("test")

    assert (made.code, tested.code) == (0, 0)
    assert f"took it for {to}" in tested.out
    (message,) = capture.of("test")
    assert "Topmast test message" in str(message.notification)


def test_a_mail_server_that_refuses_is_told_with_its_words(notify: Callable[..., Any], capture: Capture) -> None:
    notify(
        "setup",
        "email",
        "--smarthost",
        capture.smtp,
        "--from",
        "a@b.example",
        "--to",
        "x@nowhere.example",
        "--no-tls",
    )

    answer = notify("test", "--json")

    assert answer.code == 1
    assert "no such mailbox" in json.loads(answer.out)["channels"][0]["answer"]


def test_a_wrong_address_is_told_and_stands_nowhere(
    notify: Callable[..., Any], capture: Capture, tmp_path: Path
) -> None:
    address = f"{capture.http}/T0SECRET/B0SECRET"

    notify("setup", "slack", "--secret-file", secret(tmp_path, address))
    answer = notify("test")

    assert answer.code == 1
    assert "make a new one" in answer.out
    assert "SECRET" not in answer.out + answer.err + (tmp_path / "topmast.yml").read_text()


def test_nobody_at_the_address_is_told_without_the_address(
    notify: Callable[..., Any], tmp_path: Path, port: int
) -> None:
    notify("setup", "slack", "--secret-file", secret(tmp_path, f"http://127.0.0.1:{port}/T0SECRET"))

    answer = notify("test")

    assert answer.code == 1
    assert "cannot be reached" in answer.out
    assert "SECRET" not in answer.out + answer.err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        pytest.param(["setup", "slack"], "nobody is there to be asked", id="no terminal"),
        pytest.param(["setup", "email", "--smarthost", "a:25"], "from is missing", id="half a mail"),
        pytest.param(["setup", "slack", "--remove"], "slack is not set up", id="nothing to remove"),
        pytest.param(["test", "slack"], "slack is not set up", id="nothing to test"),
        pytest.param(["setup", "carrier-pigeon"], "is not one of", id="no such channel"),
    ],
)
def test_a_slip_is_told(notify: Callable[..., Any], arguments: list[str], said: str) -> None:
    answer = notify(*arguments)

    assert answer.code != 0
    assert said in answer.err


def test_a_missing_secret_is_seen_by_list(notify: Callable[..., Any], tmp_path: Path) -> None:
    path = secret(tmp_path, "https://hooks.example/x")
    notify("setup", "slack", "--secret-file", path)
    Path(path).unlink()

    found = json.loads(notify("list", "--json").out)["channels"][0]

    assert found["problem"] == f"{path} is missing"
