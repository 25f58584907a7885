"""What must arrive, and whether it did: receiver, text, links, labels, grouping, muting, the end."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from topmast import promql, routetree
from topmast.drill.receivers import Message
from topmast.drill.rerouted import channels_of
from topmast.drill.scenes import Scene
from topmast.rulefile import Rule

HEARTBEAT = "Watchdog"
_NUMBER = re.compile(r"\d[\w.%]*(?: \d[\w.%]*)*")
Place = tuple[str, str]
"""A receiver and one of its channels: ("slack-critical", "slack")."""


@dataclass(frozen=True)
class Row:
    """What became of one alert in one pass."""

    alert: str
    severity: str
    category: str
    planned: tuple[Place, ...]
    delivered: tuple[Place, ...]
    resolved: tuple[Place, ...]
    seconds: float | None
    """From when the rules were first evaluated to the first message."""
    problems: tuple[str, ...] = ()
    muted: bool = False

    @property
    def arrived(self) -> bool:
        """Every place that was planned had the message, and nothing is wrong with it."""
        return bool(self.planned) and set(self.planned) <= set(self.delivered) and not self.problems

    @property
    def ended(self) -> bool:
        """Every place that told of it told of its end."""
        return bool(self.planned) and set(self.planned) <= set(self.resolved)

    def to_json(self) -> dict[str, Any]:
        return {
            "alert": self.alert,
            "severity": self.severity,
            "category": self.category,
            "planned": [receiver for receiver, _ in self.planned],
            "delivered": [receiver for receiver, _ in self.delivered],
            "resolved": [receiver for receiver, _ in self.resolved],
            "seconds": self.seconds,
            "muted": self.muted,
            "problems": list(self.problems),
        }


@dataclass(frozen=True)
class Seen:
    """What a world's receivers and its Alertmanager had."""

    messages: Sequence[Message]
    alerts: Sequence[Mapping[str, Any]]
    """Of the Alertmanager: labels, annotations, status."""
    began: float
    routes: Mapping[str, Any] = field(default_factory=dict)


def places(routes: Mapping[str, Any], rule: Rule, environment: str) -> tuple[Place, ...]:
    """Return where an alert's messages must arrive, by the routes and by what we promise.

    A critical in production pages: where PagerDuty is set up and its routes do not lead there, PagerDuty is planned
    all the same (and will be missing).
    """
    labels = {"alertname": rule.name, **rule.labels, "environment": environment}
    found = [
        (receiver, channel)
        for receiver in routetree.receivers(routes, labels)
        for channel in channels_of(routes, receiver)
    ]
    pagers = [
        (str(each["name"]), "pagerduty") for each in routes.get("receivers") or () if each.get("pagerduty_configs")
    ]
    if rule.labels.get("severity") == "critical" and environment == "production":
        found += [each for each in pagers[:1] if not any(channel == "pagerduty" for _, channel in found)]
    return tuple(dict.fromkeys(found))


def group_waits(routes: Mapping[str, Any], rule: Rule, environment: str) -> list[float]:
    """Return the group_wait, in seconds, of each route that an alert takes."""
    labels = {"alertname": rule.name, **rule.labels, "environment": environment}
    waits = []
    for place, _ in routetree.taken(routes["route"], labels):
        route, wait = routes["route"], str(routes["route"].get("group_wait", "30s"))
        for index in place:
            route = route["routes"][index]
            wait = str(route.get("group_wait", wait))
        waits.append(promql.milliseconds(wait) / 1000)
    return waits


def muted_as_planned(alerts: Sequence[Rule]) -> list[str]:
    """Return the warnings that must be silent when all alerts fire at once: those whose critical fires too."""
    severe = {rule.labels.get("pair") for rule in alerts if rule.labels.get("severity") == "critical"}
    return [
        rule.name for rule in alerts if rule.labels.get("severity") == "warning" and rule.labels.get("pair") in severe
    ]


def row(rule: Rule, seen: Seen, environment: str, public_url: str, scene: Scene | None) -> Row:
    """Return what became of an alert. With its scene, its labels and its text are looked at too."""
    planned = places(seen.routes, rule, environment)
    mine = [each for each in seen.messages if rule.name in each.notification.alerts]
    firing = [each for each in mine if each.notification.status == "firing"]
    # What PagerDuty is told of an incident's end is its key alone: its alerts are those that the key was opened for.
    opened = {_key(each): each for each in firing if _key(each)}
    over = [each for each in mine if each.notification.status == "resolved"]
    over += [
        each
        for each in seen.messages
        if each not in over and each.notification.status == "resolved" and _key(each) in opened
    ]
    problems = [
        f"{where(each)}: {problem}" for each in firing for problem in _problems(each, rule, public_url, scene)
    ]
    problems += _strays(firing, planned)
    held = [each for each in seen.alerts if each["labels"].get("alertname") == rule.name]
    if scene is not None:
        problems += _labels(held, rule, scene, environment)
    return Row(
        alert=rule.name,
        severity=rule.labels.get("severity", ""),
        category=rule.labels.get("category", ""),
        planned=planned,
        delivered=_arrived(firing),
        resolved=_arrived(over),
        seconds=round(min(each.at for each in firing) - seen.began, 2) if firing else None,
        problems=tuple(dict.fromkeys(problems)),
        muted=bool(held) and all(each["status"]["inhibitedBy"] for each in held),
    )


def where(message: Message) -> str:
    return f"{message.notification.receiver} ({message.notification.channel})"


def _arrived(messages: Sequence[Message]) -> tuple[Place, ...]:
    places_ = ((each.notification.receiver, each.notification.channel) for each in messages if not each.refused)
    return tuple(dict.fromkeys(places_))


def _problems(message: Message, rule: Rule, public_url: str, scene: Scene | None) -> list[str]:
    note = message.notification
    if message.refused:
        return [f"the service would refuse it: {message.refused}"]
    whole = f"{note.text}\n{json.dumps(note.raw, ensure_ascii=False)}\n{message.html}"
    problems = []
    if len(note.alerts) > 1:
        problems.append(f"one message of several alerts: {', '.join(note.alerts[:5])}")
    base = "" if note.channel == "webhook" else public_url.rstrip("/")
    for name in ("runbook_url", "dashboard_url"):
        link = base + rule.annotations.get(name, "")
        if link not in whole:
            problems.append(f"no link to {link}")
    limit = rule.annotations.get("limit", "")
    if limit and "{{" not in limit and note.channel != "webhook" and f"threshold {limit}" not in whole:
        problems.append(f"does not say the threshold {limit}")
    told = note.text + whole if note.channel == "webhook" else note.text
    if scene is not None and not pattern(scene.text).search(told):
        problems.append(f"does not say {scene.text!r}")
    return problems


def pattern(text: str) -> re.Pattern[str]:
    """Return what a description reads like, whatever its numbers: they move on while an alert waits."""
    parts = [re.escape(part) for part in _NUMBER.split(text)]
    return re.compile(r"[\w.%]+(?: \d[\w.%]*)*".join(parts))


def _strays(firing: Sequence[Message], planned: Sequence[Place]) -> list[str]:
    found = [each for each in _arrived(firing) if each not in planned]
    return [f"{receiver} ({channel}): nobody planned it" for receiver, channel in found]


def _labels(held: Sequence[Mapping[str, Any]], rule: Rule, scene: Scene, environment: str) -> list[str]:
    wanted = {"alertname": rule.name, **rule.labels, **scene.labels, "environment": environment}
    if not held:
        return ["the Alertmanager never had it"]
    if wanted in [dict(each["labels"]) for each in held]:
        return []
    return [f"its labels are {dict(held[0]['labels'])}, not {wanted}"]


def _key(message: Message) -> str:
    """Return the key of a PagerDuty incident; "" for any other message."""
    raw = message.notification.raw
    if message.notification.channel != "pagerduty" or not isinstance(raw, Mapping):
        return ""
    return str(raw.get("dedup_key", ""))
