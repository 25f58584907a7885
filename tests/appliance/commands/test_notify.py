"""`topmast notify`: secrets in files that only their owner reads, what a service answered, what is missing."""

import io
import json
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from aiosmtpd.controller import Controller
from http_stub import Stub, serving


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "topmast.yml").write_text("# ours\nenvironment: production\n")
    return tmp_path


@pytest.fixture
def service() -> Iterator[Stub]:
    with serving() as stub:
        stub.answer = b"ok"
        yield stub


def given(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(text))


def test_a_secret_goes_to_a_file_that_only_its_owner_reads(
    topmast: Any, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given(monkeypatch, "https://hooks.example.com/T0/secret\n")

    answer = topmast("notify", "setup", "slack")

    kept = here / "secrets" / "slack"
    text = (here / "topmast.yml").read_text()
    assert answer.code == 0
    assert kept.read_text() == "https://hooks.example.com/T0/secret"
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert (here / "secrets" / ".gitignore").read_text() == "*\n"
    assert text.startswith("# ours\n")
    assert yaml.safe_load(text)["notify"] == {"slack": {"api_url_file": str(kept)}}
    assert "hooks.example.com" not in answer.out + answer.err + text


@pytest.mark.parametrize(
    ("arguments", "typed", "said"),
    [
        pytest.param(["slack"], "", "one line on standard input", id="nothing typed"),
        pytest.param(["slack"], "hooks.example.com", "begins with https://", id="no address"),
        pytest.param(["webhook"], "", "webhook: url: missing: say --url", id="no url"),
        pytest.param(["webhook", "--url", "a'\nb: c"], "", "quotes and line breaks", id="an injection"),
        pytest.param(
            ["webhook", "--url", "http://a", "--to", "x"], "", "notify.webhook.to: unknown", id="not its own"
        ),
        pytest.param(["pagerduty", "--secret-file", "nowhere"], "", "no such file", id="no file"),
    ],
)
def test_a_slip_changes_nothing(
    topmast: Any, here: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], typed: str, said: str
) -> None:
    given(monkeypatch, typed)

    answer = topmast("notify", "setup", *arguments)

    assert answer.code == 78
    assert said in answer.err
    assert (here / "topmast.yml").read_text() == "# ours\nenvironment: production\n"


def configured(here: Path, service: Stub) -> None:
    (here / "slack").write_text(f"{service.url}/slack/secret")
    (here / "key").write_text("K123")
    notify = {
        "slack": {"api_url_file": str(here / "slack")},
        "pagerduty": {"routing_key_file": str(here / "key"), "url": f"{service.url}/enqueue"},
        "webhook": {"url": f"{service.url}/hook"},
        "heartbeat": {"url": f"{service.url}/ping"},
    }
    (here / "topmast.yml").write_text(yaml.safe_dump({"notify": notify}))


def test_each_channel_gets_one_marked_message(topmast: Any, here: Path, service: Stub) -> None:
    configured(here, service)

    answer = topmast("notify", "test", "--json")

    told = json.loads(answer.out)["channels"]
    assert answer.code == 0
    assert [each["name"] for each in told if each["ok"]] == ["heartbeat", "pagerduty", "slack", "webhook"]
    assert [path for _, path, _ in service.asked] == ["/ping", "/enqueue", "/enqueue", "/slack/secret", "/hook"]
    opened, ended = (json.loads(body) for _, path, body in service.asked if path == "/enqueue")
    assert (opened["event_action"], ended["event_action"]) == ("trigger", "resolve")
    assert opened["dedup_key"] == ended["dedup_key"]
    assert all(b"TEST from Topmast" in body for _, _, body in service.asked if b'"resolve"' not in body)


def test_what_the_service_refuses_is_told_without_the_secret(topmast: Any, here: Path, service: Stub) -> None:
    configured(here, service)
    service.status, service.answer = 404, b"no_service\x1b[31m"

    answer = topmast("notify", "test", "slack")

    assert answer.code == 1
    assert "HTTP 404 no_service" in answer.out
    assert "\x1b" not in answer.out
    assert "secret" not in answer.out


def test_nobody_there_is_told_without_the_secret(topmast: Any, here: Path, service: Stub, port: int) -> None:
    configured(here, service)
    (here / "slack").write_text(f"http://127.0.0.1:{port}/slack/secret")

    answer = topmast("notify", "test", "slack")

    assert answer.code == 1
    assert "no answer" in answer.out
    assert "secret" not in answer.out


def test_the_list_says_what_is_wrong_with_a_secrets_file(topmast: Any, here: Path, service: Stub) -> None:
    configured(here, service)
    (here / "key").chmod(0o644)
    (here / "slack").unlink()

    found = {each["name"]: each for each in json.loads(topmast("notify", "list", "--json").out)["channels"]}

    assert "others can read it" in found["pagerduty"]["problem"]
    assert "cannot be read" in found["slack"]["problem"]
    assert (found["email"]["set"], found["heartbeat"]["problem"]) == (False, None)


def test_the_list_warns_of_a_heartbeat_that_dies_with_the_machine(topmast: Any, here: Path) -> None:
    assert "when it dies, nobody is told" in topmast("notify", "list").out


def test_a_mail_server_takes_the_marked_mail(topmast: Any, here: Path, port: int) -> None:
    mails: list[Any] = []

    class Keeping:
        async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802 - its API
            mails.append(envelope)
            return "250 kept"

    server = Controller(Keeping(), hostname="127.0.0.1", port=port)
    server.start()
    try:
        setup = ["--smarthost", f"127.0.0.1:{port}", "--from", "a@example.com", "--to", "b@example.com", "--no-tls"]
        assert topmast("notify", "setup", "email", *setup).code == 0
        answer = topmast("-c", str(here / "topmast.yml"), "notify", "test", "email")
    finally:
        server.stop()

    assert answer.out.split(None, 2) == ["ok", "email", "accepted for b@example.com\n"]
    assert mails[0].rcpt_tos == ["b@example.com"]
    assert b"Subject: [TEST] TEST from Topmast" in mails[0].content


def test_a_channel_that_is_removed_leaves_the_rest_of_the_file(topmast: Any, here: Path) -> None:
    topmast("notify", "setup", "heartbeat", "--url", "https://hc.example.com/1")
    before = (here / "topmast.yml").read_text()

    answer = topmast("-c", str(here / "topmast.yml"), "notify", "remove", "heartbeat")

    assert "https://hc.example.com/1" in before
    assert answer.code == 0
    assert (here / "topmast.yml").read_text() == "# ours\nenvironment: production\n"
