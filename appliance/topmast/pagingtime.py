"""How long it is from the first bad sample to the message, by the rule and its routes: what a runbook promises.

At best the sample is scraped and evaluated at once. At worst it waits a scrape, the evaluation after it, and the one
at which `for` has passed; then Alertmanager gathers the group for `group_wait`.
"""

from collections.abc import Mapping
from typing import Any

from topmast import promql, routetree
from topmast.rulefile import Rule

CHANNELS = {
    "pagerduty": "PagerDuty",
    "slack-critical": "Slack",
    "slack-warning": "Slack",
    "email-cost": "e-mail and Slack",
    "heartbeat": "the heartbeat",
}
"""What a person calls a receiver."""
_INTERVALS = 3


def sentence(rule: Rule, alertmanager: Mapping[str, Any], prometheus: Mapping[str, Any]) -> str:
    """Return the sentence for an alert of production; the two mappings are the engines' configuration files."""
    labels = {"alertname": rule.name, **rule.labels, "environment": "production"}
    taken = routetree.taken(alertmanager["route"], labels)
    told = " and ".join(dict.fromkeys(CHANNELS.get(receiver, receiver) for _, receiver in taken))
    wait, quiet = _timing(alertmanager["route"], taken[0][0])
    interval = str(prometheus["global"]["evaluation_interval"])
    held = promql.milliseconds(rule.duration or "0s")
    soon = held + promql.milliseconds(wait)
    late = soon + _INTERVALS * promql.milliseconds(interval)
    text = (
        f"To {told} {promql.duration(soon)} to {promql.duration(late)} after the first bad sample: "
        f"`for` {promql.duration(held)}, up to three intervals of {interval}, `group_wait` {wait}."
    )
    return f"{text} In the quiet hours it waits for their end." if quiet else text


def _timing(root: Mapping[str, Any], place: tuple[int, ...]) -> tuple[str, bool]:
    """Return a route's `group_wait`, as it inherits it, and whether it has quiet hours (which none inherits)."""
    route, wait = root, str(root["group_wait"])
    for index in place:
        route = route["routes"][index]
        wait = str(route.get("group_wait", wait))
    return wait, bool(route.get("mute_time_intervals"))
