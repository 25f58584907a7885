"""Send one clearly marked message to a channel of `notify:`, and tell what the service answered.

Straight from here, past Alertmanager, whose log alone would know the answer; the whole way is what
`topmast drill ALERT --live` tries. Sources: Slack's incoming webhooks (`ok`, or a word for what is wrong),
PagerDuty's Events API v2 (202), SMTP (RFC 5321), Alertmanager's webhook body (version 4).
"""

import json
import smtplib
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import urllib3

SECONDS = 10.0
PAGERDUTY = "https://events.pagerduty.com/v2/enqueue"
MARK = "TEST from Topmast"
TEXT = f"{MARK}: this channel works. Nothing is wrong, and nobody has to do anything."
_TLS_PORT = 465


@dataclass(frozen=True)
class Told:
    """What became of one message. The message never holds the channel's secret."""

    channel: str
    ok: bool
    message: str


def send(channel: str, options: Mapping[str, Any], now: datetime | None = None) -> Told:
    """Send the message and return what the service answered; what cannot be sent is told, not raised."""
    try:
        return Told(channel, *_SENDERS[channel](options, now or datetime.now(UTC)))
    except (OSError, UnicodeError) as error:
        where = f"{error.filename}: " if isinstance(error, FileNotFoundError | PermissionError) else ""
        return Told(channel, ok=False, message=f"{where}{_plain(getattr(error, 'strerror', None) or str(error))}")


def _slack(options: Mapping[str, Any], now: datetime) -> tuple[bool, str]:  # noqa: ARG001 - one shape for all
    return _post(_secret(options["api_url_file"]), {"text": TEXT})


def _webhook(options: Mapping[str, Any], now: datetime) -> tuple[bool, str]:
    labels = {"alertname": "TopmastTest", "severity": "info", "category": "self", "drill": "true"}
    alert = {"status": "firing", "labels": labels, "annotations": {"summary": TEXT}, "startsAt": now.isoformat()}
    body = {
        "version": "4",
        "status": "firing",
        "receiver": "test",
        "groupLabels": {"alertname": "TopmastTest"},
        "commonLabels": labels,
        "commonAnnotations": {"summary": TEXT},
        "alerts": [{**alert, "endsAt": "0001-01-01T00:00:00Z", "generatorURL": "", "fingerprint": ""}],
    }
    return _post(str(options["url"]), body)


def _pagerduty(options: Mapping[str, Any], now: datetime) -> tuple[bool, str]:
    """Open an incident of the lowest severity and resolve it at once."""
    event = {"routing_key": _secret(options["routing_key_file"]), "dedup_key": f"topmast-test-{now.timestamp():.0f}"}
    payload = {"summary": TEXT, "source": "topmast", "severity": "info"}
    url = str(options.get("url", PAGERDUTY))
    ok, told = _post(url, {**event, "event_action": "trigger", "payload": payload})
    if ok:
        ok, end = _post(url, {**event, "event_action": "resolve"})
        told = f"{told}; resolved: {end}"
    return ok, told


def _email(options: Mapping[str, Any], now: datetime) -> tuple[bool, str]:
    message = EmailMessage()
    message["Subject"] = f"[TEST] {MARK}"
    message["From"], message["To"] = str(options["from"]), str(options["to"])
    message["Date"] = now
    message.set_content(TEXT)
    host, _, port = str(options["smarthost"]).rpartition(":")
    host = host.strip("[]")
    try:
        kind = smtplib.SMTP_SSL if int(port) == _TLS_PORT else smtplib.SMTP
        with kind(host, int(port), timeout=SECONDS) as server:
            if options.get("require_tls", True) and kind is smtplib.SMTP:
                server.starttls(context=ssl.create_default_context())
            if "username" in options:
                server.login(str(options["username"]), _secret(options["password_file"]))
            refused = server.send_message(message)
    except smtplib.SMTPException as error:
        return False, _plain(str(error))
    except ValueError:
        return False, f"smarthost {options['smarthost']!r}: say HOST:PORT"
    return not refused, f"accepted for {options['to']}" if not refused else f"refused for {', '.join(refused)}"


def _post(url: str, body: Mapping[str, Any]) -> tuple[bool, str]:
    try:
        answer = urllib3.request(
            "POST",
            url,
            body=json.dumps(body).encode(),
            headers={"Content-Type": "application/json"},
            timeout=urllib3.Timeout(total=SECONDS),
            retries=False,
        )
    except (urllib3.exceptions.HTTPError, ValueError) as error:
        # The address of a webhook is its secret, and urllib3 writes it into its errors.
        reason = getattr(error, "reason", None) or error
        return False, f"no answer: {_plain(str(reason).replace(url, '…')) or type(error).__name__}"
    told = _plain(answer.data[:400].decode("utf-8", "replace"))
    return 200 <= answer.status < 300, f"HTTP {answer.status}" + (f" {told}" if told else "")


def _secret(path: str) -> str:
    return Path(path).read_text(encoding="utf-8").strip()


def _plain(text: str) -> str:
    """Return the text on one line, without what would reach a terminal as a command, cut at 200."""
    return "".join(each if each.isprintable() else " " for each in text).strip()[:200]


_SENDERS: Mapping[str, Callable[[Mapping[str, Any], datetime], tuple[bool, str]]] = {
    "slack": _slack,
    "pagerduty": _pagerduty,
    "email": _email,
    "webhook": _webhook,
    "heartbeat": _webhook,
}
