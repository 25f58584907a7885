"""What each channel sends, read: pure functions from a body to a Notification.

Sources: Slack's incoming webhooks (attachments with title, text, color, fields), PagerDuty's Events API v2
(routing_key, event_action, payload), Alertmanager's webhook version 4, RFC 5322 mail.
"""

import html
import re
from collections.abc import Callable, Mapping
from email import message_from_bytes, policy
from typing import Any

from topmast.page.inbox import Notification

# Our annotations link every alert to its page and its runbook; their paths name it without doubt.
_LINKED = re.compile(r"/(?:alerts|runbooks)/([A-Za-z][A-Za-z0-9]{2,79})\b")
# Alertmanager's own templates list the labels, in text (`alertname = X`) and in HTML.
_LABELLED = re.compile(r"\balertname\s*[=:]\s*\"?([A-Za-z][A-Za-z0-9]{2,79})\b")
_STATUS = re.compile(r"\b(FIRING|RESOLVED)\b", re.IGNORECASE)
# Slack writes links as <url|text> or <url>.
_SLACK_LINK = re.compile(r"<(https?://[^|>\s]+)(?:\|([^>]*))?>")


def slack(receiver: str, body: Mapping[str, Any], at: str) -> Notification:
    """Return what an incoming webhook of Slack would have shown."""
    parts: list[str] = [_plain(body.get("text"))]
    for attachment in _mappings(body.get("attachments")):
        parts += [_plain(attachment.get(key)) for key in ("pretext", "title", "text")]
        parts += [f"{_plain(f.get('title'))}: {_plain(f.get('value'))}" for f in _mappings(attachment.get("fields"))]
        parts += [
            f"{_plain(a.get('text'))}: {a.get('url')}" for a in _mappings(attachment.get("actions")) if a.get("url")
        ]
    text = _lines(parts)
    colors = {str(attachment.get("color")) for attachment in _mappings(body.get("attachments"))}
    status = _status(text) or ("resolved" if colors == {"good"} else "")
    return Notification(at, receiver, "slack", status, alert_names(text, body), text, dict(body))


def pagerduty(receiver: str, body: Mapping[str, Any], at: str) -> Notification:
    """Return what PagerDuty's Events API v2 would have opened, acknowledged or closed."""
    payload = body.get("payload")
    details = payload if isinstance(payload, Mapping) else {}
    parts = [_plain(details.get("summary"))]
    for key in ("severity", "source", "component", "class", "group"):
        if details.get(key):
            parts.append(f"{key}: {_plain(details.get(key))}")
    custom = details.get("custom_details")
    if isinstance(custom, Mapping):
        parts += [f"{key}: {_plain(value)}" for key, value in custom.items() if value]
    parts += [f"{_plain(link.get('text'))}: {link.get('href')}" for link in _mappings(body.get("links"))]
    action = body.get("event_action")
    status = {"trigger": "firing", "acknowledge": "firing", "resolve": "resolved"}.get(str(action), "")
    text = _lines(parts) or f"{action} {_plain(body.get('dedup_key'))}"
    # The routing key is a secret: it opens pages at whoever's account it is.
    raw = {key: value for key, value in body.items() if key != "routing_key"}
    return Notification(at, receiver, "pagerduty", status, alert_names(text, raw), text, raw)


def webhook(receiver: str, body: Mapping[str, Any], at: str) -> Notification:
    """Return what a generic webhook (Alertmanager's JSON, version 4) was told."""
    alerts = _mappings(body.get("alerts"))
    names: dict[str, None] = {}
    parts = []
    for alert in alerts:
        labels = alert.get("labels")
        labels = labels if isinstance(labels, Mapping) else {}
        annotations = alert.get("annotations")
        annotations = annotations if isinstance(annotations, Mapping) else {}
        name = str(labels.get("alertname", ""))
        names.setdefault(name)
        told = _plain(annotations.get("description") or annotations.get("summary"))
        parts.append(f"[{str(alert.get('status', '')).upper()}] {name}" + (f": {told}" if told else ""))
    names.pop("", None)
    status = str(body.get("status", ""))
    text = _lines(parts) or str(body)[:500]
    found = tuple(names) or alert_names(text, body)
    return Notification(at, receiver, "webhook", status, found, text, dict(body))


def email(receiver: str, content: bytes, at: str) -> Notification:
    """Return what a mailbox would have shown: the subject, then the text part or the text of the HTML part."""
    message = message_from_bytes(content, policy=policy.default)
    body = message.get_body(preferencelist=("plain", "html"))
    text = ""
    if body is not None:
        try:
            text = str(body.get_content())
        except (LookupError, ValueError):  # a charset or a transfer encoding that nobody knows
            text = "(a body that cannot be decoded)"
        if body.get_content_type() == "text/html":
            text = _text_of_html(text)
    subject = str(message.get("subject", ""))
    whole = _lines([subject, text])
    raw = {"from": str(message.get("from", "")), "to": str(message.get("to", "")), "subject": subject}
    return Notification(
        at, receiver, "email", _status(subject) or _status(text), alert_names(whole, None), whole, raw
    )


def html_of_mail(content: bytes) -> str:
    """Return a mail's HTML part as it is; "" when it has none, or one that cannot be decoded."""
    body = message_from_bytes(content, policy=policy.default).get_body(preferencelist=("html",))
    try:
        return "" if body is None else str(body.get_content())
    except (LookupError, ValueError):
        return ""


CHANNELS: Mapping[str, Callable[[str, Mapping[str, Any], str], Notification]] = {
    "slack": slack,
    "pagerduty": pagerduty,
    "webhook": webhook,
}
"""The channels that arrive as a JSON POST, by the word in their path."""


def alert_names(text: str, body: Any) -> tuple[str, ...]:
    """Return the alerts that a message is about, in the order of their first mention."""
    where = text if body is None else f"{text}\n{_strings(body)}"
    found = [*_LINKED.findall(where), *_LABELLED.findall(where)]
    if not found:
        # `[FIRING:2] CRITICAL RedisMemoryExhausted (cache)`: the first CamelCase word after the status.
        title = re.search(r"\[(?:FIRING|RESOLVED)[^\]]*\]\s*(.*)", text)
        found = re.findall(r"\b(?:[A-Z][a-z0-9]+){2,}\b", title[1])[:1] if title else []
    return tuple(dict.fromkeys(found))


def _status(text: str) -> str:
    found = _STATUS.search(text)
    return found[1].lower() if found else ""


def _strings(value: Any, depth: int = 0) -> str:
    if isinstance(value, str):
        return value
    if depth > 6:
        return ""
    if isinstance(value, Mapping):
        return "\n".join(_strings(each, depth + 1) for each in value.values())
    if isinstance(value, list):
        return "\n".join(_strings(each, depth + 1) for each in value)
    return ""


def _mappings(value: Any) -> list[Mapping[str, Any]]:
    return [each for each in value if isinstance(each, Mapping)] if isinstance(value, list) else []


def _plain(value: Any) -> str:
    if value is None:
        return ""
    text = value if isinstance(value, str) else str(value)
    text = _SLACK_LINK.sub(lambda link: f"{link[2]} {link[1]}" if link[2] else link[1], text)
    return html.unescape(text).strip()


def _lines(parts: list[str]) -> str:
    joined = "\n".join(part for part in parts if part)
    return re.sub(r"\n{3,}", "\n\n", joined).strip()


def _text_of_html(source: str) -> str:
    """Return the words of an HTML body. Good enough to read; never shown as HTML."""
    source = re.sub(r"(?is)<(script|style|head)\b.*?</\1>", " ", source)
    source = re.sub(r"(?is)<a\b[^>]*?href=\"([^\"]+)\"[^>]*>(.*?)</a>", r"\2 \1", source)
    source = re.sub(r"(?i)<(br|/p|/tr|/h\d|/div|/li)\b[^>]*>", "\n", source)
    words = html.unescape(re.sub(r"<[^>]+>", " ", source))
    kept = [" ".join(line.split()) for line in words.splitlines()]
    return re.sub(r"\n{3,}", "\n\n", "\n".join(kept)).strip()
