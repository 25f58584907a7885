"""One message through one channel, straight to its service, and what the service answered.

Alertmanager is left out on purpose: this tells whether the address, the key and the network are right. That the
routes lead there is what `topmast drill` shows.
"""

import json
import smtplib
import socket
import ssl
from collections.abc import Callable, Mapping
from email.message import EmailMessage
from email.utils import formatdate, make_msgid
from pathlib import Path
from typing import Any

import requests

# Of the Events API v2 (developer.pagerduty.com, "Send an Alert Event").
PAGERDUTY_URL = "https://events.pagerduty.com/v2/enqueue"
_TIMEOUT_SECONDS = 15.0
_SMTP_PORT = 587
_TITLE = "Topmast test message"


class SendError(Exception):
    """The service did not take the message: what it said, and what to look at. No secret is in it."""


def send(channel: str, options: Mapping[str, Any], host: str) -> str:
    """Send a clearly marked message as the channel `notify:` describes; return the service's answer.

    Raises SendError. `host` is what the message says it comes from.
    """
    return _SENDERS[channel](options, f"This is a test from {host}. Nothing is wrong, and nothing is to be done.")


def _slack(options: Mapping[str, Any], text: str) -> str:
    url = _secret(options["api_url_file"])
    answer = _post("Slack", url, {"text": f":white_check_mark: *{_TITLE}*\n{text}"})
    if answer.text.strip() == "ok":
        return "ok"
    remedy = {
        404: "the webhook's address is wrong, or the webhook was removed: make a new one",
        403: "the workspace does not allow it: ask its administrator",
        410: "the channel is archived",
    }.get(answer.status_code, "look at the webhook in Slack's settings")
    raise SendError(f"Slack: {answer.status_code}: {answer.text.strip()[:100]}; {remedy}")


def _pagerduty(options: Mapping[str, Any], text: str) -> str:
    """Trigger an event of severity info and resolve it at once: an incident that nobody has to touch."""
    key, url = _secret(options["routing_key_file"]), options.get("url", PAGERDUTY_URL)
    event = {
        "routing_key": key,
        "dedup_key": f"topmast-test-{socket.gethostname()}",
        "payload": {"summary": f"{_TITLE}: {text}", "source": "topmast", "severity": "info"},
    }
    for action in ("trigger", "resolve"):
        answer = _post("PagerDuty", url, {**event, "event_action": action})
        if answer.status_code != 202:
            wrong = "the routing key is not one of an Events API v2 integration" if answer.status_code == 400 else ""
            raise SendError(
                f"PagerDuty: {answer.status_code}: {_without(key, answer.text)[:150]}; {wrong or 'try again later'}"
            )
    return "accepted, and resolved again"


def _webhook(options: Mapping[str, Any], text: str) -> str:
    body = {
        "version": "4",
        "status": "resolved",
        "receiver": "test",
        "alerts": [],
        "commonAnnotations": {"summary": text},
    }
    answer = _post("webhook", options["url"], body)
    if not answer.ok:
        raise SendError(f"webhook: {answer.status_code}: {answer.text.strip()[:150]}; look at the address")
    return f"{answer.status_code}"


def _email(options: Mapping[str, Any], text: str) -> str:
    host, _, port = str(options["smarthost"]).rpartition(":")
    message = EmailMessage()
    message["Subject"], message["From"], message["To"] = _TITLE, options["from"], options["to"]
    message["Date"], message["Message-ID"] = formatdate(localtime=True), make_msgid(domain="topmast.invalid")
    message.set_content(text)
    try:
        with _connected(host or str(options["smarthost"]), int(port or _SMTP_PORT), options) as server:
            refused = server.send_message(message)
    except smtplib.SMTPAuthenticationError as error:
        raise SendError(
            f"mail: the login is refused: {_said(error.smtp_error)}; look at username and password_file"
        ) from error
    except smtplib.SMTPException as error:
        raise SendError(f"mail: {str(error)[:200]}") from error
    except (OSError, ValueError) as error:
        raise SendError(
            f"mail: {options['smarthost']}: {error}; look at smarthost (HOST:PORT) and the network"
        ) from error
    if refused:
        raise SendError(f"mail: refused for {', '.join(refused)}")
    return f"{options['smarthost']} took it for {options['to']}"


def _connected(host: str, port: int, options: Mapping[str, Any]) -> smtplib.SMTP:
    """Return a server that is logged in. 465 is TLS from the first byte, as Alertmanager has it."""
    context = ssl.create_default_context()
    if port == 465:
        server: smtplib.SMTP = smtplib.SMTP_SSL(host, port, timeout=_TIMEOUT_SECONDS, context=context)
    else:
        server = smtplib.SMTP(host, port, timeout=_TIMEOUT_SECONDS)
        if options.get("require_tls", True):
            server.starttls(context=context)
    if "username" in options:
        server.login(options["username"], _secret(options["password_file"]))
    return server


def _post(service: str, url: str, body: Mapping[str, Any]) -> requests.Response:
    try:
        # no redirect: a secret address does not follow somebody else's
        return requests.post(url, json=body, timeout=_TIMEOUT_SECONDS, allow_redirects=False)
    except requests.exceptions.SSLError as error:
        raise SendError(f"{service}: its certificate is not trusted here") from error
    except requests.Timeout as error:
        raise SendError(f"{service}: no answer within {_TIMEOUT_SECONDS:g} s; is there a way out to it?") from error
    except (requests.RequestException, ValueError) as error:
        # the exception's own words hold the address, which is the secret
        raise SendError(
            f"{service}: cannot be reached ({type(error).__name__}); look at the address and the network"
        ) from error


def _secret(path: str) -> str:
    try:
        text = Path(path).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise SendError(f"{path}: cannot be read: {getattr(error, 'strerror', None) or 'is not text'}") from error
    if not text:
        raise SendError(f"{path}: is empty")
    return text


def _without(secret: str, text: str) -> str:
    try:
        text = ", ".join(json.loads(text)["errors"])
    except (ValueError, KeyError, TypeError):
        text = text.strip()
    return text.replace(secret, "…")


def _said(answer: bytes | str) -> str:
    return (answer.decode("utf-8", "replace") if isinstance(answer, bytes) else answer)[:150]


_SENDERS: Mapping[str, Callable[[Mapping[str, Any], str], str]] = {
    "slack": _slack,
    "pagerduty": _pagerduty,
    "email": _email,
    "webhook": _webhook,
}
