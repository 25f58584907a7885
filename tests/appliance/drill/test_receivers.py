"""The receivers speak the real services' protocols, and refuse what those refuse."""

import json
import smtplib
from collections.abc import Iterator
from email.message import EmailMessage
from typing import Any

import pytest
import requests
from topmast.drill import receivers
from topmast.drill.receivers import Capture

EVENT: dict[str, Any] = {
    "routing_key": "k",
    "event_action": "trigger",
    "dedup_key": "d",
    "payload": {"summary": "Redis is gone", "source": "Topmast", "severity": "critical"},
}


@pytest.fixture(scope="module")
def capture() -> Iterator[Capture]:
    with receivers.receiving() as found:
        yield found


@pytest.mark.parametrize(
    ("channel", "body", "status", "answer"),
    [
        pytest.param("slack", {"attachments": [{"text": "hello"}]}, 200, "ok", id="Slack takes a text"),
        pytest.param("slack", {"attachments": [{"text": " "}]}, 400, "no_text", id="Slack wants a text"),
        pytest.param("slack", {"text": "x" * 50_000}, 400, "msg_too_long", id="Slack's longest"),
        pytest.param("slack", {"attachments": "x"}, 400, "invalid_attachments", id="Slack's attachments are a list"),
        pytest.param("pagerduty", EVENT, 202, '"dedup_key": "d"', id="PagerDuty takes an event"),
        pytest.param("pagerduty", {**EVENT, "routing_key": ""}, 400, "routing_key is missing", id="no key"),
        pytest.param(
            "pagerduty",
            {**EVENT, "payload": {**EVENT["payload"], "severity": "none"}},
            400,
            "payload.severity is 'none'",
            id="a severity that PagerDuty has not",
        ),
        pytest.param("pagerduty", {**EVENT, "event_action": "resolve"}, 202, "success", id="an end"),
        pytest.param("webhook", {"alerts": []}, 200, "ok", id="a webhook takes anything"),
    ],
)
def test_answers_as_the_service_does(
    capture: Capture, channel: str, body: dict[str, object], status: int, answer: str
) -> None:
    told = requests.post(f"{capture.http}/w/{channel}/somebody", json=body, timeout=10)

    assert (told.status_code, answer in told.text) == (status, True)
    assert capture.of("w")[-1].notification.receiver == "somebody"


@pytest.mark.parametrize(
    ("path", "raw", "status"),
    [
        pytest.param("w/slack/x", b"{", 400, id="no JSON"),
        pytest.param("w/slack/x", b"[]", 400, id="no object"),
        pytest.param("w/carrier-pigeon/x", b"{}", 404, id="no such channel"),
        pytest.param("w/slack", b"{}", 404, id="no receiver"),
        pytest.param("w/slack/x", b"", 404, id="nothing"),
    ],
)
def test_refuses_what_is_no_message(capture: Capture, path: str, raw: bytes, status: int) -> None:
    assert requests.post(f"{capture.http}/{path}", data=raw, timeout=10).status_code == status


def test_a_mail_arrives_with_both_its_parts(capture: Capture) -> None:
    mail = EmailMessage()
    mail["Subject"] = "[FIRING:1] WARNING LlmCostSpike (cost)"
    mail.set_content("in words")
    mail.add_alternative("<p>in colour</p>", subtype="html")
    host, port = capture.smtp.split(":")

    with smtplib.SMTP(host, int(port), timeout=10) as server:
        server.send_message(mail, "topmast@drill.invalid", f"email-cost@mailed.{receivers.DOMAIN}")

    (message,) = capture.of("mailed")
    assert (message.notification.receiver, message.notification.channel) == ("email-cost", "email")
    assert (message.notification.alerts, message.html.strip()) == (("LlmCostSpike",), "<p>in colour</p>")


def test_a_mail_to_somebody_else_is_refused(capture: Capture) -> None:
    host, port = capture.smtp.split(":")

    with smtplib.SMTP(host, int(port), timeout=10) as server, pytest.raises(smtplib.SMTPDataError, match="no such"):
        server.sendmail("a@drill.invalid", "boss@example.com", json.dumps({}))
