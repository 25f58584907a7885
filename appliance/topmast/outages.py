"""Stop each service of a running stack in turn: `verify` must name it, and an alert must say so.

Who cannot tell of its own death is told of by another: Prometheus and Alertmanager by the page's inbox (the heartbeat
is missing), the page by Alertmanager, which cannot deliver there. The rest lands in the inbox as for a user.
"""

import json
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from topmast.errors import TopmastError
from topmast.page import heartbeat
from topmast.rehearsal import BIND_ADDR, Project

VERIFY_SECONDS = 10.0
# What may pass beside an alert's `for` and its route's wait: a refresh, a scrape and an evaluation.
INTERVALS = 3
_POLL_SECONDS = 0.25
_RESOLVED_SECONDS = 120.0


@dataclass(frozen=True)
class Sign:
    """What tells that a service is dead. Durations are production's, in seconds."""

    alert: str
    held: float
    """The alert's `for`."""
    wait: float
    """The route's `group_wait`."""
    extra: float = 0.0
    """What comes before, and is not made faster."""


# monitoring/prometheus, monitoring/alertmanager/alertmanager.yml. Order: no two neighbours share a group of messages.
SIGNS: Mapping[str, Sign] = {
    "shipper": Sign("TargetDown", 300, 30),
    "exporter": Sign("ExporterDown", 180, 10),
    "grafana": Sign("TargetDown", 300, 30),
    "node-exporter": Sign("HostMetricsMissing", 180, 10),
    "kibana": Sign("TargetDown", 300, 30),
    "logstash": Sign("LogstashDown", 180, 10),
    "cadvisor": Sign("ContainerMetricsMissing", 300, 30),
    "elasticsearch": Sign("ElasticsearchDown", 180, 10),
    # A minute between two heartbeats, and Alertmanager tries each for another.
    "page": Sign("NotificationsFailing", 300, 0, extra=120),
    "alertmanager": Sign(heartbeat.ALERT, 0, 0, extra=heartbeat.SILENT_SECONDS + heartbeat.LOOK_SECONDS),
    "prometheus": Sign(heartbeat.ALERT, 0, 0, extra=heartbeat.SILENT_SECONDS + heartbeat.LOOK_SECONDS),
}
# Prometheus' clocks are the rules' own when nothing is made faster.
INTERVAL_SECONDS = 15.0


@dataclass(frozen=True)
class Outage:
    """How one stop was noticed; None where it was not in time."""

    service: str
    named_seconds: float | None
    told_seconds: float | None
    allowed_seconds: float
    sign: str

    @property
    def noticed(self) -> bool:
        return self.named_seconds is not None and self.told_seconds is not None


def allowed(sign: Sign, speed: int) -> float:
    """Return the seconds within which the sign must come."""
    return (sign.held + INTERVALS * INTERVAL_SECONDS + sign.wait) / speed + sign.extra


def stopped_in_turn(project: Project, speed: int, say: Callable[[str], None]) -> Iterator[Outage]:
    """Stop and start every service of the table; yield how each was noticed. Raises TopmastError."""
    for service, sign in SIGNS.items():
        say(f"{service} stops")
        yield _stop(project, service, sign, speed)


def named(project: Project, service: str, began: float) -> float | None:
    """Return after how many seconds `verify` named the service as failing, or None when it did not in time."""
    while time.monotonic() - began < VERIFY_SECONDS:
        if any(each.name == service and not each.ok for each in project.verify()):
            took = time.monotonic() - began
            return took if took <= VERIFY_SECONDS else None
        time.sleep(_POLL_SECONDS)
    return None


def _stop(project: Project, service: str, sign: Sign, speed: int) -> Outage:
    seen = 0 if service == "page" else len(_messages(sign.alert, "firing"))
    project.compose("stop", "--timeout", "5", service)
    began = time.monotonic()
    named_seconds = named(project, service, began)
    limit = allowed(sign, speed)
    told_seconds = None
    while (took := time.monotonic() - began) <= limit:
        if _fires(sign.alert) if service == "page" else len(_messages(sign.alert, "firing")) > seen:
            told_seconds = took
            break
        time.sleep(_POLL_SECONDS)
    resolved = 0 if service == "page" else len(_messages(sign.alert, "resolved"))
    project.up(service)
    if told_seconds is not None and service != "page":
        # Until its end is told, the next stop would be told as one more of the same.
        deadline = time.monotonic() + _RESOLVED_SECONDS
        while len(_messages(sign.alert, "resolved")) <= resolved:
            if time.monotonic() > deadline:
                raise TopmastError(f"{service}: runs again, and the end of {sign.alert} was not told")
            time.sleep(_POLL_SECONDS)
    return Outage(service, named_seconds, told_seconds, limit, sign.alert)


def _messages(alert: str, status: str) -> list[dict[str, Any]]:
    told = _ask(3002, "/api/inbox?limit=500")["notifications"]
    return [each for each in told if alert in each["alerts"] and each["status"] == status]


def _fires(alert: str) -> bool:
    return any(each["labels"]["alertname"] == alert for each in _ask(9093, "/api/v2/alerts?active=true"))


def _ask(port: int, path: str) -> Any:
    url = f"http://{BIND_ADDR}:{port}{path}"
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return json.load(answer)
    except (urllib.error.URLError, OSError, ValueError) as error:
        raise TopmastError(f"{url}: {error}") from error
