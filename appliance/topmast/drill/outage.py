"""All receivers fail for a while, in five ways at once: what is told afterwards, and is it told once?

One real Alertmanager a way to fail, with the real routes and templates, and one real Prometheus that scrapes them and
evaluates the shipped NotificationsFailing. Half of the alerts fire before the outage and end within it, the other
half fire within it and end after it: each firing and each end must reach each of its channels exactly once.

A shut receiver takes nothing. Alertmanager's own promise (at least once: what was taken but not answered is sent
again) excuses a second message only where its log says that it gave up one under way once the receivers were open.
"""

import json
import re
import shutil
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import requests
import yaml

from topmast import promql
from topmast.drill import failing, judge, receivers, world
from topmast.drill.failing import Door, Failure
from topmast.drill.judge import Place
from topmast.drill.receivers import Capture, Message
from topmast.drill.rerouted import rerouted
from topmast.drill.unanswered import unanswered
from topmast.drill.world import Clocks, Kit
from topmast.errors import TopmastError
from topmast.layout import LOOPBACK
from topmast.rulefile import Rule

SELF_ALERT = "NotificationsFailing"
# What must be complained about: the heartbeat's webhook fails as well, where there is one.
CHANNELS = frozenset({"pagerduty", "slack", "email"})
_LOOK_SECONDS = 0.2
_SLACK_SECONDS = 15.0
_REST_SECONDS = 2.0
_ATTEMPTS = re.compile(r"^alertmanager_notification_latency_seconds_count\{[^}]*\} (\S+)$", re.MULTILINE)
_ISOLATED = """mount --bind "$1" /etc/hosts && mount --bind "$2" /etc/resolv.conf && shift 2 && exec "$@" """


@dataclass(frozen=True)
class Outage:
    """What one way to fail came to."""

    failure: str
    told: int
    """Messages that had to arrive, and did so at least once."""
    lost: Sequence[str]
    doubled: Sequence[str]
    repeated: Sequence[str]
    """Messages that came again because the Alertmanager gave up before the answer: as it promises."""
    complained: frozenset[str]
    """The channels for which the self alert fired."""
    refused: int
    """Connections that the shut receivers had."""
    skipped: str = ""
    """Why this way could not be taken; "" when it was."""


@dataclass(frozen=True)
class Play:
    """What is played: which alerts, for how long nobody is reached, and how much shorter all waits are."""

    kit: Kit
    alerts: Sequence[Rule]
    seconds: float
    speed: float
    pipe: int
    say: Callable[[str], None]


def run(play: Play, failures: Sequence[Failure] = failing.FAILURES) -> list[Outage]:
    """Return what each way to fail came to. Raises TopmastError when an engine does not start."""
    why = "" if shutil.which("unshare") and shutil.which("mount") else "no unshare and mount here"
    taken = [each for each in failures if not (each.named and why)]
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="topmast-outage-")))
        capture = stack.enter_context(receivers.receiving())
        made = failing.certificates(folder)
        inside = (capture.http.removeprefix("http://"), capture.smtp)
        doors = stack.enter_context(failing.doors(inside, made, taken))
        stages = [_Stage(play, door, folder / door.failure.name, capture, made.trusted, stack) for door in doors.all]
        prometheus = stack.enter_context(_watching(play, stages, folder))
        found = _played(play, doors, stages)
        _until(lambda: all(_complained(prometheus, each) >= CHANNELS for each in stages), _alert_seconds(play))
        found = [replace(one, complained=_complained(prometheus, at)) for one, at in zip(found, stages, strict=True)]
    skipped = [each.name for each in failures if each not in taken]
    return [*found, *(Outage(name, 0, (), (), (), frozenset(), 0, why) for name in skipped)]


def bad(found: Sequence[Outage], say: Callable[[str], None]) -> int:
    """Return how many messages were lost or doubled, and for how many channels the self alert did not fire."""
    wrong = []
    for each in found:
        if each.skipped:
            continue
        wrong += [f"{each.failure}: lost: {message}" for message in each.lost]
        wrong += [f"{each.failure}: doubled: {message}" for message in each.doubled]
        wrong += [f"{each.failure}: {SELF_ALERT} is silent on {name}" for name in sorted(CHANNELS - each.complained)]
    for message in wrong[:10]:
        say(message)
    return len(wrong)


def note(found: Sequence[Outage], seconds: float, speed: float) -> str:
    """Return what was played, and what could not be."""
    taken = [each for each in found if not each.skipped]
    text = (
        f"{', '.join(each.failure for each in taken)} for {seconds:g} s, waits ÷ {speed:g}: "
        f"{sum(each.told for each in taken)} messages once each, {sum(each.refused for each in taken)} refused "
        f"connections; {SELF_ALERT} by Prometheus for each"
    )
    repeated = [message for each in taken for message in each.repeated]
    again = [f"{len(repeated)} came again whose answer was not waited for"] if repeated else []
    return "; ".join([text, *again, *(f"{each.failure} not taken: {each.skipped}" for each in found if each.skipped)])


class _Stage:
    """One Alertmanager whose receivers fail in one way."""

    def __init__(
        self, play: Play, door: Door, folder: Path, capture: Capture, trusted: Path, stack: ExitStack
    ) -> None:
        folder.mkdir()
        self.door, self.folder, self.name, self._capture = door, folder, f"outage-{door.failure.name}", capture
        self._environment = play.kit.environment
        config = rerouted(play.kit.routes, self.name, _outside(door), play.speed)
        if door.failure.tls:
            _encrypted(config, trusted)
        path = folder / "alertmanager.yml"
        path.write_text(yaml.safe_dump(config, allow_unicode=True), encoding="utf-8")
        self.address = world.free_address()
        argv = [
            *(str(play.kit.alertmanager), f"--config.file={path}", f"--storage.path={folder / 'data'}"),
            *(f"--web.listen-address={self.address}", "--cluster.listen-address=", "--log.level=warn"),
        ]
        if door.failure.named:
            argv = [*_private_names(folder), *argv]
        self.name_is_known(known=True)
        self.url = stack.enter_context(
            world.running(argv, play.kit.alertmanager_folder, self.address, folder, play.pipe)
        )
        self.places = {rule.name: judge.places(config, rule, self._environment) for rule in play.alerts}

    def name_is_known(self, *, known: bool) -> None:
        """Give the receivers' name its address, or take it away: the same file, as the engine has it mounted."""
        path = self.folder / "hosts"
        with path.open("w", encoding="utf-8") as hosts:
            hosts.write(f"{LOOPBACK} localhost{f' {failing.HOST}' if known else ''}\n")

    def post(self, rules: Sequence[Rule], *, over: bool) -> None:
        """Tell the Alertmanager that alerts fire, or that they are over."""
        now = datetime.now(UTC)
        ends = now if over else now + timedelta(hours=1)
        body = [
            {
                # Its own instance: no critical mutes a warning here.
                "labels": {
                    **rule.labels,
                    "alertname": rule.name,
                    "environment": self._environment,
                    "instance": rule.name,
                },
                "annotations": dict(rule.annotations),
                "endsAt": ends.isoformat(),
            }
            for rule in rules
        ]
        requests.post(f"{self.url}/api/v2/alerts", json=body, timeout=30).raise_for_status()

    def counted(self) -> Counter[tuple[str, Place, str]]:
        """Return how often each place was told of each alert: (alert, place, firing or resolved)."""
        return counted(self._capture.of(self.name))

    def missing(self, rules: Sequence[Rule], status: str) -> list[str]:
        """Return the messages that are still to come."""
        have = self.counted()
        wanted = [(rule.name, place, status) for rule in rules for place in self.places[rule.name]]
        return [told(each) for each in wanted if not have[each]]

    def at_rest(self, rules: Sequence[Rule]) -> bool:
        """Return whether the Alertmanager has had its answer for each message about these alerts."""
        answer = requests.get(f"{self.url}/metrics", timeout=30)
        answer.raise_for_status()
        # Observed once an attempt is over (notify.RetryStage); the first attempts all succeed.
        ended = sum(float(count) for count in _ATTEMPTS.findall(answer.text))
        return ended >= sum(len(self.places[rule.name]) for rule in rules)

    def again(self, since: datetime) -> tuple[list[str], list[str]]:
        """Return what was told twice, and what of it had to be: the receivers have been open since then."""
        logs = "\n".join(path.read_text(encoding="utf-8", errors="replace") for path in self.folder.glob("*.log"))
        return parted(self.counted(), unanswered(logs, since))


def counted(messages: Sequence[Message]) -> Counter[tuple[str, Place, str]]:
    """Return how often each place was told of each alert.

    What PagerDuty is told of an end is the incident's key alone: its alert is the one the key was opened for.
    """
    opened: dict[object, str] = {}
    found: Counter[tuple[str, Place, str]] = Counter()
    for each in messages:
        note = each.notification
        key = note.raw.get("dedup_key") if isinstance(note.raw, Mapping) else None
        names = note.alerts or ((opened[key],) if key in opened else ())
        for name in names:
            if key and note.status == "firing":
                opened[key] = name
            if name != judge.HEARTBEAT:
                found[name, (note.receiver, note.channel), note.status] += 1
    return found


def parted(have: Counter[tuple[str, Place, str]], given_up: Counter[Place]) -> tuple[list[str], list[str]]:
    """Return what was told twice, and what of it had to be: no place more often than it was given up."""
    left = Counter(given_up)
    doubled: list[str] = []
    repeated: list[str] = []
    for each, times in have.items():
        if times == 1:
            continue
        excused = times - 1 <= left[each[1]]
        left[each[1]] -= (times - 1) * excused
        (repeated if excused else doubled).append(f"{told(each)} × {times}")
    return doubled, repeated


def told(message: tuple[str, Place, str]) -> str:
    alert, (receiver, channel), status = message
    return f"{alert} {status} at {receiver} ({channel})"


def _played(play: Play, doors: failing.Doors, stages: Sequence[_Stage]) -> list[Outage]:
    before, within = list(play.alerts[::2]), list(play.alerts[1::2])
    patience = 2 * _group_interval(play) + _SLACK_SECONDS

    def all_told(rules: Sequence[Rule], status: str) -> Callable[[], bool]:
        return lambda: not any(stage.missing(rules, status) for stage in stages)

    _each(stages, lambda stage: stage.post(before, over=False))
    if not _until(all_told(before, "firing"), patience):
        lacking = [each for stage in stages for each in stage.missing(before, "firing")]
        raise TopmastError(f"outage: before anything failed nobody was told of {lacking[0]} ({len(lacking)} in all)")
    # An answer that is cut off has its message sent again: nothing may be under way when the doors shut.
    if not _until(lambda: all(stage.at_rest(before) for stage in stages), patience):
        raise TopmastError("outage: before anything failed an Alertmanager did not come to rest")
    play.say(f"nobody is reached for {play.seconds:g} s ({', '.join(stage.door.failure.name for stage in stages)})")
    _turned(doors, stages, shut=True)
    ended = time.monotonic() + play.seconds
    _each(stages, lambda stage: stage.post(before, over=True))
    _each(stages, lambda stage: stage.post(within, over=False))
    while time.monotonic() < ended:
        time.sleep(min(_LOOK_SECONDS, max(0.0, ended - time.monotonic())))
    early = [each for stage in stages for each in _arrived_shut(stage, within)]
    if early:
        raise TopmastError(f"outage: {early[0]}, though nobody could be reached")
    opened = datetime.now(UTC)
    _turned(doors, stages, shut=False)
    play.say("they are reached again")
    _until(lambda: all_told(before, "resolved")() and all_told(within, "firing")(), patience)
    # The end of what was given up under way is told only if its beginning came again before.
    time.sleep(_REST_SECONDS)
    _each(stages, lambda stage: stage.post(within, over=True))
    _until(all_told(within, "resolved"), patience)
    # What is told twice is told at the next flush.
    time.sleep(_group_interval(play) + 1)
    return [_outcome(stage, before, within, opened) for stage in stages]


def _outcome(stage: _Stage, before: Sequence[Rule], within: Sequence[Rule], opened: datetime) -> Outage:
    rules = [*before, *within]
    lost = [*stage.missing(rules, "firing"), *stage.missing(rules, "resolved")]
    planned = 2 * sum(len(places) for places in stage.places.values())
    name, refused = stage.door.failure.name, stage.door.refused
    doubled, repeated = stage.again(opened)
    return Outage(name, planned - len(lost), lost, doubled, repeated, frozenset(), refused)


def _arrived_shut(stage: _Stage, within: Sequence[Rule]) -> list[str]:
    have = stage.counted()
    names = {rule.name for rule in within}
    return [told(each) for each in have if each[0] in names]


def _turned(doors: failing.Doors, stages: Sequence[_Stage], *, shut: bool) -> None:
    for stage in stages:
        stage.name_is_known(known=not shut)
    doors.each("turn", shut=shut)


def _each(stages: Sequence[_Stage], action: Callable[[_Stage], None]) -> None:
    with ThreadPoolExecutor(len(stages)) as pool:
        list(pool.map(action, stages))


def _outside(door: Door) -> Capture:
    """Return the receivers as the engine is to find them: behind the door."""
    scheme = "https" if door.failure.tls else "http"
    return Capture(http=f"{scheme}://{door.http}", smtp=door.smtp)


def _encrypted(config: dict[str, Any], trusted: Path) -> None:
    tls = {"ca_file": str(trusted)}
    config["global"] |= {"http_config": {"tls_config": tls}, "smtp_require_tls": True}
    for receiver in config["receivers"]:
        for options in receiver.get("email_configs") or ():
            options["tls_config"] = tls


def _private_names(folder: Path) -> list[str]:
    """Return what starts an engine with a hosts file of its own, and with no name server that answers."""
    (folder / "resolv.conf").write_text(f"nameserver {LOOPBACK}\n", encoding="utf-8")
    names = [str(folder / "hosts"), str(folder / "resolv.conf")]
    return ["unshare", "--mount", "--map-root-user", "sh", "-c", _ISOLATED, "sh", *names]


def _watching(play: Play, stages: Sequence[_Stage], folder: Path) -> Any:
    """Start a Prometheus that scrapes the Alertmanagers and evaluates the self alert, its expression untouched."""
    clocks = Clocks(speed=play.speed, shortest_for=1000)
    rules = []
    for path in sorted((play.kit.rules / "self").glob("*.yml")):
        document = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
        rules += world.quickened(document, clocks, {SELF_ALERT})["groups"]
    (folder / "rules.yml").write_text(json.dumps({"groups": [each for each in rules if _alerts(each)]}))
    targets = [
        {"targets": [stage.address], "labels": {"instance": stage.door.failure.name, "environment": "outage"}}
        for stage in stages
    ]
    config = {
        "global": {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"},
        "rule_files": [str(folder / "rules.yml")],
        "scrape_configs": [{"job_name": "alertmanager", "static_configs": targets}],
    }
    (folder / "prometheus.yml").write_text(json.dumps(config))
    address = world.free_address()
    argv = [
        *(str(play.kit.prometheus), f"--config.file={folder / 'prometheus.yml'}"),
        *(f"--storage.tsdb.path={folder / 'tsdb'}", f"--web.listen-address={address}", "--log.level=error"),
    ]
    return world.running(argv, folder, address, folder, play.pipe)


def _alerts(group: Mapping[str, Any]) -> bool:
    return any("alert" in rule for rule in group["rules"])


def _complained(prometheus: str, stage: _Stage) -> frozenset[str]:
    """Return the channels of an Alertmanager for which the self alert fires, or has fired."""
    query = f'ALERTS{{alertname="{SELF_ALERT}",alertstate="firing",instance="{stage.door.failure.name}"}}'
    answer = requests.get(f"{prometheus}/api/v1/query", params={"query": f"count_over_time({query}[1h])"}, timeout=30)
    answer.raise_for_status()
    return frozenset(each["metric"]["integration"] for each in answer.json()["data"]["result"])


def _group_interval(play: Play) -> float:
    """Return the seconds of the routes' group_interval here: as long one notification is tried, too."""
    route = yaml.safe_load(play.kit.routes.read_text(encoding="utf-8"))["route"]
    # notify.MinTimeout: 10 s.
    return max(promql.milliseconds(str(route["group_interval"])) / 1000 / play.speed, 10.0)


def _alert_seconds(play: Play) -> float:
    """Return how long the self alert may take from now: its five minutes, made shorter."""
    return 300.0 / play.speed + _SLACK_SECONDS


def _until(true: Callable[[], bool], seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while not true():
        if time.monotonic() > deadline:
            return False
        time.sleep(_LOOK_SECONDS)
    return True
