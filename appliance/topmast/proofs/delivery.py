"""A shipper is killed -9 again and again while its files rotate, its disk fills and its sink fails: nothing is lost.

The shipper is the real one in a process of its own; the world of its files knows what was written and what of it
could still be read, the store says what arrived: at least once on the wire, once in the store.
"""

import json
import random
import resource
import shutil
import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence, Set
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event
from typing import NamedTuple

import click
from topmast_shipper.testing import running

from topmast.deliverytargets import TARGETS, Arrived, Target
from topmast.errors import TopmastError
from topmast.logworld import LogWorld
from topmast.measure import Measure, measure
from topmast.proof import Proof, Trial

_KILLS = 30
_FULL_KILLS = 1000
_LINES_PER_KILL = 100
# Nothing more comes when nothing came for so long.
_LAST_SECONDS = 120.0
# One life in so many sees its disk full for a while, and one in so many is not waited for until it sends.
_FULL_DISK = 0.2
_YOUNG = 0.2
# One death in so many is a long one: windows fill when the next shipper starts, and it reads on while it sends.
_BACKLOG = 0.04
_BACKLOG_LINES = range(2_000, 6_000)
_BEGIN_SECONDS = 10.0
_PAUSE = Event()


class Outcome(NamedTuple):
    """What was written against what arrived."""

    written: int
    stored: int
    lost: int
    """Not stored, though somebody could have read it."""
    duplicated: int
    reordered: int
    """Behind one of the same generation that was written after it."""
    unreadable: int = 0
    """Not stored, and the model says that nobody could have read it."""
    gone: int = 0
    """How many the model says so of."""


def compare(written: int, arrived: Sequence[Arrived], *, keys: bool, unreadable: Set[int] = frozenset()) -> Outcome:
    """Return the outcome; with `keys`, documents of one id are one document."""
    documents = list(dict.fromkeys(arrived)) if keys else list(arrived)
    times = Counter(each.number for each in documents)
    reordered, last = 0, dict[str, Arrived]()
    for each in dict.fromkeys(documents):
        before = last.setdefault(each.id[:20], each)
        reordered += each.id < before.id or each.number < before.number
        last[each.id[:20]] = max(each, before)
    return Outcome(
        written,
        len(times),
        sum(1 for number in range(written) if not times[number] and number not in unreadable),
        sum(count - 1 for count in times.values()),
        reordered,
        sum(1 for number in unreadable if not times[number]),
        len(unreadable),
    )


def doubled(arrived: Sequence[Arrived], *, keys: bool) -> dict[int, list[str]]:
    """Return the ids of each line that is stored more than once."""
    ids: dict[int, list[str]] = {}
    for each in dict.fromkeys(arrived) if keys else arrived:
        ids.setdefault(each.number, []).append(each.id)
    return {number: found for number, found in ids.items() if len(found) > 1}


def run(trial: Trial) -> Sequence[Measure]:
    kills: int = trial.options.get("kills") or (_FULL_KILLS if trial.full else _KILLS)
    chosen = trial.options.get("sink")
    names = [chosen] if chosen else sorted(TARGETS)
    # side by side: most of a life is waiting
    with ThreadPoolExecutor(len(names)) as pool:
        found = dict(zip(names, pool.map(lambda name: _prove(name, trial, kills), names), strict=True))
    outcomes = {name: outcome for name, (outcome, _) in found.items()}
    happened = {name: _in_words(counts) for name, (_, counts) in found.items()}
    note = f"{kills} kills for each of {', '.join(outcomes)}, seed {trial.seed}"
    return list(_measures(outcomes, note, happened, kills))


def _prove(name: str, trial: Trial, kills: int) -> tuple[Outcome, Counter[str]]:
    """Return what became of the lines of one sink, and what happened on their way."""
    trial.say(f"{name}: {kills} kills, seed {trial.seed}")
    folder = Path(tempfile.mkdtemp(prefix="topmast-prove-"))
    with TARGETS[name](folder) as target:
        chance = random.Random(trial.seed)  # noqa: S311 - the same kills for the same seed, no secret
        world = LogWorld(folder / "in", chance)
        outcome = _kill(folder, world, target, kills, lambda text: trial.say(f"{name}: {text}"))
        happened = world.happened + target.met()
        odd = doubled(target.arrived(), keys=target.keys)
    if outcome.lost or outcome.duplicated or outcome.reordered:
        (folder / "diary").write_text("\n".join(world.diary))
        (folder / "doubled.json").write_text(json.dumps(odd))
        trial.say(f"{name}: its files, what was done to them and what came twice are left for a look in {folder}")
    else:
        shutil.rmtree(folder)
    return outcome, happened


def _in_words(happened: Counter[str]) -> str:
    return ", ".join(f"{count} {name}" for name, count in sorted(happened.items()))


def _kill(folder: Path, world: LogWorld, target: Target, kills: int, say: Callable[[str], None]) -> Outcome:
    """Kill a shipper so many times while the world goes on; then let it finish, and compare."""
    chance, config = world.chance, folder / "topmast.yml"
    inputs = [
        {"file": {"name": "app", "paths": [*world.patterns], "parser": "json_lines", "rotate_wait_seconds": 1}}
    ]  # fmt: skip
    section = {"listen": "", "data": str(folder / "data"), "inputs": inputs, "sinks": [target.options]}
    config.write_text(json.dumps({"shipper": section}))
    log = folder / "shipper.log"

    def stored() -> set[int]:
        return {each.number for each in target.arrived()}

    for number in range(kills):
        target.trouble(chance)
        with running(config, log) as process:
            # from the interpreter's start to the middle of its work
            bursts = chance.randrange(2, 8)
            full = chance.randrange(bursts) if number and chance.random() < _FULL_DISK else None
            if target.requests is not None and chance.random() > _YOUNG:
                _wait_for_more(target.requests)
            world.happened["full_disk"] += full is not None
            for burst in range(bursts):
                _let_files_grow(process.pid, burst != full)
                world.write(_LINES_PER_KILL // bursts + 1)
                world.disturb(Descriptors(process.pid).holds, stored)
                _PAUSE.wait(chance.random() * 0.25)
            _check(process, log)
            process.kill()
            process.wait()
        world.happened["kill"] += 1
        world.killed(stored)
        behind = chance.random() < _BACKLOG
        world.happened["backlog"] += behind
        world.write(chance.choice(_BACKLOG_LINES) if behind else chance.randrange(1, 40))  # nobody looks
        world.disturb(None, stored)
        if number % 50 == 49:
            say(f"{number + 1} kills, {world.written} lines")
    world.finish_line()
    with running(config, log) as process:
        # the shipper says nothing of being done: it is when all is there, or when nothing more comes
        least, deadline = world.written + 1, 0.0
        while (lost := _outcome(world, target).lost) and (lost < least or time.monotonic() < deadline):
            if lost < least:
                least, deadline = lost, time.monotonic() + _LAST_SECONDS
            _check(process, log)
            _PAUSE.wait(0.5)
    if "Traceback" in log.read_text():
        raise TopmastError(f"the shipper failed: {log.read_text()[-2000:]}")
    return _outcome(world, target)


def _wait_for_more(requests: Callable[[], int]) -> None:
    """Return when there is another request, or there has been none for long: nothing may be left to send."""
    before, deadline = requests(), time.monotonic() + _BEGIN_SECONDS
    while requests() == before and time.monotonic() < deadline:
        _PAUSE.wait(0.02)


def _outcome(world: LogWorld, target: Target) -> Outcome:
    return compare(world.written, target.arrived(), keys=target.keys, unreadable=world.unreadable)


class Descriptors:
    """What a process has open."""

    def __init__(self, pid: int) -> None:
        self._folder = Path(f"/proc/{pid}/fd")

    def holds(self, path: Path) -> bool:
        """Return whether the process can read the file whatever becomes of its name."""
        there = path.stat()
        for each in self._folder.iterdir():
            try:
                status = each.stat()
            except OSError:
                continue  # closed since
            if (status.st_dev, status.st_ino) == (there.st_dev, there.st_ino):
                return True
        return False


def _let_files_grow(pid: int, may: bool) -> None:
    """Let the disk be full for a process, or not any more: no file takes another byte from it."""
    _, hard = resource.prlimit(pid, resource.RLIMIT_FSIZE)
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (hard if may else 0, hard))


def _check(process: subprocess.Popen[bytes], log: Path) -> None:
    if process.poll() is not None:
        raise TopmastError(f"the shipper ended by itself with {process.returncode}: {log.read_text()[-2000:]}")


def _measures(outcomes: dict[str, Outcome], note: str, happened: dict[str, str], kills: int) -> Iterator[Measure]:
    every = {"": [*outcomes.values()]} | {f".{name}": [outcome] for name, outcome in outcomes.items()}
    for suffix, some in every.items():
        least = _LINES_PER_KILL * kills * len(some)
        written = sum(each.written for each in some)
        rows = [
            ("written", written, f">= {least}"),
            ("stored", sum(each.stored for each in some), f"== {written - sum(each.gone for each in some)}"),
            ("lost", sum(each.lost for each in some), "== 0"),
            ("duplicated_in_store", sum(each.duplicated for each in some), "== 0"),
            ("reordered", sum(each.reordered for each in some), "== 0"),
            ("unreadable", sum(each.unreadable for each in some), f"== {sum(each.gone for each in some)}"),
        ]
        for name, value, goal in rows:
            what = f"; {happened[suffix[1:]]}" if name == "written" and suffix else ""
            yield measure(f"delivery.{name}{suffix}", value, "events", goal, note=note + what)


PROOF = Proof(
    name="delivery",
    summary="Kill a shipper at random while its files rotate and its sink fails; count what is lost.",
    run=run,
    options=[
        click.Option(["--kills"], type=click.IntRange(1), help="For each sink. [default: 30, with --full 1000]"),
        click.Option(["--sink"], type=click.Choice(sorted(TARGETS)), help="Only this one. [default: all]"),
    ],
)
