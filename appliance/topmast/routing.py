"""Write Alertmanager's files: receivers that speak to the inbox, or to the channels that a user set up.

monitoring/alertmanager/ is the source: it runs as it stands in the compose network. A channel of `notify:` takes the
place of the inbox's lines; its secret stays in the user's own file (`*_file`).
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from topmast import promql
from topmast.errors import ConfigError
from topmast.notification import CHANNELS

# How the committed file names the inbox (the page of the compose network) and the page's address.
INBOX = "http://page:3002"
SMTP = "page:3025"
PUBLIC_URL = "http://localhost:3002"

# The receivers that people read; PagerDuty's and the heartbeat's are machines'.
_READ = ("slack-critical", "slack-warning", "email-cost")
_WAITS = re.compile(r"^(?P<head> *(?:group_wait|group_interval|repeat_interval): *)(?P<value>[0-9a-z]+)(?P<tail>.*)$")


def render_alertmanager(
    source: Path,
    target: Path,
    *,
    inbox: str,
    smtp: str,
    notify: Mapping[str, Mapping[str, Any]],
    speed: int,
    public_url: str = PUBLIC_URL,
) -> Path:
    """Write alertmanager.yml and its templates below `target`; return the file's path.

    `inbox` is the page's base URL and `smtp` its HOST:PORT: whatever `notify` does not name goes there. Waits are
    divided by `speed`, the heartbeat's apart. Raises ConfigError `$.notify.…: what is wrong`.
    """
    check(notify)
    templates = target / "templates"
    templates.mkdir(parents=True, exist_ok=True)
    for path in sorted((source / "templates").glob("*.tmpl")):
        text = path.read_text(encoding="utf-8").replace(PUBLIC_URL, public_url.rstrip("/"))
        (templates / path.name).write_text(text, encoding="utf-8")
    lines = (source / "alertmanager.yml").read_text(encoding="utf-8").splitlines()
    lines = _quickened(lines, speed) if speed != 1 else lines
    if {"slack", "email", "webhook"} & set(notify):
        # The source has no quiet hours, so that nothing is kept back where it is mounted as it is.
        lines = [re.sub(r"^( *)# (mute_time_intervals: \[.*?\]).*", r"\1\2", line) for line in lines]
    lines = [changed for line in lines for changed in _channel(line, notify)]
    lines = _more(lines, notify)
    text = "\n".join(lines).replace(INBOX, inbox.rstrip("/")).replace(SMTP, smtp) + "\n"
    written = target / "alertmanager.yml"
    written.write_text(text, encoding="utf-8")
    return written


def check(notify: Mapping[str, Any]) -> None:
    """Raise ConfigError for the first thing that no channel has, that one lacks, or that would break the file."""
    for channel, options in notify.items():
        if channel not in CHANNELS:
            raise ConfigError(f"$.notify.{channel}: no such channel; one of {', '.join(sorted(CHANNELS))}")
        allowed, needed = CHANNELS[channel]
        if not isinstance(options, Mapping):
            raise ConfigError(f"$.notify.{channel}: a mapping with {', '.join(sorted(needed))}")
        for key, value in options.items():
            if key not in allowed:
                raise ConfigError(f"$.notify.{channel}.{key}: unknown; one of {', '.join(sorted(allowed))}")
            if any(character in str(value) for character in "\n\r'\""):
                raise ConfigError(f"$.notify.{channel}.{key}: quotes and line breaks are not allowed")
        for key in sorted(needed - set(options)):
            raise ConfigError(f"$.notify.{channel}.{key}: missing")


def _channel(line: str, notify: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Return the lines that stand for one line of the source once the channels are set."""
    indent = line[: len(line) - len(line.lstrip(" -"))]
    body = line[len(indent) :]
    if "slack" in notify and body.startswith(f"api_url: '{INBOX}/"):
        return [f"{indent}api_url_file: '{notify['slack']['api_url_file']}'"]
    if "heartbeat" in notify and body.startswith(f"url: '{INBOX}/inbox/webhook/heartbeat'"):
        return [f"{indent}url: '{notify['heartbeat']['url']}'"]
    if "pagerduty" in notify:
        options = notify["pagerduty"]
        if body.startswith(f"url: '{INBOX}/inbox/pagerduty/"):
            return [f"{indent}routing_key_file: '{options['routing_key_file']}'"]
        if body.startswith("routing_key: inbox"):
            return [f"{indent}url: '{options['url']}'"] if "url" in options else []
    if "email" in notify:
        return _mail(line, indent, body, notify["email"])
    return [line]


def _more(lines: list[str], notify: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Give the receivers that people read the webhook as well, and e-mail where there is no Slack."""
    start = lines.index("    email_configs:")
    mail = lines[start : lines.index("    slack_configs:", start)]
    made: list[str] = []
    for line in lines:
        made.append(line)
        name = line.removeprefix("  - name: ")
        if name == line or name not in _READ:
            continue
        if "webhook" in notify:
            made += ["    webhook_configs:", f"      - url: '{notify['webhook']['url']}'"]
            made.append("        send_resolved: true")
        if "email" in notify and "slack" not in notify and name != "email-cost":
            made += mail
    return made


def _mail(line: str, indent: str, body: str, options: Mapping[str, Any]) -> list[str]:
    if body.startswith("smtp_smarthost:"):
        lines = [f"{indent}smtp_smarthost: '{options['smarthost']}'"]
        if "username" in options:
            lines.append(f"{indent}smtp_auth_username: '{options['username']}'")
        if "password_file" in options:
            lines.append(f"{indent}smtp_auth_password_file: '{options['password_file']}'")
        return lines
    if body.startswith("smtp_from:"):
        return [f"{indent}smtp_from: '{options['from']}'"]
    if body.startswith("smtp_require_tls:"):
        return [f"{indent}smtp_require_tls: {str(options.get('require_tls', True)).lower()}"]
    if body.startswith("to: "):
        return [f"{indent}to: '{options['to']}'"]
    return [line]


def _quickened(lines: list[str], speed: int) -> list[str]:
    """Divide the waits. The heartbeat keeps its minute: ten a minute would bury the inbox and prove nothing more."""
    quickened, heartbeat = [], False
    for line in lines:
        if line.lstrip().startswith("- "):
            heartbeat = "Watchdog" in line
        match = None if heartbeat else _WAITS.match(line)
        if match:
            line = match["head"] + promql.shortened(match["value"], speed) + match["tail"]
        quickened.append(line)
    return quickened
