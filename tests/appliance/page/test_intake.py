"""The doors: HTTP as the real services answer it, and SMTP with a real mail client."""

import json
import smtplib
import socket
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import anyio
import pytest
from starlette.testclient import TestClient
from topmast.layout import Layout
from topmast.page import intake
from topmast.page.inbox import Inbox


def test_slack_is_answered_as_slack_does(client: TestClient, layout: Layout) -> None:
    answer = client.post("/inbox/slack/slack-warning", json={"text": "[FIRING:1] HostCpuHigh"})

    assert (answer.status_code, answer.text) == (200, "ok")
    assert client.get("/api/inbox").json()["notifications"][0]["receiver"] == "slack-warning"
    assert json.loads(layout.inbox.read_text())["channel"] == "slack"


def test_pagerduty_is_answered_as_pagerduty_does(client: TestClient) -> None:
    body = {"routing_key": "k", "event_action": "trigger", "dedup_key": "d1", "payload": {"summary": "s"}}

    answer = client.post("/inbox/pagerduty/pagerduty", json=body)

    assert answer.status_code == 202
    assert answer.json() == {"status": "success", "message": "Event processed", "dedup_key": "d1"}


@pytest.mark.parametrize(
    ("path", "content", "status"),
    [
        pytest.param("/inbox/slack/x", b"not json", 400, id="not JSON"),
        pytest.param("/inbox/slack/x", b"[1]", 400, id="not an object"),
        pytest.param("/inbox/slack/x", b"[" * 100_000, 400, id="nested too deep"),
        pytest.param("/inbox/slack/x", b'{"a": "' + b"x" * 1_100_000 + b'"}', 413, id="too large"),
        pytest.param("/inbox/fax/x", b"{}", 404, id="no such channel"),
        pytest.param("/inbox/slack/..%2Fx", b"{}", 404, id="a path as receiver"),
        pytest.param("/inbox/slack/-x", b"{}", 400, id="no receiver's name"),
    ],
)
def test_what_is_no_notification_is_refused_and_not_kept(
    client: TestClient, layout: Layout, path: str, content: bytes, status: int
) -> None:
    assert client.post(path, content=content).status_code == status
    assert not layout.inbox.exists()


def test_a_foreign_page_cannot_write_into_the_inbox(client: TestClient, layout: Layout) -> None:
    answer = client.post("/inbox/slack/x", json={"text": "spam"}, headers={"origin": "http://evil.example"})

    assert (answer.status_code, layout.inbox.exists()) == (403, False)


def test_the_inbox_is_asked_again_only_when_it_changed(client: TestClient) -> None:
    client.post("/inbox/slack/x", json={"text": "one"})
    etag = client.get("/api/inbox").headers["etag"]

    assert client.get("/api/inbox", headers={"if-none-match": etag}).status_code == 304
    client.post("/inbox/slack/x", json={"text": "two"})
    assert len(client.get("/api/inbox", headers={"if-none-match": etag}).json()["notifications"]) == 2


@pytest.mark.parametrize(("query", "status"), [("?since=2099-01-01T00:00:00Z", 200), ("?since=soon", 400)])
def test_since_is_a_time(client: TestClient, query: str, status: int) -> None:
    client.post("/inbox/slack/x", json={"text": "one"})

    answer = client.get(f"/api/inbox{query}")

    assert answer.status_code == status
    assert not answer.json().get("notifications")


@pytest.fixture
def post_office(tmp_path: Path) -> Iterator[tuple[Inbox, int]]:
    """A mail receiver in a thread of its own, on a free port."""
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    inbox = Inbox(tmp_path / "inbox.ndjson")
    ready, done = threading.Event(), threading.Event()

    async def serve() -> None:
        async with intake.mail(inbox, "127.0.0.1", port, 100_000):
            ready.set()
            await anyio.to_thread.run_sync(done.wait)

    thread = threading.Thread(target=anyio.run, args=(serve,))
    thread.start()
    assert ready.wait(10)
    yield inbox, port
    done.set()
    thread.join()


def test_a_mail_lands_in_the_inbox_under_its_recipient(post_office: tuple[Inbox, int]) -> None:
    inbox, port = post_office

    with smtplib.SMTP("127.0.0.1", port, timeout=10) as client:
        client.sendmail(
            "topmast@example.com", ["costs@example.com"], "Subject: [FIRING:1] LlmCostSpike\r\n\r\n$12 an hour\r\n"
        )

    [entry] = inbox.newest(10)
    assert (entry["receiver"], entry["channel"], entry["status"]) == ("costs", "email", "firing")
    assert (entry["alerts"], entry["text"]) == (["LlmCostSpike"], "[FIRING:1] LlmCostSpike\n$12 an hour")


def test_a_mail_that_is_too_large_is_refused(post_office: tuple[Inbox, int]) -> None:
    inbox, port = post_office

    with (
        smtplib.SMTP("127.0.0.1", port, timeout=10) as client,
        pytest.raises(smtplib.SMTPSenderRefused, match="exceeds"),
    ):
        client.sendmail("a@example.com", ["b@example.com"], "Subject: x\r\n\r\n" + "y" * 200_000)

    assert inbox.newest(10) == []
