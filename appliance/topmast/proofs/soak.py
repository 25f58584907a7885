"""Five times the demo's load for a while: nothing dies of memory, no line is lost, no scrape is missed.

The appliance starts fresh, with production's clocks. When the time is over the customers are halted, so that what the
application wrote can be counted in its files and in the store, line by line.
"""

import os
import signal
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from topmast import demo, lock, stage
from topmast.errors import TopmastError
from topmast.layout import Layout
from topmast.measure import Measure, measure
from topmast.proof import Proof, Trial
from topmast.stage import Stage

TIMES = 5
# examples/reference_app/load.py: the demo's mean.
DEMO_RATE = 12.0
SECONDS, FULL_SECONDS = 300, 1800
LOOK_SECONDS = 5.0
# The sum of what lite's containers may take (docker-compose.lite.yml).
LITE_MIB = 1792
# A line is stored within 2 s of its writing; after so long without a new one, no more come.
QUIET_SECONDS, CATCH_UP_SECONDS = 3.0, 60.0
CORE = ("prometheus", "alertmanager", "node_exporter", "exporter", "shipper", "page")
# Of 5 MB each: every line of half an hour is still there to be counted.
LOG_FILES = 100
SERVICES = {"app.log": "shop", "access.log": "nginx"}


def run(trial: Trial) -> Sequence[Measure]:
    """Return the measures `soak.*`. Raises TopmastError when the appliance does not start."""
    seconds = FULL_SECONDS if trial.full else SECONDS
    load = {"LOAD_RATE": str(TIMES * DEMO_RATE), "DEMO_SEED": str(trial.seed), "SHOP_LOG_FILES": str(LOG_FILES)}
    with stage.started(trial.layout, "--demo", "--real-clocks", environment=load) as running:
        killed, began = _oom_kills(), time.time()
        trial.say(f"{TIMES} times the demo's load for {seconds} s")
        peak = _watch(running.layout, seconds)
        ended = time.time()
        status = lock.status(running.layout)
        asked = _asked(running, ended - began)
        _halt_customers(status)
        return [
            _oom(status, None if killed is None else _oom_kills_since(killed), peak, asked),
            _lost(running, trial),
            _gaps(running, ended - began, ended),
        ]


def _watch(layout: Layout, seconds: float) -> float:
    """Return the most that everything but the demo took at once, in bytes (PSS)."""
    peak, deadline = 0.0, time.monotonic() + seconds
    while time.monotonic() < deadline:
        time.sleep(min(LOOK_SECONDS, max(0.0, deadline - time.monotonic())))
        status = lock.status(layout)
        pids = [one["pid"] for one in status["components"] if one["name"] in CORE and one["pid"]]
        peak = max(peak, sum(pss_bytes(pid) for pid in [*pids, status["pid"]]))
    return peak


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


def _oom(status: Mapping[str, Any], killed: int | None, peak: float, asked: str) -> Measure:
    restarts = {one["name"]: one["restarts"] for one in status["components"] if one["restarts"]}
    over = peak > LITE_MIB * 1024**2
    note = f"peak {peak / 1024**2:.0f} MiB for everything but the demo, {LITE_MIB} is what lite allows; {asked}"
    if restarts:
        note += "; restarted: " + ", ".join(f"{name} {count}" for name, count in sorted(restarts.items()))
    if killed is None:
        note += "; the kernel does not count its kills here"
    # A process that the kernel ended was restarted as well: it is one, not two.
    return measure("soak.oom", max(sum(restarts.values()), killed or 0) + over, "processes", "== 0", note=note)


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
    interval = 15.0
    for series in found:
        gaps = list(gaps_of(series["values"], interval, until))
        missing += [f"{series['metric'].get('job')} {gap}" for gap in gaps]
    note = f"{len(found)} targets over {seconds:.0f} s" + (f": {'; '.join(missing[:5])}" if missing else "")
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


PROOF = Proof(name="soak", summary="Five times the demo's load: no death, no lost line, no missed scrape.", run=run)
