"""Keep the appliance's processes: start in order, probe, restart with back-off, stop in order, leave nothing.

Run as `python -m topmast.supervisor STATE LOCK_FD [--foreground]` by `topmast up`, which holds the lock and wrote
the plan. Standard library only, one thread. No child outlives it: each child has a parent-death signal where the
platform has one, and a guard process (guard.py) ends what is left when the supervisor itself is killed.

Files in STATE/run: `lock` (flock, held while anything runs), `plan.json` (what to keep), `status.json` (how it is).
"""

import contextlib
import json
import os
import select
import signal
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from topmast import child, guard
from topmast.component import Component
from topmast.probe import answers

PROBE_SECONDS = 0.1
"""Between two probes of a component that is starting."""
WATCH_SECONDS = 10.0
"""Between two looks at a ready component: is it still answering, is its log small enough?"""
BACKOFF_SECONDS = (0.2, 0.5, 1.0, 2.0, 4.0, 8.0, 15.0, 30.0)
STEADY_SECONDS = 60.0
"""A component that ran this long starts its back-off anew."""
LOG_BYTES = 5_000_000
"""A component's log is copied to NAME.log.1 and emptied beyond this, so that it takes twice this at most."""


@dataclass
class Kept:
    """One component's life: the plan, the process, and where it stands."""

    component: Component
    state: str = "waiting"
    """waiting (for what it needs), starting, ready, failing (runs, does not answer), restarting, stopped"""
    pid: int = 0
    restarts: int = 0
    exit: str = ""
    """How the last process ended, for people."""
    since: float = 0.0
    began: float = 0.0
    probe_at: float = 0.0
    start_at: float = 0.0
    failures: int = 0

    def told(self) -> dict[str, Any]:
        one = self.component
        return {
            "name": one.name,
            "state": self.state,
            "pid": self.pid or None,
            "address": one.address,
            "version": one.version,
            "restarts": self.restarts,
            "exit": self.exit,
        }


@dataclass
class Supervisor:
    """Holds the components of one plan. `clock` is monotonic seconds; `tell` gets one line a change."""

    run: Path
    logs: Path
    facts: dict[str, Any]
    """What status.json says beside the components: mode, state, demo, port_offset, …"""
    kept: list[Kept]
    tell: Callable[[str], None]
    guard_pipe: int
    clock: Callable[[], float] = time.monotonic
    stopping: bool = False
    began: float = field(default_factory=time.monotonic)
    told_ready: bool = False

    def step(self) -> float:
        """Do what is due; return the seconds until something is due again."""
        now = self.clock()
        due = now + WATCH_SECONDS
        ready = self._ready()
        for one in self.kept:
            if one.state in ("waiting", "restarting"):
                if set(one.component.needs) <= ready and now >= one.start_at:
                    self._start(one)
                elif one.state == "restarting":
                    due = min(due, one.start_at)
            if one.state == "starting" or (one.pid and now >= one.probe_at):
                self._probe(one)
            if one.pid:
                due = min(due, one.probe_at)
        if not self.told_ready and all(one.state == "ready" for one in self.kept):
            self.told_ready = True
            self.tell(f"ready in {now - self.began:.1f} s")
            self.write()
        if self._ready() != ready:
            return 0.0  # what was waiting for it can start now
        return max(0.02, due - self.clock())

    def _ready(self) -> set[str]:
        return {one.component.name for one in self.kept if one.state in ("ready", "failing")}

    def _start(self, one: Kept) -> None:
        name = one.component.name
        try:
            one.pid = child.start(one.component, self.logs / f"{name}.log")
        except OSError as error:
            one.exit = f"cannot start: {error}"
            self._again(one)
            return
        guard.watch(self.guard_pipe, one.pid, one.component.stop_signal)
        one.began = self.clock()
        one.probe_at = one.began + PROBE_SECONDS
        self._become(one, "starting")

    def _probe(self, one: Kept) -> None:
        now = self.clock()
        if now < one.probe_at:
            return
        if answers(one.component.ready):
            one.probe_at = now + WATCH_SECONDS
            if one.state == "starting":
                back = f", restart {one.restarts}" if one.restarts else ""
                address = one.component.address
                self.tell(f"{one.component.name:<15} ready in {now - one.began:4.1f} s   {address}{back}".rstrip())
            if one.state != "ready":
                self._become(one, "ready")
        elif one.state == "starting":
            one.probe_at = now + PROBE_SECONDS
            if now - one.began > one.component.ready_seconds:
                self.tell(f"{one.component.name}: not ready after {one.component.ready_seconds:.0f} s, restarting")
                child.signal_group(one.pid, signal.SIGKILL)
        else:
            one.probe_at = now + 1.0
            if one.state != "failing":
                self._become(one, "failing")
                self.tell(f"{one.component.name}: runs but does not answer at {one.component.ready}")
        child.rotate(self.logs / f"{one.component.name}.log", LOG_BYTES)

    def reap(self) -> None:
        """Take the exit of every child that ended."""
        for one in self.kept:
            if not one.pid:
                continue
            status = child.ended(one.pid)
            if status is None:
                continue
            guard.forget(self.guard_pipe, one.pid)
            # What the child left behind in its group goes with it.
            child.signal_group(one.pid, signal.SIGKILL)
            one.pid, one.exit = 0, status
            if self.stopping:
                self._become(one, "stopped")
            else:
                self.tell(f"{one.component.name}: {status}; last lines in {self.logs / one.component.name}.log")
                self._again(one)

    def _again(self, one: Kept) -> None:
        now = self.clock()
        one.failures = 1 if one.began and now - one.began > STEADY_SECONDS else one.failures + 1
        one.restarts += 1
        one.start_at = now + BACKOFF_SECONDS[min(one.failures, len(BACKOFF_SECONDS)) - 1]
        self._become(one, "restarting")

    def _become(self, one: Kept, state: str) -> None:
        one.state = state
        one.since = self.clock()
        self.write()

    def write(self) -> None:
        """Put status.json in place whole: a reader never sees half of it."""
        status = {
            **self.facts,
            "pid": os.getpid(),
            "ready": not self.stopping and all(one.state == "ready" for one in self.kept),
            "stopping": self.stopping,
            "components": [one.told() for one in self.kept],
        }
        draft = self.run / "status.json.new"
        # On a full disk the children go on; the status is then the last one that could be written.
        with contextlib.suppress(OSError):
            draft.write_text(json.dumps(status))
            draft.replace(self.run / "status.json")

    def stop(self, wait: Callable[[float], None], hurry: Callable[[], bool]) -> None:
        """Stop all, the ones nothing needs first; SIGKILL for who takes too long or when `hurry()`."""
        self.stopping = True
        self.write()
        asked: dict[int, float] = {}
        while running := [one for one in self.kept if one.pid]:
            needed = {name for one in running for name in one.component.needs}
            for one in running:
                if one.component.name in needed and not hurry():
                    continue
                if one.pid not in asked:
                    asked[one.pid] = self.clock()
                    child.signal_group(one.pid, signal.Signals[one.component.stop_signal])
                elif hurry() or self.clock() - asked[one.pid] > one.component.stop_seconds:
                    child.signal_group(one.pid, signal.SIGKILL)
            wait(0.1)
            self.reap()
        self.write()


def main(arguments: Sequence[str]) -> int:
    state, lock = Path(arguments[0]), int(arguments[1])
    foreground = "--foreground" in arguments
    os.set_inheritable(lock, False)
    run = state / "run"
    plan = json.loads((run / "plan.json").read_text())
    pipe = guard.fork(lock)

    signals: list[int] = []
    wake_read, wake_write = os.pipe()
    for end in (wake_read, wake_write):
        os.set_blocking(end, False)
    signal.set_wakeup_fd(wake_write)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda caught, _frame: signals.append(caught))
    signal.signal(signal.SIGCHLD, lambda _caught, _frame: None)

    def tell(line: str) -> None:
        # A terminal that was closed must not stop us from stopping the children.
        with contextlib.suppress(OSError):
            sys.stdout.write(f"  {line}\n")
            sys.stdout.flush()

    def wait(seconds: float) -> None:
        select.select([wake_read], [], [], seconds)
        with contextlib.suppress(BlockingIOError):
            while os.read(wake_read, 512):
                pass

    welcome: list[str] = plan["welcome"] if foreground else []
    kept = [Kept(Component.from_json(each)) for each in plan["components"]]
    facts = {**plan["facts"], "state": str(state), "foreground": foreground}
    supervisor = Supervisor(run, state / "logs", facts, kept, tell, pipe)
    supervisor.write()
    while not signals:
        seconds = supervisor.step()
        if supervisor.told_ready:
            for line in welcome:
                tell(line)
            welcome = []
        if not signals:
            wait(seconds)
        supervisor.reap()
    tell("stopping (again to hurry)" if foreground else "stopping")
    first = len(signals)
    supervisor.stop(wait, lambda: len(signals) > first)
    tell("stopped")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
