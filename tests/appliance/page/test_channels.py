"""What each channel sends, read: bodies as Alertmanager 0.25 writes them."""

from email.message import EmailMessage

import pytest
from topmast.page import channels
from topmast.page.inbox import Notification

AT = "2026-05-01T12:00:00.000Z"


def test_a_slack_message_reads_as_it_would_be_shown() -> None:
    body = {
        "channel": "#alerts",
        "attachments": [
            {
                "title": "[FIRING:1] CRITICAL RedisMemoryExhausted",
                "text": "97 % of 512 MB &amp; rising\n<http://localhost:3001/runbooks/RedisMemoryExhausted|Runbook>",
                "color": "danger",
                "fields": [{"title": "instance", "value": "cache:6379"}],
            }
        ],
    }

    read = channels.slack("slack-critical", body, AT)

    text = (
        "[FIRING:1] CRITICAL RedisMemoryExhausted\n97 % of 512 MB & rising\n"
        "Runbook http://localhost:3001/runbooks/RedisMemoryExhausted\ninstance: cache:6379"
    )
    assert read == Notification(AT, "slack-critical", "slack", "firing", ("RedisMemoryExhausted",), text, body)


def test_a_resolved_slack_message_is_told_by_its_colour_when_it_has_no_word() -> None:
    read = channels.slack("x", {"attachments": [{"title": "HostCpuHigh is over", "color": "good"}]}, AT)

    assert read.status == "resolved"


@pytest.mark.parametrize(
    ("action", "status"),
    [("trigger", "firing"), ("acknowledge", "firing"), ("resolve", "resolved"), ("dance", "")],
)
def test_a_pagerduty_event_keeps_its_key_to_itself(action: str, status: str) -> None:
    body = {
        "routing_key": "secret",
        "event_action": action,
        "dedup_key": "abc",
        "payload": {
            "summary": "[FIRING:1] PostgresDown",
            "severity": "critical",
            "custom_details": {"firing": "Labels:\n - alertname = PostgresDown\n", "num_firing": "1"},
        },
    }

    read = channels.pagerduty("pagerduty", body, AT)

    assert (read.status, read.alerts) == (status, ("PostgresDown",))
    assert "secret" not in str(read)
    assert read.text.startswith("[FIRING:1] PostgresDown\nseverity: critical\n")


def test_a_webhook_names_each_alert_once() -> None:
    alert = {"status": "firing", "labels": {"alertname": "A1"}, "annotations": {"summary": "It is bad."}}
    body = {"version": "4", "status": "firing", "alerts": [alert, alert, {"labels": {"alertname": "B2"}}]}

    read = channels.webhook("ops", body, AT)

    assert (read.status, read.alerts) == ("firing", ("A1", "B2"))
    assert read.text == "[FIRING] A1: It is bad.\n[FIRING] A1: It is bad.\n[] B2"


def mail(subject: str, text: str = "", html: str = "") -> bytes:
    message = EmailMessage()
    message["Subject"], message["From"], message["To"] = subject, "topmast@example.com", "costs@example.com"
    if text:
        message.set_content(text)
    if html and text:
        message.add_alternative(html, subtype="html")
    elif html:
        message.set_content(html, subtype="html")
    return message.as_bytes()


@pytest.mark.parametrize(
    ("content", "text"),
    [
        pytest.param(mail("[FIRING:1] A", "grüße\nzwei"), "[FIRING:1] A\ngrüße\nzwei", id="text"),
        pytest.param(mail("S", "plain", "<p>html</p>"), "S\nplain", id="text before HTML"),
        pytest.param(
            mail("S", html='<style>p{}</style><p>a &lt; b</p><a href="http://x/y">link</a><script>1</script>'),
            "S\na < b\nlink http://x/y",
            id="HTML alone",
        ),
        pytest.param(b"Subject: bare\r\n\r\nbody", "bare\nbody", id="bare"),
        pytest.param(b"\xff\xfe", "", id="no mail at all"),
        pytest.param(
            b"Subject: x\r\nContent-Type: text/plain; charset=nonsense\r\n\r\n\xff",
            "x\n(a body that cannot be decoded)",
            id="unknown charset",
        ),
    ],
)
def test_a_mail_is_its_subject_and_its_words(content: bytes, text: str) -> None:
    assert channels.email("costs", content, AT).text.replace("\ufffd", "").strip() == text


@pytest.mark.parametrize(
    ("text", "names"),
    [
        pytest.param("see http://h/alerts/HostCpuHigh and /runbooks/HostCpuHigh", ("HostCpuHigh",), id="links"),
        pytest.param('alertname="DiskFull" alertname = Other', ("DiskFull", "Other"), id="labels"),
        pytest.param("[FIRING:2] CRITICAL RedisMemoryExhausted (cache)", ("RedisMemoryExhausted",), id="title"),
        pytest.param("[FIRING:2] something happened", (), id="no name"),
        pytest.param("The Quick Brown Fox", (), id="prose"),
    ],
)
def test_alert_names_are_found_in_any_message(text: str, names: tuple[str, ...]) -> None:
    assert channels.alert_names(text, None) == names


@pytest.mark.parametrize("channel", sorted(channels.CHANNELS))
@pytest.mark.parametrize(
    "body",
    [
        {},
        {"attachments": 5, "payload": "x", "alerts": {"a": 1}, "text": ["y"]},
        {"attachments": [None, {"fields": [3]}], "payload": {"custom_details": [1]}, "alerts": [None, {"labels": 4}]},
    ],
    ids=["empty", "wrong types", "wrong members"],
)
def test_a_body_of_another_shape_is_still_a_message(channel: str, body: dict[str, object]) -> None:
    assert channels.CHANNELS[channel]("r", body, AT).channel == channel
