"""Does the running appliance work? A line is logged and found, a metric sent and read, an alert fired and received.

First every component is asked itself (not the supervisor's last look at it), so that one that is stopped is named
within seconds; only then is something sent on its way, for with one dead nothing arrives.
"""

import json
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import urllib3

from topmast.checkup import Checkup
from topmast.errors import TopmastError

ASK_SECONDS = 2.0
# The log path's own promise is 2 s (SHIPPING.md section 7), Alertmanager tells at once (its route's group_wait is 0):
# five times as much, and it is broken.
ARRIVAL_SECONDS = 10.0
# A target that was just added is scraped within one interval; two, and it is broken.
SCRAPES = 2
POLL_SECONDS = 0.25
ALERT = "TopmastVerify"
"""The one alert that the route `verify` leads to the inbox, whatever channels are set up."""
_COUNTED = 'exporter_ingest_events_total{source="usage",result="rejected"}'
_ALERT_SECONDS = 60


@dataclass(frozen=True)
class Place:
    """Where the running appliance is, in either mode. Addresses are `http://HOST:PORT`."""

    prometheus: str
    alertmanager: str
    page: str
    exporter: str
    ingest: str
    token: Callable[[], str]
    """The ingest's bearer token; "" when it asks for none."""
    log: Callable[[str], None]
    """Write one line into the log file that the shipper follows for this. Raises OSError, TopmastError."""
    elsewhere: str = ""
    """Why lines are not searched here: the shipper sends them to other stores."""
    arrival_seconds: float = ARRIVAL_SECONDS
    scrape_seconds: float = 15.0
    """How often Prometheus scrapes, as long as it names nobody whom it does."""
    outside: bool = True
    """Whether the dead man's switch ends on another machine."""
    more: tuple[Callable[[], Checkup], ...] = ()
    """What can be tried in this mode beside."""


def verify(components: Sequence[Checkup], place: Place) -> Iterator[Checkup]:
    """Yield the components, then the targets, then what was sent on its way and whether it arrived."""
    yield from components
    dead = [each.name for each in components if not each.ok]
    if dead:
        names = ", ".join(dead)
        for name in ("targets", "a line logged", "a metric sent", "an alert fired"):
            yield Checkup(name, ok=False, message=f"not tried: {names} first", remedy=None)
        return
    ways = [partial(way, place) for way in (targets, logged, sent, fired)] + list(place.more)
    with ThreadPoolExecutor(len(ways)) as threads:
        yield from threads.map(lambda way: way(), ways)
    if not place.outside:
        yield Checkup(
            "the dead man's switch",
            ok=True,
            message="ends on this machine: nobody is told when the machine dies",
            remedy="topmast notify setup heartbeat --url ADDRESS (a health-check service elsewhere)",
        )


def targets(place: Place) -> Checkup:
    """Return whether Prometheus reaches everything it is told to scrape."""
    name = "targets"
    try:
        found = _settled_targets(place)
    except TopmastError as error:
        return Checkup(name, ok=False, message=str(error), remedy="topmast status")
    down = [each for each in found if each["health"] != "up"]
    if not found:
        return Checkup(name, ok=False, message="Prometheus scrapes nobody, not even itself", remedy="topmast lint")
    if not down:
        return Checkup(name, ok=True, message=f"all {len(found)} are up")
    told = "; ".join(
        f"{each['labels'].get('job')} {each['labels'].get('instance')}: {each.get('lastError') or each['health']}"
        for each in down[:5]
    )
    more = f"; and {len(down) - 5} more" if len(down) > 5 else ""
    return Checkup(
        name,
        ok=False,
        message=f"{len(down)} of {len(found)} are not up: {told}{more}",
        remedy="topmast targets check",
    )


def _settled_targets(place: Place) -> list[dict[str, Any]]:
    """Return the active targets once each was scraped, or after two intervals as they are."""
    began = time.monotonic()
    while True:
        found: list[dict[str, Any]] = _ask("GET", f"{place.prometheus}/api/v1/targets?state=active")["data"][
            "activeTargets"
        ]
        waiting = [each for each in found if each["health"] == "unknown"]
        if (found and not waiting) or time.monotonic() - began > SCRAPES * _interval(waiting, place):
            return found
        time.sleep(POLL_SECONDS)


def _interval(found: Sequence[Mapping[str, Any]], place: Place) -> float:
    """Return the longest scrape interval in seconds, as Prometheus writes it (`15s`, `1m30s`)."""
    from topmast import promql

    told = (promql.milliseconds(str(each.get("scrapeInterval", "15s"))) / 1000 for each in found)
    return max(told, default=place.scrape_seconds)


def logged(place: Place) -> Checkup:
    """Return whether a line that is written now is found by the log search."""
    name = "a line logged"
    if place.elsewhere:
        return Checkup(name, ok=True, message=f"not tried: {place.elsewhere}")
    mark = _mark()
    document = {
        "@timestamp": _now(),
        "log.level": "info",
        "service.name": "topmast",
        "message": f"topmast verify {mark}",
    }
    began = time.monotonic()
    try:
        place.log(json.dumps(document))
        url = f"{place.page}/api/logs?q={mark}&limit=1"
        arrived = _wait(lambda: bool(_ask("GET", url)["documents"]), place.arrival_seconds)
    except (OSError, TopmastError) as error:
        return Checkup(name, ok=False, message=str(error), remedy="topmast status; topmast logs")
    if not arrived:
        return Checkup(
            name,
            ok=False,
            message=f"was not found within {place.arrival_seconds:.0f} s",
            remedy="topmast ship lag tells where it waits",
        )
    return Checkup(name, ok=True, message=f"found after {time.monotonic() - began:.1f} s")


def sent(place: Place) -> Checkup:
    """Return whether what is pushed is counted by the exporter, and read from there by Prometheus.

    What is sent is no usage event: it is refused, and the refusal is what is counted. Nothing enters the ledger.
    """
    name = "a metric sent"
    remedy = "topmast status; the exporter's log is in logs/exporter.log of the state folder"
    began = time.monotonic()
    try:
        before = _counted(place)
        body = json.dumps(["topmast verify: no event"])
        told = _ask("POST", f"{place.ingest}/v1/usage", body, token=place.token())
        if len(told.get("rejected", ())) != 1:
            return Checkup(name, ok=False, message=f"the exporter answered {json.dumps(told)[:120]}", remedy=remedy)
        found = _ask("GET", f"{place.prometheus}/api/v1/targets?state=active")["data"]["activeTargets"]
        exporters = [each for each in found if each["labels"].get("job") == "exporter"]
        seconds = SCRAPES * _interval(exporters, place)
        arrived = _wait(lambda: _counted(place) > before, seconds + ASK_SECONDS)
    except (OSError, TopmastError) as error:
        return Checkup(name, ok=False, message=str(error), remedy=remedy)
    if not arrived:
        return Checkup(
            name,
            ok=False,
            message=f"Prometheus did not read it within {seconds:.0f} s",
            remedy="topmast targets check",
        )
    return Checkup(name, ok=True, message=f"read by Prometheus after {time.monotonic() - began:.1f} s")


def _counted(place: Place) -> float:
    answer = _ask("POST", f"{place.prometheus}/api/v1/query", fields={"query": f"sum({_COUNTED})"})
    result = answer["data"]["result"]
    return float(result[0]["value"][1]) if result else 0.0


def fired(place: Place) -> Checkup:
    """Return whether an alert that is handed to Alertmanager comes out of it: the inbox receives it.

    Its route leads to the inbox alone. Whether a channel of yours receives is what `topmast drill` tries.
    """
    name = "an alert fired"
    mark, began = _mark(), time.monotonic()
    now = datetime.now(UTC)
    alert = {
        "labels": {"alertname": ALERT, "severity": "info", "category": "self", "verify": mark},
        "annotations": {"summary": f"topmast verify {mark}"},
        "startsAt": now.isoformat(),
        "endsAt": (now + timedelta(seconds=_ALERT_SECONDS)).isoformat(),
    }
    try:
        _ask("POST", f"{place.alertmanager}/api/v2/alerts", json.dumps([alert]))
        url = f"{place.page}/api/inbox?limit=50"
        arrived = _wait(lambda: mark in json.dumps(_ask("GET", url)), place.arrival_seconds)
    except (OSError, TopmastError) as error:
        return Checkup(name, ok=False, message=str(error), remedy="topmast status")
    if not arrived:
        return Checkup(
            name,
            ok=False,
            message=f"did not reach the inbox within {place.arrival_seconds:.0f} s",
            remedy="the log of alertmanager says why; topmast inbox shows what came",
        )
    return Checkup(name, ok=True, message=f"in the inbox after {time.monotonic() - began:.1f} s")


def _ask(
    method: str, url: str, body: str | None = None, *, fields: Mapping[str, str] | None = None, token: str = ""
) -> dict[str, Any]:
    """Return the answer's JSON (an empty body is {}). Raises TopmastError naming the address."""
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    if body is not None:
        headers["Content-Type"] = "application/json"
    options: dict[str, Any] = {"fields": dict(fields), "encode_multipart": False} if fields else {"body": body}
    try:
        with urllib3.PoolManager() as pool:
            answer = pool.request(method, url, headers=headers, timeout=ASK_SECONDS, retries=False, **options)
        if answer.status >= 400:
            raise TopmastError(f"{url.partition('?')[0]}: HTTP {answer.status}: {answer.data[:120]!r}")
        told: dict[str, Any] = json.loads(answer.data or b"{}")
    except urllib3.exceptions.HTTPError as error:
        raise TopmastError(f"{url.partition('?')[0]}: does not answer: {str(error)[:120]}") from error
    except ValueError as error:
        raise TopmastError(f"{url.partition('?')[0]}: did not answer with JSON") from error
    return told


def _wait(arrived: Callable[[], bool], seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while not arrived():
        if time.monotonic() > deadline:
            return False
        time.sleep(POLL_SECONDS)
    return True


def _mark() -> str:
    """Return a word that stands nowhere else."""
    return f"v{uuid.uuid4().hex[:16]}"


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
