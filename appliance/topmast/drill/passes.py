"""Pass A: each alert alone arrives. Pass B: all at once, and exactly the planned ones are muted."""

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from topmast import promql
from topmast.drill import judge, world
from topmast.drill import scenes as stories
from topmast.drill.judge import Row, Seen
from topmast.drill.receivers import Capture, Message
from topmast.drill.scenes import Scene
from topmast.drill.world import Clocks, Kit, World
from topmast.errors import TopmastError
from topmast.rulefile import Rule

# Without anything new for so long, nothing more is waited for.
_STILL_SECONDS = 15.0
_LONGEST_SECONDS = 60.0
_LOOK_SECONDS = 0.1
ALL = "all"
"""The world of pass B; those of pass A are `alone-1`, `alone-2`, …"""


@dataclass(frozen=True)
class Result:
    """What both passes showed."""

    alone: Sequence[Row]
    together: Sequence[Row]
    """Of pass B; the alerts of the self pack that fired beside are not in it."""
    muted: Sequence[str]
    """Muted in pass B, self pack included."""
    loud: Sequence[str]
    """Planned to be muted and told all the same."""
    messages: Sequence[Message]
    complaints: Sequence[str]
    """What the Alertmanagers could not do, in their words."""
    seconds: float


@dataclass(frozen=True)
class Drill:
    """What the passes are given."""

    kit: Kit
    records: Mapping[str, Rule]
    capture: Capture
    clocks: Clocks
    pipe: int
    public_url: str
    say: Callable[[str], None]
    complaints: set[str] = field(default_factory=set)
    ended: threading.Event = field(default_factory=threading.Event)
    """Set when the drill is broken off."""


def run(drill: Drill, scenes: Sequence[Scene], *, all_at_once: bool = True) -> Result:
    """Play the scenes in both passes, all worlds side by side. Raises TopmastError when an engine does not start."""
    began = time.monotonic()
    companies = stories.alone(scenes, drill.records)
    with ThreadPoolExecutor(len(companies) + 1) as pool:
        try:
            waiting = [
                pool.submit(_alone, drill, f"alone-{number}", company) for number, company in enumerate(companies, 1)
            ]
            second = pool.submit(_together, drill, scenes) if all_at_once else None
            rows = {row.alert: row for future in waiting for row in future.result()}
            together, muted, loud = second.result() if second is not None else ([], [], [])
        except BaseException:
            # Ctrl-C, or one world failed: the others must not wait for what nobody reads any more.
            drill.ended.set()
            raise
    return Result(
        alone=[rows[scene.alert] for scene in scenes],
        together=together,
        muted=muted,
        loud=loud,
        messages=list(drill.capture.messages),
        complaints=sorted(drill.complaints),
        seconds=time.monotonic() - began,
    )


def _alone(drill: Drill, name: str, company: Sequence[Scene]) -> list[Row]:
    drill.say(f"{name}: {len(company)} alerts that do not see each other")
    arguments = (drill.kit, name, company, drill.capture, drill.clocks, drill.pipe)
    with world.started(*arguments, only=True) as here:
        _wait(lambda: all(row.arrived for row in _rows(drill, here, company)), drill, here)
        alerts = here.firing()
        drill.complaints.update(here.complaints())
        here.heal()
        _wait(lambda: all(row.ended for row in _rows(drill, here, company)), drill, here)
        return _rows(drill, here, company, alerts)


def _rows(
    drill: Drill, here: World, company: Sequence[Scene], alerts: Sequence[Mapping[str, object]] = ()
) -> list[Row]:
    seen = Seen(drill.capture.of(here.name), alerts, here.armed, here.routes)
    known = bool(alerts)
    return [
        judge.row(scene.rule, seen, drill.kit.environment, drill.public_url, scene if known else None)
        for scene in company
    ]


def _together(drill: Drill, scenes: Sequence[Scene]) -> tuple[list[Row], list[str], list[str]]:
    company = stories.together(scenes, drill.records)
    drill.say(f"{ALL}: {len(scenes)} alerts at once, with all rules")
    rules = [scene.rule for scene in scenes]
    quiet = set(judge.muted_as_planned(rules))

    def rows(alerts: Sequence[Mapping[str, object]]) -> list[Row]:
        seen = Seen(drill.capture.of(ALL), alerts, here.armed, here.routes)
        return [judge.row(rule, seen, drill.kit.environment, drill.public_url, None) for rule in rules]

    def as_planned() -> bool:
        held = here.firing()
        return all(each.muted if each.alert in quiet else each.arrived for each in rows(held))

    arguments = (drill.kit, ALL, company, drill.capture, drill.clocks, drill.pipe)
    with world.started(*arguments, only=False) as here:
        _wait(as_planned, drill, here)
        # A muted one would be told at its group's next turn.
        drill.ended.wait(2 * _turn(here))
        held = here.firing()
        drill.complaints.update(here.complaints())
        # Later a warning may be told rightly: when its critical ends a moment before it.
        found = rows(held)
        here.heal()
        _wait(lambda: all(each.ended for each in rows(held) if each.alert not in quiet), drill, here)
    muted = sorted({str(each["labels"]["alertname"]) for each in held if each["status"]["inhibitedBy"]})
    return found, muted, [each.alert for each in found if each.alert in quiet and each.delivered]


REAL = Clocks(speed=1.0, interval="15s", resend="1m", shortest_for=0)
_CALM_SECONDS = 20.0
"""Prometheus finds its Alertmanager, and scrapes once that all is well."""
_REAL_SECONDS = 300.0


def delay(drill: Drill, scene: Scene) -> float | None:
    """Return the seconds from the first scrape that saw a disaster to the message, at production's clocks.

    None when no message came within five minutes.
    """
    drill.say(f"{scene.alert} at real clocks: some three minutes")
    arguments = (drill.kit, "real", [scene], drill.capture, REAL, drill.pipe)
    with world.started(*arguments, only=True, calm=True) as here:
        time.sleep(_CALM_SECONDS)
        here.strike()
        deadline = time.monotonic() + _REAL_SECONDS
        while time.monotonic() < deadline:
            told = [each.at for each in drill.capture.of("real") if scene.alert in each.notification.alerts]
            if told and here.first_sick is not None:
                return min(told) - here.first_sick
            with drill.capture.changed:
                drill.capture.changed.wait(1.0)
    return None


def _turn(here: World) -> float:
    """Return the group interval of the root in seconds."""
    return promql.milliseconds(str(here.routes["route"].get("group_interval", "5m"))) / 1000


def _wait(done: Callable[[], bool], drill: Drill, here: World) -> None:
    """Wait until it is so, or nothing new has arrived for a while."""
    begin = time.monotonic()
    while not done():
        if drill.ended.is_set():
            raise TopmastError("the drill was broken off")
        told = [each for each in drill.capture.of(here.name) if judge.HEARTBEAT not in each.notification.alerts]
        newest = max((each.at for each in told), default=begin)
        now = time.monotonic()
        if now - max(newest, begin) > _STILL_SECONDS or now - begin > _LONGEST_SECONDS:
            return
        with drill.capture.changed:
            drill.capture.changed.wait(_LOOK_SECONDS)
