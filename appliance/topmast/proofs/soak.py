"""Five times the demo's load for a while at the size `lite`: no death of memory, no lost line, no missed scrape.

The appliance starts fresh, with production's clocks. Where the machine can, each process is held to the limit of its
container (docker-compose.lite.yml). When the time is over the customers are halted, so that what the application
wrote can be counted in its files and in the store, line by line.
"""

import os
import signal
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from topmast import demo, lock, memorylimits, rehearsal, stage
from topmast.errors import PrerequisiteError, TopmastError
from topmast.layout import Layout
from topmast.measure import Measure, measure
from topmast.memorylimits import Limits
from topmast.proof import Proof, Trial
from topmast.stage import Stage

TIMES = 5
# examples/reference_app/load.py: the demo's mean.
DEMO_RATE = 12.0
SECONDS, FULL_SECONDS = 300, 1800
LOOK_SECONDS = 5.0
# As prometheus.lite.yml and `up --size lite` have it.
INTERVAL_SECONDS = 30.0
# Until a process that is started anew within its limit is ready.
BORN_SECONDS = 60.0
# A line is stored within 2 s of its writing; after so long without a new one, no more come.
QUIET_SECONDS, CATCH_UP_SECONDS = 3.0, 60.0
CORE = ("prometheus", "alertmanager", "node_exporter", "exporter", "shipper", "page")
# Of 5 MB each: every line of half an hour is still there to be counted.
LOG_FILES = 100
SERVICES = {"app.log": "shop", "access.log": "nginx"}


@dataclass(frozen=True)
class Bounds:
    """What each component may take, in bytes, and who sees to it."""

    allowed: Mapping[str, int]
    groups: Limits | None
    reason: str
    """Why nobody does."""

    def killed(self) -> int:
        return sum(self.groups.killed(name) for name in self.allowed) if self.groups else 0

    def told(self) -> str:
        total = f"{sum(self.allowed.values()) / 1024**2:.0f} MiB in all"
        if self.groups:
            return f"each held to its limit of lite ({total}) by control groups, version {self.groups.version}"
        return f"compared with its limit of lite ({total}), held to it by nobody: {self.reason}"


def run(trial: Trial) -> Sequence[Measure]:
    """Return the measures `soak.*`. Raises TopmastError when the appliance does not start."""
    seconds = FULL_SECONDS if trial.full else SECONDS
    load = {"LOAD_RATE": str(TIMES * DEMO_RATE), "DEMO_SEED": str(trial.seed), "SHOP_LOG_FILES": str(LOG_FILES)}
    options = ("--demo", "--real-clocks", "--size", "lite")
    with _bounds(trial.layout) as bounds, stage.started(trial.layout, *options, environment=load) as running:
        if bounds.groups:
            _born_within(running, bounds.groups, bounds.allowed)
        before, killed, began = _restarts(running.layout), _oom_kills(), time.time()
        trial.say(f"{TIMES} times the demo's load for {seconds} s")
        peaks = _watch(running.layout, seconds)
        ended = time.time()
        status = lock.status(running.layout)
        asked = _asked(running, ended - began)
        _halt_customers(status)
        restarts = {name: count - before.get(name, 0) for name, count in _restarts(running.layout).items()}
        return [
            _oom(restarts, None if killed is None else _oom_kills_since(killed), peaks, bounds, asked),
            _lost(running, trial),
            _gaps(running, ended - began, ended),
        ]


@contextmanager
def _bounds(layout: Layout) -> Iterator[Bounds]:
    """Yield what lite's containers may take, with groups that enforce it where the machine has them."""
    allowed = limits_of(rehearsal.configuration(layout.home, rehearsal.LITE))
    with ExitStack() as stack:
        try:
            groups = stack.enter_context(memorylimits.limits(f"topmast-soak-{os.getpid()}"))
        except PrerequisiteError as error:
            yield Bounds(allowed, None, str(error))
            return
        for name, limit in allowed.items():
            groups.group(name, limit)
        yield Bounds(allowed, groups, "")


def limits_of(stack: Mapping[str, Any]) -> dict[str, int]:
    """Return the limits of what runs in embedded mode as well, in bytes, by the component's name."""
    return {name: int(stack["services"][name.replace("_", "-")]["mem_limit"]) for name in CORE}


def _born_within(running: Stage, groups: Limits, names: Iterable[str]) -> None:
    """Have the supervisor start each component anew inside its group. Raises TopmastError when one is not."""
    for name in names:
        with groups.birthplace(name, running.pid):
            os.kill(_component(running.layout, name)["pid"], signal.SIGTERM)
            deadline = time.monotonic() + BORN_SECONDS
            while not groups.members(name) - {running.pid}:
                if time.monotonic() > deadline:
                    raise TopmastError(f"{name}: not started again within {BORN_SECONDS:.0f} s")
                time.sleep(0.02)  # the step of a polled condition
        while (one := _component(running.layout, name))["state"] != "ready" or one["pid"] not in groups.members(name):
            if time.monotonic() > deadline:
                raise TopmastError(f"{name}: not ready within its limit after {BORN_SECONDS:.0f} s")
            time.sleep(0.1)


def _component(layout: Layout, name: str) -> Mapping[str, Any]:
    found: Mapping[str, Any] = next(one for one in lock.status(layout)["components"] if one["name"] == name)
    return found


def _restarts(layout: Layout) -> dict[str, int]:
    return {one["name"]: one["restarts"] for one in lock.status(layout)["components"]}


def _watch(layout: Layout, seconds: float) -> dict[str, int]:
    """Return the most that each component took, in bytes (PSS)."""
    peaks, deadline = dict.fromkeys(CORE, 0), time.monotonic() + seconds
    while time.monotonic() < deadline:
        time.sleep(min(LOOK_SECONDS, max(0.0, deadline - time.monotonic())))
        for one in lock.status(layout)["components"]:
            if one["name"] in CORE and one["pid"]:
                peaks[one["name"]] = max(peaks[one["name"]], pss_bytes(one["pid"]))
    return peaks


def pss_bytes(pid: int) -> int:
    """Return the proportional set size of a process (proc(5), smaps_rollup); 0 when it is gone."""
    try:
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    return 0


def _oom_kills() -> int | None:
    """Return how many processes the kernel has ended for lack of memory; None where it does not count them."""
    for line in Path("/proc/vmstat").read_text().splitlines():
        if line.startswith("oom_kill "):
            return int(line.split()[1])
    return None


def _oom_kills_since(before: int) -> int:
    return (_oom_kills() or before) - before


def _oom(
    restarts: Mapping[str, int], killed: int | None, peaks: Mapping[str, int], bounds: Bounds, asked: str
) -> Measure:
    taken = ", ".join(f"{name} {peaks[name] / 1024**2:.0f} of {bounds.allowed[name] / 1024**2:.0f}" for name in peaks)
    note = f"peaks in MiB: {taken}; {bounds.told()}; {asked}"
    if any(restarts.values()):
        note += "; restarted: " + ", ".join(f"{name} {count}" for name, count in sorted(restarts.items()) if count)
    if killed is None:
        note += "; the kernel does not count its kills here"
    over = sum(peaks[name] > bounds.allowed[name] for name in peaks)
    # A process that the kernel ended was restarted as well: it is one, not two.
    dead = max(sum(restarts.values()), killed or 0, bounds.killed())
    return measure("soak.oom", dead + over, "processes", "== 0", note=note)


def _asked(running: Stage, seconds: float) -> str:
    found = running.query(f"sum(increase(app_http_requests_total[{seconds:.0f}s]))")
    rate = float(found[0]["value"][1]) / seconds if found else 0.0
    return f"{rate:.0f} requests/s over {seconds:.0f} s, {TIMES * DEMO_RATE:.0f} were meant"


def _halt_customers(status: Mapping[str, Any]) -> None:
    for one in status["components"]:
        if one["name"] == "demo-load" and one["pid"]:
            os.kill(one["pid"], signal.SIGSTOP)


def _lost(running: Stage, trial: Trial) -> Measure:
    """Count what the files hold and what the store holds, once no file grows any more."""
    folder = demo.log_folder(running.layout)
    trial.say("counting lines")
    written = _settled(folder)
    deadline = time.monotonic() + CATCH_UP_SECONDS
    while True:
        stored = {name: _stored(running.layout, service) for name, service in SERVICES.items()}
        missing = {name: written[name] - stored[name] for name in SERVICES}
        if not any(missing.values()) or time.monotonic() > deadline:
            break
        time.sleep(0.5)
    told = ", ".join(f"{name} {written[name]} written, {stored[name]} stored" for name in SERVICES)
    # One too many is as wrong as one too few.
    return measure("soak.lost_lines", sum(abs(each) for each in missing.values()), "lines", "== 0", note=told)


def _settled(folder: Path) -> dict[str, int]:
    deadline = time.monotonic() + CATCH_UP_SECONDS
    counted, since = lines_of(folder), time.monotonic()
    while time.monotonic() - since < QUIET_SECONDS:
        if time.monotonic() > deadline:
            raise TopmastError(f"{folder}: still grows {CATCH_UP_SECONDS:.0f} s after the customers were halted")
        time.sleep(0.5)
        now = lines_of(folder)
        if now != counted:
            counted, since = now, time.monotonic()
    return counted


def lines_of(folder: Path) -> dict[str, int]:
    """Return the number of lines of each log with its rotated files."""
    return {
        name: sum(path.read_bytes().count(b"\n") for path in folder.glob(f"{name}*") if path.is_file())
        for name in SERVICES
    }


def _stored(layout: Layout, service: str) -> int:
    from topmast_shipper import search

    return search.count(layout.log_store, f"service:{service}", None, None)


def _gaps(running: Stage, seconds: float, until: float) -> Measure:
    """Count what is missing of every target's samples, and the scrapes that failed."""
    found = running.query(f"up[{seconds:.0f}s]")
    missing: list[str] = []
    for series in found:
        gaps = list(gaps_of(series["values"], INTERVAL_SECONDS, until))
        missing += [f"{series['metric'].get('job')} {gap}" for gap in gaps]
    note = f"{len(found)} targets over {seconds:.0f} s, every {INTERVAL_SECONDS:.0f} s" + (
        f": {'; '.join(missing[:5])}" if missing else ""
    )
    if not found:
        return measure("soak.scrape_gaps", None, "scrapes", "== 0", note="Prometheus has no target")
    return measure("soak.scrape_gaps", len(missing), "scrapes", "== 0", note=note)


def gaps_of(samples: Sequence[Sequence[Any]], interval: float, until: float) -> Iterator[str]:
    """Yield one word for each scrape that failed or is missing; `samples` are `[seconds, "1"]`, oldest first."""
    times = [float(at) for at, _ in samples]
    for at, value in samples:
        if float(value) != 1:
            yield f"failed at {float(at):.0f}"
    for earlier, later in zip(times, [*times[1:], until], strict=True):
        lacking = round((later - earlier) / interval) - 1
        if lacking > 0 and later - earlier > 1.5 * interval:
            yield from (f"missing after {earlier:.0f}" for _ in range(lacking))


PROOF = Proof(
    name="soak",
    summary="Five times the demo's load at the size lite: no death, no lost line, no missed scrape.",
    run=run,
)
