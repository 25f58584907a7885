"""One clearly marked drill alert through the production Alertmanager, to the real channel.

It is not Prometheus that fires it: what is proved is the way from the Alertmanager to a person. It ends by itself.
"""

import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import requests
import yaml

from topmast.drill.rerouted import channels_of
from topmast.errors import NotRunningError, TopmastError
from topmast.page.inbox import Inbox
from topmast.rulefile import Rule

LASTS = timedelta(minutes=5)
"""It is over by then, whatever becomes of who sent it."""
MARK = "DRILL, nothing is wrong"
_SECONDS = 30.0
_LATE = "nothing was sent in time"
_COUNTER = re.compile(
    r'^alertmanager_notifications_(?P<what>total|failed_total)\{[^}]*integration="(?P<channel>[a-z0-9]+)"[^}]*\} '
    r"(?P<value>[0-9.e+]+)$",
    re.MULTILINE,
)
# Alertmanager's names of our channels.
_INTEGRATIONS = {"slack": "slack", "pagerduty": "pagerduty", "webhook": "webhook", "email": "email"}


@dataclass(frozen=True)
class Check:
    """Whether one channel of one receiver was reached."""

    name: str
    ok: bool
    message: str
    remedy: str | None = None


def alert(rule: Rule, environment: str, now: datetime, ends: datetime) -> dict[str, Any]:
    """Return the drill's alert as the Alertmanager's API takes it. Its instance is `drill`: it mutes nobody."""
    labels = {"alertname": rule.name, **rule.labels, "environment": environment, "instance": "drill", "drill": "true"}
    summary = rule.annotations.get("summary", rule.name)
    return {
        "labels": labels,
        "annotations": {
            **{name: rule.annotations[name] for name in ("runbook_url", "dashboard_url") if name in rule.annotations},
            "summary": f"{MARK}: {summary}",
            "description": f"{MARK}: a fire drill of {rule.name}, started by hand; it ends by itself.",
        },
        "startsAt": now.isoformat(),
        "endsAt": ends.isoformat(),
    }


def run(
    url: str,
    rule: Rule,
    environment: str,
    config: Path,
    inbox: Inbox,
    seconds: float,
    say: Callable[[str], None],
) -> list[Check]:
    """Send the alert and return what became of it at each channel. Raises when it cannot be sent, or is no drill.

    `config` is the Alertmanager's file, `inbox` where the channels end that nobody set up.
    """
    _refuse_real(url, rule)
    before = _counters(url)
    begun = datetime.now(UTC)
    _post(url, alert(rule, environment, begun, begun + LASTS))
    try:
        held = _held(url, rule)
        names = [str(each["name"]) for each in held.get("receivers") or ()]
        routes = yaml.safe_load(config.read_text(encoding="utf-8"))
        wanted = [(name, channel) for name in names for channel in channels_of(routes, name)]
        say(f"{rule.name}: sent to {', '.join(names) or 'nobody'}; waiting at most {seconds:.0f} s")
        muted = held["status"]["silencedBy"] or held["status"]["inhibitedBy"]
        if muted:
            told = f"muted by a silence or another alert ({muted[0]}): end that, and drill again"
            return [Check(rule.name, ok=False, message="no message was sent", remedy=told)]
        deadline = time.monotonic() + seconds
        while True:
            checks = [_check(each, wanted, before, _counters(url), _local(inbox, begun)) for each in wanted]
            if all(each.message != _LATE for each in checks) or time.monotonic() > deadline:
                return checks or [
                    Check(rule.name, ok=False, message="no receiver", remedy="see the routes: topmast lint")
                ]
            time.sleep(0.5)
    finally:
        now = datetime.now(UTC)
        _post(url, alert(rule, environment, begun, now))


Place = tuple[str, str]
Counters = Mapping[tuple[str, str], float]


def _check(place: Place, wanted: Sequence[Place], before: Counters, after: Counters, local: set[Place]) -> Check:
    receiver, channel = place
    name = f"{receiver} ({channel})"
    # A mail's receiver in the inbox is its address, not the receiver's name.
    if place in local or (channel == "email" and any(other == "email" for _, other in local)):
        return Check(name, ok=True, message="arrived in the local inbox: this channel is not set up")
    many = sum(other == channel for _, other in wanted)
    sent, failed = (
        after.get((what, _INTEGRATIONS[channel]), 0.0) - before.get((what, _INTEGRATIONS[channel]), 0.0)
        for what in ("total", "failed_total")
    )
    # The counts are of all messages of that kind: another's failure is taken for ours rather than overlooked.
    if failed > 0:
        told = f"the service refused it, or did not answer ({failed:.0f} times)"
        return Check(name, ok=False, message=told, remedy="why, says .topmast/logs/alertmanager.log")
    if sent >= many:
        return Check(name, ok=True, message="the service took it")
    return Check(name, ok=False, message=_LATE, remedy="quiet hours? a longer --wait?")


def _local(inbox: Inbox, since: datetime) -> set[Place]:
    return {
        (str(each.get("receiver")), str(each.get("channel")))
        for each in inbox.newest(100, since)
        if MARK in str(each.get("text"))
    }


def _refuse_real(url: str, rule: Rule) -> None:
    for each in _get(url, f"/api/v2/alerts?filter=alertname%3D%22{rule.name}%22").json():
        if each["labels"].get("drill") != "true":
            raise TopmastError(f"{rule.name} fires right now, and that is no drill: see `topmast inbox`")


def _held(url: str, rule: Rule) -> dict[str, Any]:
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        for each in _get(url, f"/api/v2/alerts?filter=alertname%3D%22{rule.name}%22").json():
            if each["labels"].get("drill") == "true":
                return dict(each)
        time.sleep(0.1)
    raise TopmastError(f"{url}: took the alert, and does not have it")


def _counters(url: str) -> Counters:
    return {
        (found["what"], found["channel"]): float(found["value"])
        for found in _COUNTER.finditer(_get(url, "/metrics").text)
    }


def _post(url: str, body: Mapping[str, Any]) -> None:
    try:
        answer = requests.post(f"{url}/api/v2/alerts", json=[body], timeout=_SECONDS)
    except requests.RequestException as error:
        raise NotRunningError(f"{url}: no Alertmanager answers; `topmast up` first") from error
    if answer.status_code != 200:
        raise TopmastError(f"{url}: refuses the alert: {answer.text[:200]}")


def _get(url: str, path: str) -> requests.Response:
    try:
        answer = requests.get(f"{url}{path}", timeout=_SECONDS)
        answer.raise_for_status()
    except requests.RequestException as error:
        raise NotRunningError(f"{url}: no Alertmanager answers; `topmast up` first") from error
    return answer
