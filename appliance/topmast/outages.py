"""Stop each service of a running stack in turn: `verify` must name it, and an alert must say so.

Who cannot tell of its own death is told of by another: Prometheus and Alertmanager by the page's inbox (the heartbeat
is missing), the page by Alertmanager, which cannot deliver there. The rest lands in the inbox as for a user.

A stop proves something only when its sign was quiet before, and the sign names the job that was stopped.
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
# Until a sign is quiet again: its alert's end, its route's interval, and for the heartbeat a minute each way.
QUIET_SECONDS = 240.0

# Prometheus repeats an alert's end to Alertmanager for a quarter of an hour, and that keeps the group of its name:
# the next alert of that name joins it and waits for the group's interval. So that each stop is measured by itself,
# Prometheus forgets by a restart; Alertmanager drops empty groups every thirty seconds.
GROUP_SECONDS = 35.0


@dataclass(frozen=True)
class Sign:
    """What tells that a service is dead. Durations are production's, in seconds."""

    alert: str
    held: float
    """The alert's `for`."""
    wait: float
    """The route's `group_wait`."""
    job: str = ""
    """Whose target the alert names, where one alert speaks for several; the message shows it."""
    extra: float = 0.0
    """What comes before, and is not made faster."""


# monitoring/prometheus, monitoring/alertmanager/alertmanager.yml. Order: neighbours have other signs, so that one's
# end is waited for while the next one's beginning is.
SIGNS: Mapping[str, Sign] = {
    "shipper": Sign("TargetDown", 300, 30, "shipper"),
    "exporter": Sign("ExporterDown", 180, 10),
    "grafana": Sign("TargetDown", 300, 30, "grafana"),
    "node-exporter": Sign("HostMetricsMissing", 180, 10),
    "kibana": Sign("TargetDown", 300, 30, "kibana"),
    "logstash": Sign("LogstashDown", 180, 10),
    "cadvisor": Sign("ContainerMetricsMissing", 300, 30),
    "elasticsearch": Sign("ElasticsearchDown", 180, 10),
    "page": Sign("TargetDown", 300, 0, "page"),
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
    told: set[str] = set()
    for service, sign in SIGNS.items():
        if sign.wait and sign.alert in told:
            _forget(project, sign)
        say(f"{service} stops")
        yield _stop(project, service, sign, speed)
        told.add(sign.alert)


def named(project: Project, service: str, began: float) -> float | None:
    """Return after how many seconds `verify` named the service as failing, or None when it did not in time."""
    while time.monotonic() - began < VERIFY_SECONDS:
        if any(each.name == service and not each.ok for each in project.verify()):
            took = time.monotonic() - began
            return took if took <= VERIFY_SECONDS else None
        time.sleep(_POLL_SECONDS)
    return None


def _stop(project: Project, service: str, sign: Sign, speed: int) -> Outage:
    _wait_for_quiet(project, service, sign)
    told = _in_alertmanager if service == "page" else _in_inbox
    project.compose("stop", "--timeout", "5", service)
    began = time.monotonic()
    named_seconds = named(project, service, began)
    limit = allowed(sign, speed)
    told_seconds = None
    while (took := time.monotonic() - began) <= limit:
        if told(sign):
            told_seconds = took
            break
        time.sleep(_POLL_SECONDS)
    project.up(service)
    return Outage(service, named_seconds, told_seconds, limit, sign.alert)


def _forget(project: Project, sign: Sign) -> None:
    """Return once the alert has no group in Alertmanager. Raises TopmastError."""
    _wait_for_quiet(project, "prometheus", sign)
    project.compose("restart", "prometheus")
    project.up("prometheus")
    time.sleep(GROUP_SECONDS)


def _wait_for_quiet(project: Project, service: str, sign: Sign) -> None:
    """Return once the service is healthy and nothing says that it is not. Raises TopmastError."""
    deadline = time.monotonic() + QUIET_SECONDS
    while True:
        well = all(each.ok for each in project.components() if each.name == service)
        if well and not _in_alertmanager(sign, any_job=True) and not _in_inbox(sign, any_job=True):
            return
        if time.monotonic() > deadline:
            why = f"{sign.alert} speaks already" if well else "it is not healthy"
            raise TopmastError(f"{service}: was not stopped: {why} after {QUIET_SECONDS:.0f} s")
        time.sleep(_POLL_SECONDS)


def _in_inbox(sign: Sign, *, any_job: bool = False) -> bool:
    """Return whether the inbox's last word of the alert is that it fires (for the job)."""
    notifications = _ask(3002, "/api/inbox?limit=500")["notifications"]
    # Newest first; each receiver has its own last word.
    last = {each["receiver"]: each for each in reversed(notifications) if sign.alert in each["alerts"]}
    return any(
        each["status"] == "firing" and (any_job or not sign.job or f"of job {sign.job} " in each["text"])
        for each in last.values()
    )


def _in_alertmanager(sign: Sign, *, any_job: bool = False) -> bool:
    """Return whether Alertmanager has the alert (for the job)."""
    return any(
        each["labels"]["alertname"] == sign.alert
        and (any_job or not sign.job or each["labels"].get("job") == sign.job)
        for each in _ask(9093, "/api/v2/alerts?active=true")
    )


def _ask(port: int, path: str) -> Any:
    url = f"http://{BIND_ADDR}:{port}{path}"
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return json.load(answer)
    except (urllib.error.URLError, OSError, ValueError) as error:
        raise TopmastError(f"{url}: {error}") from error
